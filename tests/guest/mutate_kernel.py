# SPDX-License-Identifier: LGPL-2.1-or-later
"""Damage to timers and interrupts: seeded mutations of the wheels, trees and lists that lead to them, and of
themselves. A run has to end in time, and to say what it lacks; nothing may come twice, or come from nowhere."""

import collections
import random

import mutate
from known import KERNEL_MAP
from ram import PAGE
from tool import ToolError

COMMANDS = {"timers": "timer", "irq": "address"}  # a view, and the column that tells its rows apart
PER_CPU = {"timer_bases": 3 * 4736, "hrtimer_bases": 704}  # bytes; less, of some kernels
# Of a tree whose root is in its second word: the bits of a pointer to a node that are none of its address, and
# bytes of a node.
TREES = {"irq_desc_tree": (3, 576), "sparse_irqs": (0xff, 256)}
SYMBOLS = {"softirq_vec": 80, "nmi_desc": 128, "clocksource_jiffies": 64}
SIZES = {"wheel": 40, "hrtimer": 80, "posix": 384, "irq": 512, "softirq": 8, "nmi": 48}


class Places:
    """Where things are, in an undamaged image."""

    def __init__(self, tool, known, ram):
        self.known, self.ram = known, ram
        self.base = int(tool.info(ram.path)["kernel"]["direct_map_base"], 16)

    def region(self, kind, address, size):
        """None where it is in neither of the kernel's linear mappings, such as a stack."""
        physical = self.known.image_physical(address) if address >= KERNEL_MAP else address - self.base
        if physical < 0 or self.ram.offset(physical) is None:
            return None
        return mutate.Region(kind, physical, min(size, PAGE - physical % PAGE) if size < PAGE else size)

    def word(self, address):
        region = self.region("", address, 8)
        return int.from_bytes(self.ram.read(region.physical, 8), "little") if region else 0

    def all(self, rows):
        for row in rows:
            address = row.get("timer") or row.get("address")
            if address:
                yield self.region(row["kind"], int(address, 16), SIZES[row["kind"]])
        offsets = self.known.address("__per_cpu_offset")
        for cpu in range(self.known.before["cpus"]):
            for name, size in PER_CPU.items():
                yield self.region(name, self.known.address(name) + self.word(offsets + 8 * cpu) & (1 << 64) - 1, size)
        for name, size in SYMBOLS.items():
            yield self.region(name, self.known.address(name), size)
        for name, (bits, size) in TREES.items():
            if address := self.known.address(name):
                yield self.region(name, address, 16)
                yield self.region(f"node of {name}", self.word(address + 8) & ~bits, size)


def plan(seed, index, ram, kinds):
    generator = random.Random(f"kernel/{seed}/{index}")
    kind = generator.choice(sorted(kinds))
    changes = []
    for _ in range(generator.choice((1, 1, 2, 8))):
        changes += mutate.mutation(generator, ram, generator.choice(kinds[kind]))
    return kind, changes


def judge(result, column, limit):
    """Problems of a run on a damaged image."""
    rows = mutate.partial_rows(result)
    if result.status == 1 and "error:" not in result.stderr:
        yield "it failed without a word"
    if result.status == 3 and "gap:" not in result.stderr:
        yield "exit status is 3, but no gap is named"
    if len(rows) > limit:
        yield f"{len(rows)} rows"
    if column == "timer":
        seen = collections.Counter(row["timer"] for row in rows if row["timer"])
        yield from (f"{timer} comes {count} times" for timer, count in seen.items() if count > 1)


def mutations(tool, hostile, known, ram, seed, count, first=0):
    """tool is trusted to say where things are; hostile, with sanitizers, reads the damage."""
    views = {view: tool.rows(view, ram.path, "--columns", "all") for view in COMMANDS}
    kinds = collections.defaultdict(list)
    for region in Places(tool, known, ram).all([row for rows in views.values() for row in rows]):
        if region:
            kinds[region.kind].append(region)
    statistics = collections.Counter()
    for index in range(first, first + count):
        kind, changes = plan(seed, index, ram, kinds)
        with ram.patched(changes):
            for view, column in COMMANDS.items():
                where = f"--seed {seed} mutation {index} ({kind}, {view})"
                try:
                    result = hostile.run(view, ram.path, "--columns", "all", "--format", "jsonl",
                                         timeout=mutate.TIMEOUT)
                    problems = list(judge(result, column, len(views[view]) + 100))
                except ToolError as error:
                    yield f"{where}: {error}"
                    continue
                statistics[result.status] += 1
                yield from (f"{where}: {problem}: {result.first_words()}" for problem in problems)
    return f"{sum(map(len, kinds.values()))} structures of {len(kinds)} kinds; exit statuses {dict(statistics)}"
