# SPDX-License-Identifier: LGPL-2.1-or-later
"""Damage: seeded mutations of what a kernel is read by, cyclic lists, images that are cut off.

Whatever was damaged, a run has to end in time, with exit status 0, 1 or 3. A row must be one of the
undamaged image's, or lack cells; and what is missing must be said.
"""

import collections
import json
import random
from dataclasses import dataclass

from ram import PAGE
from tool import ToolError

TIMEOUT = 60
VIEWS = ("ps", "threads", "pstree", "psscan")
FOLLOWED = ("depth", "listed")  # cells that depend on other tasks' pointers
POINTERS = ("tasks.next", "tasks.prev", "thread_node.next", "real_parent", "group_leader",
            "signal", "real_cred", "thread_pid", "mm", "pid", "tgid")
# Damage there may look like an undamaged kernel that has other names, types or values.
OPAQUE = ("kallsyms", "types")


@dataclass
class Region:
    """Bytes worth damaging. unit: the size of what they consist of."""
    kind: str
    physical: int
    size: int
    unit: int = 8


# --- where to damage

def table_pages(tool, known, tasks):
    """The page tables on the way to what a view reads: the image, tasks, a process's memory."""
    ways = [(hex(known.address("linux_banner") or known.address("_stext")),)]
    ways += [(task["task"],) for task in tasks[:: max(1, len(tasks) // 8)]]
    heap = known.area("heap")
    ways.append((heap["address"], "--pid", heap["pid"]))
    entries = {int(step["entry_physical"], 16) for way in ways
               for step in tool.rows("translate", known.ram_path, *way, "--steps")}
    for entry in sorted(entries):
        # The entry itself more often than its page's other 511.
        yield Region("page tables", entry, 8)
        yield Region("page tables", entry & ~(PAGE - 1), PAGE)


def symbol_tables(known):
    names = [f"SYMBOL(kallsyms_{name})" for name in
             ("names", "token_table", "token_index", "offsets", "num_syms", "relative_base")]
    starts = sorted(int(known.vmcoreinfo[name], 16) for name in names if name in known.vmcoreinfo)
    for start, end in zip(starts, [*starts[1:], starts[-1] + PAGE] if starts else []):
        yield Region("kallsyms", known.image_physical(start), min(end - start, 1 << 20), 1)


def type_data(known):
    start, stop = known.address("__start_BTF"), known.address("__stop_BTF")
    yield Region("types", known.image_physical(start), 24, 4)
    yield Region("types", known.image_physical(start), stop - start, 4)


def member_offset(layout, path):
    """The offset of a.b in the types that "kioku type --format json" shows, None if not there."""
    name, _, rest = path.partition(".")
    member = next((item for item in layout["members"] if item["name"] == name), None)
    if member is None:
        return None
    return member["offset"] + (8 if rest == "prev" else 0)


def task_members(tool, known, tasks):
    result = tool.run("type", known.ram_path, "task_struct", "--format", "json")
    layout = json.loads(result.stdout)
    for path in POINTERS:
        offset = member_offset(layout, path)
        if offset is None:
            continue
        size = 4 if path in ("pid", "tgid") else 8
        for task in tasks:
            yield Region("tasks", int(task["physical"], 16) + offset, size, size)


def list_nodes(tool, known, tasks):
    """[(physical, virtual)] of every process's node in the list of tasks."""
    layout = json.loads(tool.run("type", known.ram_path, "task_struct",
                                 "--format", "json").stdout)
    offset = member_offset(layout, "tasks")
    return [(int(task["physical"], 16) + offset, int(task["task"], 16) + offset)
            for task in tasks if task["pid"] == task["tid"] and task["pid"]]


# --- how to damage

def mutation(generator, ram, region):
    """[(physical, bytes)]"""
    units = max(1, region.size // region.unit)
    at = region.physical + region.unit * generator.randrange(units)
    size = min(region.unit, region.physical + region.size - at)
    old = ram.read(at, size)
    other = region.physical + region.unit * generator.randrange(units)
    new = generator.choice([
        lambda: flipped(generator, old),
        lambda: flipped(generator, old),
        lambda: generator.randbytes(size),
        lambda: bytes(size),
        lambda: b"\xff" * size,
        lambda: ram.read(other, size),
        lambda: changed_byte(generator, old),
    ])()
    return [(at, new)]


def flipped(generator, data):
    bit = generator.randrange(8 * len(data))
    out = bytearray(data)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def changed_byte(generator, data):
    out = bytearray(data)
    out[generator.randrange(len(out))] = generator.randrange(256)
    return bytes(out)


def plan(seed, index, ram, regions, nodes):
    """(what is damaged, [(physical, bytes)], the view to run), always the same for a seed."""
    generator = random.Random(f"{seed}/{index}")
    view = generator.choice(["ps", "ps", "ps", "threads", "threads", "pstree", "pstree", "psscan"])
    kind = generator.choice(sorted({region.kind for region in regions} | {"list"}))
    if kind == "list":
        (place, _), (_, target) = generator.sample(nodes, 2)
        place += generator.choice((0, 0, 8))
        return kind, [(place, target.to_bytes(8, "little"))], view
    chosen = [region for region in regions if region.kind == kind]
    changes = []
    for _ in range(generator.choice((1, 1, 1, 2, 8))):
        changes += mutation(generator, ram, generator.choice(chosen))
    return kind, changes, view


# --- what must hold

class Baseline:
    """What the views show of the undamaged image."""

    def __init__(self, tool, image):
        self.rows = {view: {row["task"]: row for row
                            in tool.run(view, image, "--format", "json").rows()}
                     for view in VIEWS}

    def judge(self, view, result):
        """(problems, wrong rows, missing rows) of a run on a damaged image."""
        known = self.rows[view]
        if result.status == 1 and not result.stdout:
            return ([] if "error:" in result.stderr else ["it failed without a word"]), [], 0
        rows = partial_rows(result)
        wrong = [describe(row, known.get(row["task"])) for row in rows
                 if not is_subset(row, known.get(row["task"]))]
        found = {row["task"] for row in rows}
        # What psscan alone can find may be unrecognisable once it is damaged.
        missing = sum(row.get("listed", True) for task, row in known.items() if task not in found)
        absent = sum("absent" in row for row in rows) - sum("absent" in row
                                                            for row in known.values())
        problems = []
        if result.status == 0 and (missing or absent > 0):
            problems.append(f"{missing} rows are missing, {absent} more lack cells, but exit "
                            f"status is 0")
        if result.status == 3 and "gap:" not in result.stderr:
            problems.append("exit status is 3, but no gap is named")
        return problems, wrong, missing


def partial_rows(result):
    """The rows of --format jsonl; the last line of a run that failed may be cut off."""
    rows = []
    for line in result.stdout.splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            if result.status != 1:
                raise ToolError(f"{result.describe()}: a broken row: {line[:80]!r}") from None
    return rows


def is_subset(row, known):
    return known is not None and all(
        row[column] is None or row[column] == value for column, value in known.items()
        if column in row and column not in FOLLOWED and column not in ("absent", "escaped"))


def describe(row, known):
    if known is None:
        return f"a row of nothing: {row}"
    cells = [f"{column} {row[column]!r} for {value!r}" for column, value in known.items()
             if column in row and row[column] not in (None, value)]
    return f"task {known.get('tid', known['pid'])}: {', '.join(cells)}"


def mutations(tool, hostile, known, ram, seed, count, first=0):
    """tool is trusted to say where things are; hostile, with sanitizers, reads the damage."""
    baseline = Baseline(tool, ram.path)
    tasks = list(baseline.rows["psscan"].values())
    regions = [*table_pages(tool, known, tasks), *symbol_tables(known), *type_data(known),
               *task_members(tool, known, tasks)]
    nodes = list_nodes(tool, known, tasks)
    statistics = collections.Counter()
    addresses = {int(task["task"], 16).to_bytes(8, "little") for task in tasks}
    for index in range(first, first + count):
        kind, changes, view = plan(seed, index, ram, regions, nodes)
        where = f"--seed {seed} mutation {index} ({kind}, {view})"
        with ram.patched(changes):
            try:
                result = hostile.run(view, ram.path, "--format", "jsonl", timeout=TIMEOUT)
                problems, wrong, missing = baseline.judge(view, result)
            except ToolError as error:
                yield f"{where}: {error}"
                continue
        statistics["unharmed" if not (wrong or missing or result.status) else
                   "wrong" if wrong else "refused" if result.status == 1 else "partial"] += 1
        if kind in OPAQUE:
            problems = [problem for problem in problems if not problem.endswith("is 0")]
        if kind in OPAQUE or any(data in addresses for _, data in changes):
            wrong = []  # a pointer to another task: as it could be
        yield from (f"{where}: {problem}: {result.first_words()}" for problem in problems)
        yield from (f"{where}: {row}; exit status {result.status}" for row in wrong[:1])
    return ", ".join(f"{count} {what}" for what, count in sorted(statistics.items()))


# --- lists in a circle

def cycles(tool, hostile, known, ram, seed):
    baseline = Baseline(tool, ram.path)
    # In the list's own order: going back in it is a circle, going forward is a clean removal.
    carved = baseline.rows["psscan"]
    nodes = list_nodes(tool, known, [carved[task] for task in baseline.rows["ps"]])
    generator = random.Random(seed)
    itself = generator.choice(nodes)
    early, late = sorted(generator.sample(range(len(nodes)), 2))
    shapes = {
        "a node that is its own next": [(itself[0], itself[1])],
        "a node that is its own list": [(itself[0], itself[1]), (itself[0] + 8, itself[1])],
        "a circle without its head": [(nodes[late][0], nodes[early][1]),
                                      (nodes[early][0] + 8, nodes[late][1])],
        "a next that is no address": [(itself[0], 0x4141414141414141)],
        "a next in user space": [(itself[0], 0x400000)],
    }
    for shape, words in shapes.items():
        with ram.patched([(at, word.to_bytes(8, "little")) for at, word in words]):
            for view in VIEWS:
                result = hostile.run(view, ram.path, "--format", "jsonl", timeout=TIMEOUT)
                problems, wrong, missing = baseline.judge(view, result)
                yield from (f"{shape}: {view}: {problem}" for problem in [*problems, *wrong[:1]])
                if missing and result.status != 3:
                    yield f"{shape}: {view}: {missing} rows are missing: {result.describe()}"


# --- cut off

def truncations(tool, hostile, path, cuts, end):
    """Shorten a copy again and again, longest first; the copy is used up. A file that ends before
    end lacks memory, and info has to say so."""
    baseline = Baseline(tool, path)
    statistics = collections.Counter()
    for cut in sorted(set(cuts), reverse=True):
        with open(path, "r+b") as file:
            file.truncate(cut)
        for view in ("info", "ps"):
            try:
                result = hostile.run(view, path, "--format", "json" if view == "info" else "jsonl",
                                     timeout=TIMEOUT)
                problems, wrong, _ = ([], [], 0) if view == "info" else \
                    baseline.judge(view, result)
            except ToolError as error:
                problems, wrong, result = [str(error)], [], None
            if result and view == "info" and cut < end and result.status == 0:
                problems.append("nothing is missing, it says")
            statistics[f"{view} {result.status if result else 'violated'}"] += 1
            yield from (f"cut to {cut} bytes: {view}: {problem}"
                        for problem in [*problems, *wrong[:1]])
    return ", ".join(f"{count} {what}" for what, count in sorted(statistics.items()))


def around(boundaries, end):
    """Every boundary, one byte before and after it, and within what follows."""
    return {at + shift for at in boundaries for shift in (-1, 0, 1, 7, 4096)
            if 0 <= at + shift < end}


def hostile_files(hostile, folder, files):
    """Files that are no image at all: a clear message, soon."""
    for name, data in files.items():
        path = folder / "hostile"
        path.write_bytes(data)
        for command in ("info", "ps"):
            result = hostile.run(command, path, timeout=TIMEOUT)
            if result.status != 1 or "error:" not in result.stderr:
                yield f"{name}: {result.describe()}"
        path.unlink()
