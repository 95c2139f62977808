# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that are read from outside while QEMU runs them: through its debugger stub (gdb://), and
through its machine protocol (qemu:) where memory is one shared file, several, and not all in files.
Each test yields problems."""

import json
import random
import socket
from dataclasses import dataclass

import compare
import guest
import kernels
from known import Known
from ram import PAGE
from tool import ToolError

CHUNK = 16 << 20
DIMM = 128    # MiB, what is plugged in
SAMPLE = 4    # pages, and processes
SOCKET = "q m,p \u00fc"


@dataclass
class Plan:
    kernel: str
    memory: int = 512
    cpu: str = "max"
    machine: str = "q35"

    @property
    def name(self):
        levels = "4l" if "la57=off" in self.cpu else "5l"
        return f"qemu-{self.kernel}-{self.machine}-{self.memory}m-{levels}"


def plans(full):
    chosen = [Plan("bookworm")]
    if full:  # memory above 4 GiB, other places of the hole, other kernels
        chosen += [Plan("backports", 5120, "max,la57=off", "pc"), Plan("bullseye", 3072, "max", "q35")]
    return chosen


class Visit:
    def __init__(self, machine, plan, session):
        self.machine, self.folder, self.session = machine, machine.folder, session
        self.tool = session.tool
        place = str(self.folder / SOCKET)
        machine.boot(kernels.get(plan.kernel), memory=plan.memory, cpu=plan.cpu,
                     machine=plan.machine,
                     arguments=[*guest.hot_plug(plan.memory, plan.memory + 4096),
                                # A comma in the value of an option is doubled.
                                "-qmp", f"unix:{place.replace(',', ',,')},server=on,wait=off"])
        self.qemu = f"qemu:{place}"
        self.gdb = f"gdb://127.0.0.1:{self.start_stub()}"
        (self.folder / "guest.json").write_text(json.dumps(machine.facts(dumps={})))
        (self.folder / "ram.img").symlink_to(machine.ram.name)
        self.keep("truth")

    def start_stub(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.machine.monitor(f"gdbserver tcp:127.0.0.1:{port}")
        return port

    def keep(self, name):
        truth = self.machine.collect()
        (self.folder / f"{name}-kallsyms.txt").write_bytes(truth.pop("kallsyms"))
        (self.folder / f"{name}.json").write_text(json.dumps(truth))
        self.known = Known(self.folder)


class Sampled(Known):
    """Some of its processes: another test compares all of them on an image."""

    def processes(self):
        pairs = [pair for pair in super().processes() if pair[0]["pages"]]
        return random.Random(2).sample(pairs, SAMPLE)


# --- what is the same for all

def views(visit, source):
    """Every command that reads, on a machine that stands still."""
    tool, known = visit.tool, visit.known
    for test in (compare.info, compare.ps, compare.threads):
        for problem in test(tool, known, source):
            yield f"{test.__name__}: {problem}"
    for test in (compare.read, compare.pagemap):  # many runs each
        for problem in test(visit.session.cached, Sampled(visit.folder), source):
            yield f"{test.__name__}: {problem}"
    yield from translations(visit, source)
    info = tool.info(source)["source"]
    registers = {cpu["cr3"] for cpu in visit.machine.registers()}
    found = {int(cpu["cr3"], 16) for cpu in info["cpus"]}
    if found != registers:
        yield f"CR3 is {found}, not {registers}"
    if visit.machine.is_running:
        yield "the machine runs, though it was stopped before"
    return f"{len(info['ranges'])} ranges"


def translations(visit, source):
    chosen = [(pid, virtual, physical) for (pid, virtual), physical
              in compare.sample(visit.known, visit.session.options.seed, False).items() if physical]
    for pid, virtual, physical in random.Random(1).sample(chosen, SAMPLE):
        rows = visit.session.cached.rows("translate", source, virtual, "--pid", pid)
        if int(rows[-1]["physical"], 16) != int(physical, 16):
            yield f"translate: process {pid}, {virtual} is at {rows[-1]['physical']}, not {physical}"


def memory(visit, source):
    """acquire, all of it, of a machine that stands still."""
    target = visit.folder / "image"
    found = visit.tool.run("acquire", source, "-o", target, "--as", "padded", "--digest", "none",
                           timeout=600)
    if found.status:
        yield found.describe()
        return None
    same = 0
    with open(target, "rb") as image:
        for piece in visit.machine.pieces:
            path = piece.get("file", visit.machine.ram)
            start = 0 if "file" in piece else piece["offset"]
            with open(path, "rb") as ram:
                for at in range(0, piece["size"], CHUNK):
                    size = min(CHUNK, piece["size"] - at)
                    image.seek(piece["physical"] + at)
                    ram.seek(start + at)
                    wrong = differing(image.read(size), ram.read(size))
                    # Where firmware's own ROM hides it, RAM is no memory of the machine.
                    wrong = [page for page in wrong
                             if not 0xA0000 <= piece["physical"] + at + page < 0x100000]
                    if wrong:
                        yield f"{len(wrong)} pages differ from {piece['physical'] + at:#x} on, the " \
                              f"first at +{wrong[0]:#x}"
                    same += size
    target.unlink()
    (visit.folder / "image.manifest.json").unlink()
    return f"{same >> 20} MiB"


def differing(found, wanted):
    if found == wanted:
        return []
    return [at for at in range(0, len(wanted), PAGE) if found[at:at + PAGE] != wanted[at:at + PAGE]]


# --- tests

def running(visit):
    """A machine that runs, which is stopped for as long as the stub is used, or not at all."""
    for source in (visit.gdb, visit.qemu):
        for problem in compare.ps(visit.tool, visit.known, source):
            yield f"{source}: {problem}"
        if not visit.machine.is_running:
            yield f"{source}: the machine does not run any more"
    visit.machine.ping()
    left = visit.machine._qmp.command("query-fdsets")
    if left:
        yield f"QEMU still has {left}"


def stub(visit):
    """The machine stood still before, and does so afterwards, unless it is to run on."""
    visit.machine.freeze()
    yield from views(visit, visit.gdb)
    yield from memory(visit, visit.gdb)
    visit.tool.info(f"{visit.gdb}?resume=yes")
    if not visit.machine.is_running:
        yield "it does not run on, although it was told to"
    visit.tool.info(f"{visit.gdb}?resume=no")
    if visit.machine.is_running:
        yield "it runs on, although it was told not to"


def one_file(visit):
    yield from views(visit, visit.qemu)
    return (yield from memory(visit, visit.qemu))


def several_files(visit):
    visit.machine.plug(DIMM)
    yield from views(visit, visit.qemu)
    return (yield from memory(visit, visit.qemu))


def monitor(visit):
    """Not all of it is in files any more."""
    visit.machine.plug_private(DIMM)
    result = visit.tool.run("info", visit.qemu)
    if "memory is read through QEMU's monitor: private-ram" not in result.stderr:
        yield result.stderr
    yield from views(visit, visit.qemu)
    yield from memory(visit, visit.qemu)
    visit.machine.resume()
    yield from running(visit)


def check_all(session):
    for plan in plans(session.options.full):
        tests = (running, stub, one_file, several_files, monitor)  # in this order
        if not any(session.results.wants(f"{plan.name}: {test.__name__}") for test in tests):
            continue
        with guest.Guest(session.folder / plan.name) as machine:
            try:
                visit = Visit(machine, plan, session)
            except (guest.GuestError, kernels.FetchError, ToolError) as error:
                session.results.fail(f"{plan.name}: boot", error)
                continue
            for test in tests:
                session.results.check(f"{plan.name}: {test.__name__}", test, visit)
