# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots of processes inside guests: other kernels interrupt other calls, and tell other things of
pages. The targets and what is asked of them are those of tests/snapshot. Each test yields problems."""

import array
import json
import re
import subprocess
import sys
from pathlib import Path

import guest
import kernels

SNAPSHOT = Path(__file__).resolve().parents[1] / "snapshot"
sys.path.append(str(SNAPSHOT))
from core_file import CoreFile
from counters import Checker

TARGETS = SNAPSHOT / "targets"
TOP = SNAPSHOT.parents[1]
LIBRARIES = ("kioku-internal", "kioku-format")  # of the static build, what its kioku is made of
SOURCES = {"harm": ["harm.c", "harm_blocking.c", "harm_registers.c", "harm_registers.S", "harm_rseq.c",
                    "harm_signals.c", "harm_state.c", "harm_threads.c"]}
COMPILE = ["gcc", "-static", "-O2", "-D_GNU_SOURCE", "-pthread"]
# As tests/snapshot/targets/meson.build has it: a compiler for 64 bits makes that, too.
COMPILE_32 = ["gcc", "-static", "-O2", "-m32", "-nostdlib", "-ffreestanding", "-fno-pie", "-no-pie",
              "-fno-stack-protector"]
TIMES, FULL_TIMES = 2, 5  # by each method
# So many pages that writes wait until they are noted, where a kernel can do that, and so few writes a second
# that they may, however slowly all is looked at here.
WATCHED = ("--rolled", "18432", "--rate", "50")
OUTPUT = 1536  # MiB
# As newer kernels are configured: only who traces a process reads what it may not read itself.
APPEND = "proc_mem.force_override=ptrace"

# Timeouts in jiffies: the CPU that counts them may have stood still while the other one ran, as this
# machine had no time for it, and then counts what was missed all at once.
EARLY = "was over after"
WRITTEN = ("pinned", "workers", "waiting")  # kinds of targets/devices.c
# A disk on which nearly always a read is under way.
SLOW_DISK = ["-drive", "if=none,id=vdc,format=raw,throttling.iops-total=20,file={}", "-device",
             "virtio-blk-pci,drive=vdc"]
BITS = "soft-dirty bits, which are cleared now"  # what kioku says of who is tracked by them
SKIPPED = 77  # exit status of a unit test


def plans(full):
    """5.10 and 6.1 can track what is written by soft-dirty bits only; those after them have more for it.
    What controls a plant often runs on a real-time kernel."""
    return ["bullseye", *(["bookworm", "backports", "trixie-rt", "sid"] if full else [])]


def programs(folder, *wanted):
    """{path in the guest: file} of these targets."""
    for name in wanted:
        command = [*COMPILE, *(TARGETS / file for file in SOURCES.get(name, [f"{name}.c"])),
                   TARGETS / "target.c", "-lrt"]
        if name == "thirtytwo":
            command = [*COMPILE_32, TARGETS / "thirtytwo.c"]
        if not (folder / name).exists():
            subprocess.run([*command, "-o", folder / name], check=True)
    return {f"/bin/{name}": folder / name for name in wanted}


def unit_test(folder, static):
    """The program of the unit test of soft-dirty bits, which this machine's own kernel may not have."""
    libraries = [static.parent / f"src/lib{name}.a" for name in LIBRARIES]
    unit = TOP / "tests/unit"
    subprocess.run([*COMPILE, *(f"-I{part}" for part in (TOP / "src", TOP / "include", unit)),
                    unit / "test_soft_dirty.c", unit / "tracking_case.c", *libraries, "-lcrypto", "-lz",
                    "-o", folder / "soft_dirty"], check=True, stderr=subprocess.DEVNULL)
    return {"/bin/soft_dirty": folder / "soft_dirty"}


class Target:
    """A process in the guest, of which snapshots are taken one after the other."""

    def __init__(self, machine, *words):
        self.machine, self.words, self.taken = machine, words, []
        self.log = f"/run/{self.name()}"
        self.pid = int(self.say(f"{' '.join(words)} > {self.log} 2>&1 & echo $!"))
        self.ready = self.say(self.awaits("ready"))

    def name(self):
        """For files of it."""
        return "-".join(self.words).replace("/", "_")

    def say(self, command):
        status, text = self.machine.said(command)
        if status:
            raise guest.GuestError(f"{command}: {text}")
        return text

    def methods(self):
        """Those that this kernel has, but for the one that stops it."""
        said = self.say(f"kioku snapshot {self.pid} --dry-run --format json").splitlines()
        return [row["method"] for row in map(json.loads, said)
                if row["possible"] and row["method"] != "stop"]

    def take(self, method):
        name = f"{self.name()}-{len(self.taken)}.core"
        self.taken.append((method, name, *self.machine.said(
            f"kioku snapshot {self.pid} --method {method} -o /output/{name}")))

    def take_all(self, times):
        for method in self.methods():
            for _ in range(times):
                self.take(method)
        return self.end()

    def end(self):
        """Tells it to end, which it does by a line of what it has seen."""
        self.said = self.say(f"kill {self.pid}; {self.awaits('faults')}")
        return self

    def awaits(self, word):
        """What it has printed when the word is there; it may never be, if it was harmed."""
        return (f"for i in $(busybox seq 200); do grep -q {word} {self.log} && break; "
                f"busybox sleep 0.1; done; cat {self.log}")

    def problems(self):
        """What it has noticed, of how many snapshots."""
        try:
            yield from (fault for fault in json.loads(self.said.splitlines()[-1])["faults"]
                        if EARLY not in fault and not self.is_cleared(fault))
        except (ValueError, LookupError):
            yield f"{' '.join(self.words)} said at its end: {self.said[-500:]}"


    def is_cleared(self, fault):
        """Whether that is a mapping's soft-dirty bit, of a process that was tracked by them: it stays cleared."""
        said = re.fullmatch(r"was:(.*?) sd(.*), is:(.*)", fault)
        return bool(said) and said[1] + said[2] == said[3] and any(BITS in text for *_, text in self.taken)


class Visit:
    """A guest in which all snapshots have been taken."""

    def __init__(self, machine, kernel, session):
        static = session.options.static.resolve()
        machine.boot(kernels.get(kernel), 512, output=OUTPUT, append=APPEND,
                     files={"/bin/kioku": static, **unit_test(session.folder, static),
                            **programs(session.folder, "counters", "devices", "harm", "regions", "thirtytwo")},
                     arguments=self.make_disk(machine.folder / "slow.disk"))
        times = FULL_TIMES if session.options.full else TIMES
        self.counters = Target(machine, "counters").take_all(times)
        self.watched = Target(machine, "counters", *WATCHED).take_all(TIMES)
        self.regions = Target(machine, "regions").take_all(1)
        self.harmed = [Target(machine, "harm", *parts).take_all(times) for parts in (
            ("blocking",), ("signals", "rseq"), ("rseq",))]
        self.written = [Target(machine, "devices", kind, f"/run/{kind}").take_all(times) for kind in WRITTEN]
        self.reader = Target(machine, "devices", "shared", "/dev/vdc")
        for _ in range(2 * times):
            self.reader.take("fork")
        self.reader.end()
        self.confined = Target(machine, "counters", "--threads", "1")
        self.confine(self.confined)
        for _ in range(2):
            self.confined.take("auto")
        self.confined.end()
        self.unit_test = machine.said("soft_dirty", 600)
        self.other = Target(machine, "thirtytwo")
        self.other.take("auto")
        self.other.end()
        self.folder = machine.folder / "taken"
        machine.take(self.folder)

    @staticmethod
    def make_disk(path):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(1 << 20))
        return [word.format(path) for word in SLOW_DISK]

    @staticmethod
    def confine(target):
        """It may not have one more thread, or process."""
        target.say("busybox mkdir -p /cgroup && mount -t cgroup2 none /cgroup && "
                   "echo +pids > /cgroup/cgroup.subtree_control && busybox mkdir /cgroup/full && "
                   f"echo {target.pid} > /cgroup/full/cgroup.procs && cd /cgroup/full && cat pids.current > pids.max")


# --- tests

def consistent(visit):
    """No core of it is torn."""
    for target in (visit.counters, visit.watched, visit.confined):
        checker = Checker(int(target.ready.split("header=")[1].split()[0], 0))
        for method, name, status, text in target.taken:
            if status:
                if not is_left_alone(target, text):
                    yield f"{method}: exit status {status}: {text[-300:]}"
                continue
            with CoreFile(visit.folder / name) as core:
                for problem in checker.problems(core):
                    yield f"{method}, {name}: {problem}"
    return f"{len(visit.counters.taken)} by {', '.join(methods(visit.counters))}"


def complete(visit):
    """Memory of every kind is there."""
    regions = re.findall(r" ([\w-]+)=(0x\w+)\+(0x\w+)", visit.regions.ready)
    if not regions:
        yield f"regions said: {visit.regions.ready}"
    for method, name, status, text in visit.regions.taken:
        if status:
            yield f"{method}: exit status {status}: {text[-300:]}"
            continue
        with CoreFile(visit.folder / name) as core:
            for region, start, size in ((of, int(at, 16), int(end, 16)) for of, at, end in regions):
                if core.read(start, size) != array.array("Q", range(start, start + size, 8)).tobytes():
                    yield f"{method}: {region} is not the same"
    return f"{len(regions)} kinds"


def watched(visit):
    """Where writes are tracked by userfaultfd, much memory was not looked through in the stop."""
    for method, name, _, text in visit.watched.taken:
        if method == "track" and BITS not in text and "once before" not in text:
            yield f"{name}: {text[-500:]}"


def unharmed(visit):
    """No target has noticed anything."""
    for target in (visit.counters, visit.watched, visit.regions, visit.confined, *visit.written, *visit.harmed):
        yield from target.problems()
        for method, name, status, text in target.taken:
            if status and not is_left_alone(target, text):
                yield f"{name}, {method}: exit status {status}: {text[-300:]}"


def direct(visit):
    """What was being read by O_DIRECT has arrived; for that, a duplicate may have been refused."""
    yield from visit.reader.problems()
    for _, name, status, text in visit.reader.taken:
        if status and "in a read by O_DIRECT" not in text:
            yield f"{name}: exit status {status}: {text[-300:]}"
    refused_count = sum(bool(status) for _, _, status, _ in visit.reader.taken)
    return f"{refused_count} of {len(visit.reader.taken)} refused"


def is_left_alone(target, text):
    """Whether its soft-dirty bits were cleared before, and were not asked for."""
    return "are in use, or were" in text and any(BITS in said for *_, said in target.taken)


def confined(visit):
    """Where no duplicate can be, writes are tracked; but by soft-dirty bits only once, as they may be another's."""
    (_, _, status, first), (_, _, again, second) = visit.confined.taken
    if status or "method track" not in first:
        yield f"exit status {status}: {first[-300:]}"
    if again != (1 if BITS in first else 0):
        yield f"the second time: exit status {again}: {second[-300:]}"
    return "by soft-dirty bits" if BITS in first else "by userfaultfd"


def tracked(visit):
    """The unit test of soft-dirty bits passes here, too."""
    status, text = visit.unit_test
    if status not in (0, SKIPPED):
        yield text
    return text.splitlines()[-1]


def refused(visit):
    """A 32-bit process, which then goes on as it was."""
    (_, name, status, text), = visit.other.taken
    if status != 1 or "32-bit" not in text:
        yield f"exit status {status}: {text[-300:]}"
    if (visit.folder / name).exists():
        yield f"there is a {name}"
    yield from visit.other.problems()


def methods(target):
    return dict.fromkeys(method for method, *_ in target.taken)


TESTS = (consistent, complete, watched, unharmed, direct, confined, tracked, refused)


def check_all(session):
    for kernel in plans(session.options.full):
        name = f"snapshot-{kernel}"
        if not any(session.results.wants(f"{name}: {test.__name__}") for test in TESTS):
            continue
        with guest.Guest(session.folder / name) as machine:
            try:
                visit = Visit(machine, kernel, session)
            except (guest.GuestError, kernels.FetchError) as error:
                session.results.fail(f"{name}: boot", error)
                continue
            for test in TESTS:
                session.results.check(f"{name}: {test.__name__}", test, visit)
