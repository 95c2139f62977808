# SPDX-License-Identifier: LGPL-2.1-or-later
"""What benches share: two ways of doing the same work, measured in turns, and their ratio."""

import math
import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
STATIC = TOP / "build-static/kioku"
PEERS = Path(os.environ.get("KIOKU_PEERS", "/nonexistent"))

full = False  # --full of scripts/bench: as often as the goals have it


class Skipped(Exception):
    """Something that this machine does not have; the message says what."""


@dataclass
class Line:
    """One line of RESULTS.md."""
    what: str
    ours: str
    theirs: str
    ratio: float
    goal: float = math.inf  # the ratio that it should not pass; without one it is only reported

    def markdown(self):
        goal, verdict = f"{self.goal:.3g}", "met" if self.ratio <= self.goal else "**missed**"
        if self.goal == math.inf:
            goal, verdict = "", "reported"
        return f"| {self.what} | {self.ours} | {self.theirs} | {self.ratio:.3g} | " \
               f"{goal} | {verdict} |"


@dataclass
class Distribution:
    """One line of the second table of RESULTS.md."""
    what: str
    times: list  # nanoseconds
    note: str = ""

    def __str__(self):
        return " / ".join(microseconds(percentile(self.times, part)) for part in (50, 99, 100))

    def markdown(self):
        return f"| {self.what} | {len(self.times)} | {str(self).replace(' / ', ' | ')} | " \
               f"{self.note} |"


@dataclass
class Missed:
    """Deadlines that a task missed, of how many."""
    deadlines: int
    of: int
    note: str = ""

    def __str__(self):
        return f"{self.deadlines} of {self.of}{self.note}"


def missed(what, mine, other, goal=math.inf):
    """One more of each, as there may be none."""
    expected = other.deadlines * mine.of / other.of
    return Line(what, f"{mine}", f"{other}", (mine.deadlines + 1) / (expected + 1), goal)


def percentile(times, part):
    """The least of times that so many percent of them do not exceed; 100: the largest."""
    return sorted(times)[max(math.ceil(len(times) * part / 100), 1) - 1]


def microseconds(nanoseconds):
    """With three digits at least."""
    value = nanoseconds / 1000
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def run(command, **how):
    """Seconds, and what it printed on stdout and stderr."""
    started = time.perf_counter()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **how)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise Skipped(f"{Path(command[0]).name} failed: {done.stderr.strip()[-200:]}")
    return seconds, done.stdout, done.stderr


def alternating(ours, theirs, rounds):
    """The medians of what two functions return: one of each, again and again, after one to warm
    up."""
    ours(), theirs()
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return tuple(statistics.median(times) for times in zip(*pairs))


def in_turns(ours, theirs, rounds):
    """The same of two commands' times."""
    return alternating(lambda: run(ours)[0], lambda: run(theirs)[0], rounds)


def times(what, ours, theirs, goal, rounds=7, names=("", "")):
    mine, other = in_turns(ours, theirs, rounds)
    return Line(what, f"{names[0]}{mine * 1000:.1f} ms", f"{names[1]}{other * 1000:.1f} ms",
                mine / other, goal)


def touched(command):
    """Bytes of the image that a run of kioku touched, by its --stats."""
    last = run([*command, "--stats"])[2].strip().splitlines()[-1]
    return int(last.removeprefix("stats: ").split()[0])


def mib(size):
    return f"{size / (1 << 20):.1f} MiB"
