# SPDX-License-Identifier: LGPL-2.1-or-later
"""Damage to what processes have: seeded mutations of their memory maps, tables of files, files, mounts and pages.

Whatever was damaged, a run has to end in time, and to say what it lacks. What belongs to some processes alone
must not change a row of the others.
"""

import collections
import json
import random
from dataclasses import dataclass, field

import mutate
from files import members
from known import KERNEL_MAP
from ram import PAGE
from tool import ToolError

# The checks that are about what processes run.
CHECKS = ("credentials", "injected_code", "executable_memory", "deleted_executable", "preload", "ptrace")
# "{pid}": of the process that was damaged; "{out}": a file that is gone afterwards
COMMANDS = (("args",), ("env",), ("maps",), ("elf",), ("lsof", "--all"), ("mounts", "--all"),
            ("files", "--columns", "all"), ("history",), ("strings", "--pid", "{pid}"),
            ("dump", "--pid", "{pid}", "-o", "{out}"), ("recover", "--fstype", "tmpfs", "-o", "-"),
            *(("check", "--name", name) for name in CHECKS))
BY_PROCESS = ("args", "env", "maps", "elf", "lsof", "history")
PROCESSES = 12  # whose structures are looked for

# What leads on to what: a member of a member, as far as this kernel has it.
POINTERS = {
    "task_struct": {"mm": "mm_struct", "files": "files_struct", "fs": "fs_struct",
                    "nsproxy": "nsproxy", "real_cred": "cred"},
    "cred": {"user": "user_struct"},
    "mm_struct": {"mm_mt.ma_root": "maple_node", "mmap": "vm_area_struct", "exe_file": "file",
                  "pgd": "page table"},
    "vm_area_struct": {"vm_next": "vm_area_struct", "vm_file": "file"},
    "files_struct": {"fdt": "fdtable"},
    "fdtable": {"fd": "descriptors"},
    "file": {"f_inode": "inode", "f_path.dentry": "dentry"},
    "nsproxy": {"mnt_ns": "mnt_namespace"},
    "mnt_namespace": {"root": "mount"},
    "mount": {"mnt_parent": "mount", "mnt_mountpoint": "dentry"},
    "dentry": {"d_parent": "dentry", "d_inode": "inode"},
    "inode": {"i_sb": "super_block"},
}
SIZES = {"maple_node": 256, "descriptors": 512, "page table": PAGE}
# Pivots and slots of a node, by what its pointer says of it: include/linux/maple_tree.h, v6.1.
MAPLE_LEAF, MAPLE_ARANGE = 1, 3
NESTED = {"mm_mt": "maple_tree", "f_path": "path"}
OWN = {"mm_struct", "maple_node", "vm_area_struct", "files_struct", "fdtable", "descriptors",
       "page table"}


@dataclass
class Object:
    kind: str
    physical: int
    size: int
    pids: set = field(default_factory=set)


class Finder:
    """Follows pointers from tasks on, in an undamaged image."""

    def __init__(self, tool, known, ram):
        self.tool, self.known, self.ram = tool, known, ram
        self.base = int(tool.info(ram.path)["kernel"]["direct_map_base"], 16)
        self.sizes, self.offsets, self.objects = dict(SIZES), {}, {}

    def size(self, name):
        if name not in self.sizes:
            layout = self.tool.run("type", self.ram.path, f"struct {name}", "--format", "json")
            self.sizes[name] = json.loads(layout.stdout)["size"]
        return self.sizes[name]

    def offset(self, name, path):
        """None if this kernel has no such member."""
        if name not in self.offsets:
            self.offsets[name] = members(self.tool, self.ram.path, name)
        first, _, rest = path.partition(".")
        found = self.offsets[name].get(first)
        if found is None or not rest:
            return found
        return found + self.offset(NESTED[first], rest)

    def physical(self, address):
        return self.known.image_physical(address) if address >= KERNEL_MAP else address - self.base

    def word(self, address):
        data = self.ram.read(self.physical(address), 8)
        return int.from_bytes(data, "little") if len(data) == 8 else 0

    def follow(self, kind, address, pid):
        """Everything that this object leads to belongs to pid, too."""
        waiting = [(kind, address)]
        while waiting:
            kind, pointer = waiting.pop()
            address = pointer & ~0xff if kind == "maple_node" else pointer
            physical = self.physical(address)
            if self.ram.offset(physical) is None:
                continue
            known = self.objects.get(physical)
            if known and pid in known.pids:
                continue
            if not known:
                known = self.objects[physical] = Object(kind, physical, self.size(kind))
            known.pids.add(pid)
            if kind == "maple_node":
                waiting += self.slots(pointer)
            elif kind == "descriptors":
                waiting += [("file", self.word(address + at)) for at in range(0, SIZES[kind], 8)]
            else:
                waiting += self.members(kind, address)

    def members(self, kind, address):
        for path, target in POINTERS.get(kind, {}).items():
            offset = self.offset(kind, path)
            if offset is not None:
                yield target, self.word(address + offset)

    def slots(self, pointer):
        node, kind = pointer & ~0xff, pointer >> 3 & 15
        pivots, first_slot = (9, 80) if kind == MAPLE_ARANGE else (15, 128)
        for index in range(pivots + 1):
            if 0 < index < pivots and not self.word(node + 8 + 8 * index) and \
                    not self.word(node + 8 * index):
                return  # behind the last pivot are remains
            slot = self.word(node + first_slot + 8 * index)
            yield ("vm_area_struct" if kind <= MAPLE_LEAF else "maple_node"), slot


def find_objects(tool, known, ram, generator):
    """{kind: [Object]}"""
    finder = Finder(tool, known, ram)
    tasks = {row["pid"]: int(row["task"], 16)
             for row in tool.rows("ps", ram.path, "--columns", "pid,task")}
    users = sorted({row["pid"] for row in tool.rows("args", ram.path)})
    # All of them: whose an object is alone has to be known.
    for pid in users:
        finder.follow("task_struct", tasks[pid], pid)
    chosen = set(generator.sample(users, min(PROCESSES, len(users))))
    kinds = collections.defaultdict(list)
    for item in finder.objects.values():
        if item.pids & chosen and item.kind != "task_struct":
            kinds[item.kind].append(item)
    for process in known.before["processes"]:
        for page in process.get("pages", {}).values() if process["pid"] in chosen else ():
            kinds["memory"].append(Object("memory", int(page, 16), PAGE, {process["pid"]}))
    return kinds


def plan(seed, index, ram, kinds):
    generator = random.Random(f"processes/{seed}/{index}")
    item = generator.choice(kinds[generator.choice(sorted(kinds))])
    region = mutate.Region(item.kind, item.physical, item.size)
    changes = []
    for _ in range(generator.choice((1, 1, 2, 8))):
        changes += mutate.mutation(generator, ram, region)
    return item, changes, generator.choice(COMMANDS), generator.choice(sorted(item.pids))


def by_process(rows, others_than):
    return [row for row in rows if row["pid"] not in others_than]


def judge(item, command, result, baseline):
    """Problems of a run on a damaged image."""
    if result.status == 1 and "error:" not in result.stderr:
        yield "it failed without a word"
    if result.status == 3 and "gap:" not in result.stderr:
        yield "exit status is 3, but no gap is named"
    if command[0] not in BY_PROCESS or item.kind not in OWN or result.status == 1:
        return
    found, wanted = (by_process(rows, item.pids) for rows in
                     (mutate.partial_rows(result), baseline[command]))
    if found != wanted:
        different = next((pair for pair in zip(found, wanted) if pair[0] != pair[1]),
                         (len(found), len(wanted)))
        yield f"rows of processes other than {sorted(item.pids)} changed: {different}"


def mutations(tool, hostile, known, ram, folder, seed, count, first=0):
    """tool is trusted to say where things are; hostile, with sanitizers, reads the damage."""
    kinds = find_objects(tool, known, ram, random.Random(seed))
    baseline = {command: mutate.partial_rows(tool.run(*words(command, ram), "--format", "jsonl"))
                for command in COMMANDS if command[0] in BY_PROCESS}
    out, statistics = folder / "core", collections.Counter()
    for index in range(first, first + count):
        item, changes, command, pid = plan(seed, index, ram, kinds)
        where = f"--seed {seed} mutation {index} ({item.kind}, {' '.join(command)})"
        as_rows = () if "-o" in command else ("--format", "jsonl")
        with ram.patched(changes):
            try:
                result = hostile.run(*words(command, ram, pid, out), *as_rows,
                                     timeout=mutate.TIMEOUT)
                problems = list(judge(item, command, result, baseline))
            except ToolError as error:
                yield f"{where}: {error}"
                continue
            finally:
                for path in folder.glob("core*"):
                    path.unlink()
        statistics[result.status] += 1
        yield from (f"{where}: {problem}: {result.first_words()}" for problem in problems)
    return f"{sum(map(len, kinds.values()))} structures; exit statuses {dict(statistics)}"


def words(command, ram, pid=0, out=""):
    name, *options = (word.format(pid=pid, out=out) for word in command)
    return name, ram.path, *options
