# SPDX-License-Identifier: LGPL-2.1-or-later
"""What processes had, and files: each view against volatility3's plugin for it, restoring files against
copying them, and the memory that it takes to list many."""

import os
import shutil
import subprocess
import sys
import time

import volatility
from measure import TOP, Line, Skipped, alternating, in_turns, mib, run

sys.path[:0] = [str(TOP / "lab"), str(TOP / "tests/guest")]
import guest  # noqa: E402
import kernels  # noqa: E402
import shells  # noqa: E402

KERNEL, MEMORY = "bookworm", 1024
LARGE, FEW, MANY = 200, 10_000, 100_000  # MiB of one file; files
ROUNDS = 3
VIEW_GOAL = 1 / 50
RECOVER_GOAL = 2
SEARCH_GOAL = 1
LISTING_GOAL = 64 << 20

RULE = """rule shell { strings: $typed = "evil.example/x" condition: $typed }
"""
# view and options, plugin and options
VIEWS = (
    (["ps"], ["linux.pslist.PsList"]),
    (["pstree"], ["linux.pstree.PsTree"]),
    (["threads"], ["linux.pslist.PsList", "--threads"]),
    (["psscan"], ["linux.psscan.PsScan"]),
    (["args"], ["linux.psaux.PsAux"]),
    (["env"], ["linux.envars.Envars"]),
    (["history"], ["linux.bash.Bash"]),
    (["maps"], ["linux.proc.Maps"]),
    (["elf"], ["linux.elfs.Elfs"]),
    (["lsof"], ["linux.lsof.Lsof"]),
    (["mounts", "--all"], ["linux.mountinfo.MountInfo"]),
    (["files"], ["linux.pagecache.Files"]),
    (["yara", "--rules", "{rules}"], ["linux.vmayarascan.VmaYaraScan", "--yara-file", "{rules}"]),
)

SETUP = """set -e
mkdir -p /files
mount -t tmpfs -o size=600m,nr_inodes=1000000 files /files
cd /files
"""
FILL = f"""{SETUP}
dd if=/dev/urandom of=large bs=1M count={LARGE} 2> /dev/null
mkdir small
busybox awk 'BEGIN {{ for (i = 0; i < {FEW}; i++) {{ f = "small/" i; print i > f; close(f) }} }}'
"""
ADD = f"""set -e
mkdir /files/empty
cd /files/empty
busybox seq 1 {MANY - FEW} | busybox xargs busybox touch
"""


class Guests:
    """Images of one guest: a shell in it; then {FEW} files and a large one; then {MANY} files."""

    def __init__(self, machine, folder):
        self.machine, self.folder = machine, folder
        typed, scripts = folder / "typed", {"fill": FILL, "add": ADD}
        typed.write_text("".join(f"{line}\n" for line in shells.TYPED))
        files = {"/typed": typed, "/bin/bash": "/bin/bash", **shells.libraries("/bin/bash")}
        for name, text in scripts.items():
            (folder / name).write_text(text)
            files[f"/{name}"] = folder / name
        machine.boot(kernels.get(KERNEL), MEMORY, cpu=volatility.FOUR_LEVELS, output=16, files=files)
        shells.Visit.start(machine, "/bin/bash")
        self.shell = self.image("shell.img")
        self.few = self.after("fill", "few.img")
        self.many = self.after("add", "many.img")

    def after(self, script, name):
        self.machine.resume()
        status, said = self.machine.said(f"sh /{script}", 600)
        if status:
            raise guest.GuestError(f"{script}: {said}")
        return self.image(name)

    def image(self, name):
        self.machine.freeze()
        self.machine.copy_ram(self.folder / name)
        return self.folder / name


# --- views

def views(kioku, guests):
    rules = written_rules(guests.folder)
    for view, plugin in VIEWS:
        view, plugin = ([word.format(rules=rules) for word in words] for words in (view, plugin))
        try:
            yield volatility.line(kioku, guests.shell, guests.folder, view, plugin, VIEW_GOAL)
        except Skipped as reason:
            yield Skipped(f"`{view[0]}`: {reason}")


def written_rules(folder):
    path = folder / "rules"
    path.write_text(RULE)
    return path


def searches(kioku, guests):
    """All memory, by programs that only search: volatility3 knows no strings of Linux."""
    rules, image = written_rules(guests.folder), guests.shell
    for what, ours, theirs in (
            ("`strings`, ASCII, 1 GiB: kioku / strings of binutils",
             ["strings", image, "--encoding", "ascii", "--columns", "physical,text"],
             ["strings", "-a", "-t", "x", image]),
            ("`yara --physical`, 1 GiB: kioku / yara",
             ["yara", image, "--physical", "--rules", rules, "--columns", "physical,rule,string"],
             ["yara", "-s", rules, image])):
        if not shutil.which(theirs[0]):
            yield Skipped(f"`{ours[0]}`: there is no other program {theirs[0]}")
            continue
        ours = [kioku, *ours, "--no-cache", "--format", "csv"]
        times = alternating(lambda: quietly(ours), lambda: quietly(theirs), ROUNDS)
        yield Line(what, *(f"{seconds:.2f} s" for seconds in times), times[0] / times[1],
                   SEARCH_GOAL)


def quietly(command):
    """Seconds of a command whose output nobody keeps."""
    started = time.perf_counter()
    subprocess.run(list(map(str, command)), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


# --- files

def restoring(kioku, guests):
    restored, copy = guests.folder / "restored", guests.folder / "copy"

    def recover():
        shutil.rmtree(restored, ignore_errors=True)
        return run([kioku, "recover", guests.few, "--fstype", "tmpfs", "--no-cache", "-o",
                    restored])[0]

    def copied():
        shutil.rmtree(copy, ignore_errors=True)
        return run(["cp", "-a", restored, copy])[0]

    mine, other = alternating(recover, copied, ROUNDS)
    shutil.rmtree(copy)
    size = sum(os.lstat(os.path.join(above, name)).st_size
               for above, _, names in os.walk(restored) for name in names)
    yield Line(f"recover of tmpfs, {FEW} files, {mib(size)}, into a folder / cp -a of these",
               f"{mine:.2f} s", f"{other:.2f} s", mine / other, RECOVER_GOAL)
    # What is written to /dev/null itself, tar does not even read.
    mine, other = in_turns(*(["sh", "-c", f"{command} | cat > /dev/null"] for command in (
        f"{kioku} recover {guests.few} --fstype tmpfs --no-cache -o -",
        f"tar -C {restored} -cf - .")), ROUNDS)
    yield Line("recover of the same as an archive / tar of these", f"{mine:.2f} s",
               f"{other:.2f} s", mine / other, RECOVER_GOAL)


def listing(kioku, image):
    """Seconds, rows, and the most private memory of a listing of all files of tmpfs."""
    command = [kioku, "files", image, "--fstype", "tmpfs", "--no-cache", "--format", "csv"]
    seconds, text, _ = run(command)
    most = 0
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = max(most, private(process.pid))
            time.sleep(0.001)
    return seconds, volatility.rows(text), most


def private(pid):
    """Bytes that are a process's own, without the image that it has mapped."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return sum(int(line.split()[1]) << 10 for line in file if line.startswith("RssAnon:"))
    except ProcessLookupError:
        return 0


def many_files(kioku, guests):
    few, many = listing(kioku, guests.few), listing(kioku, guests.many)
    yield Line(f"`files` of tmpfs: private memory, {many[1]} rows / {few[1]} rows", mib(many[2]),
               mib(few[2]), many[2] / few[2], 1.5)
    yield Line(f"`files` of tmpfs: private memory, {many[1]} rows / goal", mib(many[2]),
               mib(LISTING_GOAL), many[2] / LISTING_GOAL, 1)
    times = in_turns(*([kioku, "files", image, "--fstype", "tmpfs", "--no-cache", "--format", "csv"]
                       for image in (guests.many, guests.few)), ROUNDS)
    yield Line(f"`files` of tmpfs: time for a row, {many[1]} rows / {few[1]} rows",
               f"{times[0] * 1000:.0f} ms", f"{times[1] * 1000:.0f} ms",
               times[0] / many[1] / (times[1] / few[1]), 1.5)


def lines(kioku, booted, folder):
    """Every line of this bench; a Skipped in place of what cannot be had."""
    try:
        with guest.Guest(folder / "process") as machine:
            guests = Guests(machine, folder)
    except (guest.GuestError, kernels.FetchError, subprocess.CalledProcessError) as reason:
        yield Skipped(f"processes and files: {reason}")
        return
    for part in (views, searches, restoring, many_files):
        try:
            yield from part(kioku, guests)
        except (Skipped, subprocess.CalledProcessError) as reason:
            yield Skipped(f"processes and files: {reason}")
