# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is known about a guest: the folder that lab/boot made of it, and what its truths allow."""

import functools
import json
import re
import tarfile
from pathlib import Path

from ram import Ram

KERNEL_MAP = 0xFFFFFFFF80000000  # __START_KERNEL_map, Documentation/arch/x86/x86_64/mm.rst


class Known:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.facts = self.load("guest.json")
        self.before = self.load("truth.json")
        self.after = self.load("truth-after.json")
        self.first_boot = self.load("truth-first-boot.json")  # of a guest that was reset
        self.visitors = self.facts.get("visitors", ())  # programs that ran between the truths
        self.truths = [truth for truth in (self.before, self.after) if truth]

    def load(self, name):
        path = self.folder / name
        return json.loads(path.read_text()) if path.exists() else None

    @property
    def name(self):
        return self.folder.name

    @property
    def ram_path(self):
        return self.folder / "ram.img"

    def ram(self):
        return Ram(self.ram_path, self.facts["ram_map"])

    def dumps(self):
        """{name: path} of QEMU's dumps of the same moment."""
        return {name: self.folder / file for name, file in self.facts["dumps"].items()}

    # --- tasks

    @functools.cached_property
    def tasks(self):
        """{tid: [the task in each truth that has it]}"""
        found = {}
        for truth in self.truths:
            for task in truth["tasks"]:
                found.setdefault(task["tid"], []).append(task)
        return found

    def steady(self, tid):
        """Whether a task must be in the image: it was there before and after the freeze.

        After a panic nobody can be asked; a kernel thread may have come or gone by then.
        """
        seen = self.tasks[tid]
        if self.after:
            return len(seen) == 2
        return not name(seen[0]).startswith(b"kworker/")

    def is_left_over(self, tid, comm):
        """Whether a task may be of the boot before the reset: memory keeps what that left, as a
        whole or without its ids (tid is None). Nobody was asked again just before the reset, when
        one more worker may have come."""
        if not self.first_boot:
            return False
        return comm.startswith(b"kworker/") or any(
            tid in (task["tid"], None) and name(task) == comm
            for task in self.first_boot["tasks"])

    def may_be_new(self, comm):
        return (not self.after or self.visitors) and comm.startswith(b"kworker/") or \
            comm.decode(errors="replace") in self.visitors

    def allowed(self, tid, field):
        return {task[field] for task in self.tasks[tid]}

    def names(self, tid):
        return {name(task) for task in self.tasks[tid]}

    def states(self, tid):
        """The state letters that a task may have, None where the truths do not tell it.

        Who runs while the guest is asked (the agent, RCU's threads) may rest when it is frozen, and
        a kernel thread may run by chance; after a panic, or where a guest acquires itself, all of
        them are a matter of luck.
        """
        states = self.allowed(tid, "state")
        kernel_thread = self.tasks[tid][0]["kernel_thread"]
        if len(states) > 1 or "R" in states or \
                (kernel_thread and (self.visitors or not self.after)):
            return None
        return states | ({"R"} if kernel_thread else set())

    def started(self, tid):
        """When a task was started, in seconds since 1970: at most two seconds too early, because
        btime is in whole seconds and start_ticks in hundredths; both are rounded down."""
        task = self.tasks[tid][0]
        return self.before["btime"] + task["start_ticks"] / self.before["clock_ticks"]

    # --- memory

    def processes(self):
        """Every process that was there all the time, as (before, after or the same); not the
        agent, whose memory changes while it looks."""
        after = {process["pid"]: process for process in (self.after or self.before)["processes"]}
        for process in self.before["processes"]:
            if process["pid"] in after and process["pid"] != 1:
                yield process, after[process["pid"]]

    def area(self, name):
        return next(area for area in self.before["areas"] if area["name"] == name)

    # --- the kernel

    @functools.cached_property
    def kallsyms(self):
        """[(address, type, name)] without the symbols of modules, BPF programs and the like."""
        lines = (self.folder / "truth-kallsyms.txt").read_text().splitlines()
        return [(int(address, 16), kind, symbol)
                for address, kind, symbol, *module in map(str.split, lines) if not module]

    def address(self, symbol):
        """The first address of a symbol; None if there is none."""
        return next((address for address, _, name in self.kallsyms if name == symbol), None)

    @functools.cached_property
    def vmcoreinfo(self):
        """{key: text} of the note that the kernel keeps for crash dumps."""
        place = self.before["vmcoreinfo"]
        with self.ram() as ram:
            text = ram.read(int(place["physical"], 16), place["size"])
        lines = re.findall(rb"^\W*([A-Z][A-Za-z_]*(?:\([^)]*\))?)=(.*)$", text, re.M)
        return {key.decode(): value.decode() for key, value in lines}

    def image_physical(self, virtual):
        """Where an address of the kernel image lies: arch/x86/mm/physaddr.c."""
        return virtual - KERNEL_MAP + int(self.vmcoreinfo["NUMBER(phys_base)"])

    def iomem(self, name):
        """(start, end), end included, of every resource with a name, wherever it is nested."""
        found = [re.fullmatch(r" *(\w+)-(\w+) : (.*)", line) for line in self.before["iomem"]]
        return [(int(match[1], 16), int(match[2], 16)) for match in found if match[3] == name]

    def archived(self, path, truth="truth"):
        """A file as the guest saw it, such as "proc/1/smaps"."""
        with self.tar(truth) as tar:
            return tar.extractfile(path).read()

    def archive(self, truth, pattern):
        """{path: contents} of every such file whose path begins with what a pattern matches."""
        with self.tar(truth) as tar:
            return {member.name: tar.extractfile(member).read() for member in tar
                    if member.isfile() and re.match(pattern, member.name)}

    def tar(self, truth):
        return tarfile.open(self.folder / f"{truth}.tar", encoding="utf-8", errors="surrogateescape")


def name(task):
    """task_struct.comm. /proc/PID/comm tells more of a kworker, and has no more than "sched" for
    other tasks; some kernels have no "sched"."""
    text = task["task_comm_hex"]
    return bytes.fromhex(task["comm_hex"])[:15] if text is None else bytes.fromhex(text)
