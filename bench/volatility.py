# SPDX-License-Identifier: LGPL-2.1-or-later
"""A view against volatility3's plugin for the same, on the same image.

volatility3 is $KIOKU_PEERS/volatility3, as its source has it, with the guest's symbols, as dwarf2json
makes them, in $KIOKU_PEERS/symbols/linux. It cannot read five levels of page tables: guests have four."""

import csv
import statistics

from measure import PEERS, Line, Skipped, run

FOUR_LEVELS = "max,la57=off"  # a CPU of QEMU's
PYTHON = "/usr/bin/python3"   # which has the packages of the system
ROUNDS = 3


def command(image, folder, *plugin):
    program, symbols = PEERS / "volatility3/vol.py", PEERS / "symbols"
    if not program.exists():
        raise Skipped("there is no volatility3 in $KIOKU_PEERS")
    if not symbols.is_dir():
        raise Skipped("there are no symbols for volatility3 in $KIOKU_PEERS/symbols")
    cache = folder / "volatility3"
    cache.mkdir(exist_ok=True)
    return [PYTHON, program, "-q", "-r", "csv", "-s", symbols, "--cache-path", cache, "-f", image,
            *plugin]


def rows(text):
    """Of a table in CSV, without its heading; empty lines are volatility3's."""
    return max(sum(1 for row in csv.reader(text.splitlines()) if row) - 1, 0)


def line(kioku, image, folder, view, plugin, goal, name=None, may_be_empty=False):
    """view and plugin with their options. What looks for something bad may find nothing."""
    ours = [kioku, view[0], image, *view[1:], "--no-cache", "--format", "csv"]
    theirs = command(image, folder, *plugin)
    counts = [rows(run(words)[1]) for words in (ours, theirs)]
    if not all(counts) and not may_be_empty:
        raise Skipped(f"no rows to compare: kioku has {counts[0]}, {plugin[0]} {counts[1]}")
    pairs = [(run(ours)[0], run(theirs)[0]) for _ in range(ROUNDS)]
    mine, other = (statistics.median(times) for times in zip(*pairs))
    return Line(f"`{name or view[0]}`, cold, 1 GiB: kioku / volatility3's {plugin[0]}",
                f"{mine * 1000:.1f} ms, {counts[0]} rows", f"{other:.2f} s, {counts[1]} rows",
                mine / other, goal)
