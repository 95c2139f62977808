# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots of live processes as those processes see them: the longest stop, beside gcore and beside
no snapshot at all; what a write costs meanwhile; deadlines of a real-time task; and the calls alone.
Beside some stand the microseconds of the paper whose method they follow."""

import json
import math
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import measure
from measure import (TOP, Distribution, Line, Missed, Skipped, microseconds, percentile,
                     run)

sys.path.insert(0, str(TOP / "tests/snapshot"))
import targets  # noqa: E402

METHODS = ("track", "fork", "stop")  # those that there may be
MEMORY = Path("/dev/shm")  # all write there, so that a disk is not what is measured
MIB = 1 << 20
RATE = 10000  # writes a second to random pages
WRITTEN, HELD = 128, 40000  # MiB, of which pages are written; us for which a duplicate is held
SETTLE = 1  # seconds after which no write is slower because of a snapshot before

# MiB: rounds, and how many snapshots there are in each; of gcore and of stop there is one.
COUNTS = {28: (8, 5), 256: (5, 4), 1024: (3, 3), 4096: (2, 2)}
FULL_COUNTS = {28: (20, 10), 256: (20, 10), 1024: (10, 10), 4096: (5, 8)}
THREADS = (1, 8)
TRIES = 3
FORK_GOAL = 1 / 25  # of gcore's stop
MORE = {1: 250_000, 8: 350_000}  # nanoseconds on top of what is seen without any snapshot
READ = 256 * MIB  # more than most caches hold
READ_GOAL = 1.5  # of memcpy()'s time

KILOBYTES = (16, 64, 256, 1024)  # that a task writes each period of 1 ms
SLACK = 250_000
REPORTED = 1024  # of them there is no goal: that is more than there is time for
TURNS, FULL_TURNS, TURN = 4, 72, 50  # of so many snapshots each

PAPER_CALLS = {"stop": 42, "reap": 155}
PAPER_READS = {("mem", 1): 5.07, ("mem", 64): 12.5, ("mem", 256): 35.4,
               ("peek", 1): 28.3, ("peek", 64): 1706, ("peek", 256): 6845}
PAPER_WRITES = {4: 8, 16: 22, 64: 80, 256: 297}


class Target(targets.Target):
    """A running tests/snapshot/targets/gap. Its main thread has a CPU of its own."""
    RING, ENTRY = 1 << 16, 16  # as of gap.c

    def __init__(self, bench, *words):
        try:
            super().__init__(bench.programs / "tests/snapshot/targets", "gap", "--cpu",
                             bench.cpus[-1], *words)
        except (unittest.SkipTest, AssertionError) as reason:
            raise Skipped(str(reason)) from reason
        self.notes = int(self.values["gaps"], 0)

    def read(self, memory, offset, size):
        return os.pread(memory.fileno(), size, self.notes + offset)

    def gaps(self, began, ended):
        """Those that lie between two times, oldest first: [(when it was over, length)]."""
        time.sleep(0.002)  # the last one is noted
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            count, = struct.unpack("=Q", self.read(memory, 0, 8))
            ring = self.read(memory, 8, min(count, self.RING) * self.ENTRY)
        found = sorted(struct.iter_unpack("=qq", ring))
        if count > self.RING and found[0][0] > began:
            raise Skipped(f"{self}: so many gaps that the first of them are lost")
        return [(when, length) for when, length in found if began < when - length and when < ended]


class Bench:
    def __init__(self, kioku, folder):
        self.kioku, self.folder = kioku, folder
        self.programs = kioku.parent
        # The tools have the first CPU, what looks at its clock the last: what is seen is stops, and
        # not who else wants the CPU.
        self.cpus = sorted(os.sched_getaffinity(0))
        self.methods = []

    def words(self, command):
        return ["taskset", "-c", self.cpus[0], *command]

    def snapshot(self, pid, method):
        """Its stops as kioku counts them: {what: nanoseconds}."""
        path = self.folder / "kioku.core"
        try:
            text = run(self.words([self.kioku, "snapshot", pid, "--method", method, "--digest",
                                   "none", "--format", "json", "-o", path]))[1]
        finally:
            self.forget("kioku.core*")
        return {stop["what"]: stop["nanoseconds"] for stop in json.loads(text)["stops"]}

    def gcore(self, pid):
        try:
            run(self.words(["gcore", "-o", self.folder / "gcore", pid]))
        finally:
            self.forget("gcore*")
        return {}

    def forget(self, pattern):
        for path in self.folder.glob(pattern):
            path.unlink()

    def calls(self, method, pid, *words):
        """What bench/snapshot_calls prints, a dictionary a line."""
        text = run(self.words([self.programs / "bench/snapshot_calls", method, pid, *words]))[1]
        return [json.loads(line) for line in text.splitlines()]


def find_methods(bench):
    """Sets those that this kioku has and that work here; why others do not."""
    with Target(bench, "--rss", 1) as target:
        for method in METHODS:
            done = subprocess.run([bench.kioku, "snapshot", str(target.pid), "--method", method,
                                   "--digest", "none", "-o", "-"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True)
            if done.returncode == 0:
                bench.methods.append(method)
            else:
                why = "this kioku does not have it" if done.returncode == 2 else done.stderr.strip()
                yield Skipped(f"snapshots, {method}: {why[-200:]}")


# --- stops

class Stops:
    """One target, and the longest gap that it sees in each snapshot, whichever of its stops that is;
    or in as long a time without a snapshot."""

    def __init__(self, bench, target, size, threads):
        self.bench, self.target, self.threads = bench, target, threads
        self.about = f"{size} MB, {threads} thread{'s' if threads > 1 else ''}"
        self.seen = {}  # {way: [[nanoseconds of each snapshot] of each round]}
        self.counted = {}  # {(way, what): [nanoseconds]}, by kioku's clock
        self.refused = {}  # {way: how often it was}
        self.seconds = 0.1  # that the last snapshot of the best method took

    def once(self, way):
        """On a busy machine a target may not stop in time, and be let go."""
        for _ in range(TRIES - 1):
            try:
                return self.attempt(way)
            except Skipped:
                self.refused[way] = self.refused.get(way, 0) + 1
        return self.attempt(way)

    def attempt(self, way):
        began = time.monotonic_ns()
        if way == "control":
            time.sleep(self.seconds)
            counted = {}
        elif way == "gcore":
            counted = self.bench.gcore(self.target.pid)
        else:
            counted = self.bench.snapshot(self.target.pid, way)
        ended = time.monotonic_ns()
        if way == self.bench.methods[0]:
            self.seconds = (ended - began) / 1e9
        for what, nanoseconds in counted.items():
            self.counted.setdefault((way, what), []).append(nanoseconds)
        return max((length for _, length in self.target.gaps(began, ended)), default=0)

    def measure(self, rounds, each):
        many = [*(way for way in self.bench.methods if way != "stop"), "control"]
        once = [way for way in ("stop",) if way in self.bench.methods]
        once += ["gcore"] if shutil.which("gcore") else []
        self.once(many[0])  # to warm up; and how long a snapshot takes is known
        self.counted.clear()
        for _ in range(rounds):
            found = {way: [] for way in (*many, *once)}
            for _ in range(each):
                for way in many:
                    found[way].append(self.once(way))
            for way in once:
                found[way].append(self.once(way))
            for way, stops in found.items():
                self.seen.setdefault(way, []).append(stops)

    def distribution(self, way):
        what = "no snapshot" if way == "control" else way
        return Distribution(f"longest stop that the target sees, {self.about}: {what}",
                            [stop for stops in self.seen[way] for stop in stops],
                            f"{self.refused[way]} refused" if way in self.refused else "")

    def against_gcore(self, way):
        """In each round the median of ours, and gcore's one."""
        ratio = statistics.median(statistics.median(ours) / theirs[0]
                                  for ours, theirs in zip(self.seen[way], self.seen["gcore"]))
        return Line(f"longest stop that the target sees, {self.about}: {way} / gcore, "
                    "us at p50 / p99 / max", f"{self.distribution(way)}",
                    f"{self.distribution('gcore')}", ratio, FORK_GOAL if way == "fork" else math.inf)

    def against_control(self, way):
        mine, other = (percentile(self.distribution(name).times, 99) for name in (way, "control"))
        more = MORE[self.threads]
        return Line(f"longest stop that the target sees, {self.about}: {way} / no snapshot and "
                    f"{more // 1000} us, p99", f"{microseconds(mine)} us",
                    f"{microseconds(other + more)} us", mine / (other + more), 1)

    def each_stop(self):
        """As kioku counts them, for what the target sees in a snapshot's time is not only its stops."""
        kinds = [times for (way, _), times in self.counted.items() if way == "track"]
        mine = percentile([max(stops) for stops in zip(*kinds)], 99)
        other = percentile(self.distribution("control").times, 99) + MORE[self.threads]
        return Line(f"longest stop, {self.about}: track, by kioku's clock / no snapshot and "
                    f"{MORE[self.threads] // 1000} us, p99", f"{microseconds(mine)} us",
                    f"{microseconds(other)} us", mine / other, 1)

    def lines(self):
        for way in self.bench.methods:
            if "gcore" in self.seen:
                yield self.against_gcore(way)
        if "track" in self.seen:
            yield self.each_stop()
            yield self.against_control("track")
        for way in self.seen:
            yield self.distribution(way)
            kinds = [(what, times) for (name, what), times in self.counted.items() if name == way]
            for what, times in kinds if len(kinds) > 1 else ():
                yield Distribution(f"one stop, {self.about}: {way}, {what}, by kioku's clock", times)


def stops(bench, size, threads):
    """gcore's image and what a duplicate grows to are as large as the target."""
    with open("/proc/meminfo") as file:
        available = next(int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
    if available < (3 * size + 512) << 10:
        raise Skipped(f"snapshots of {size} MB: there is not enough memory")
    with Target(bench, "--rss", size, "--threads", threads, "--rate", RATE) as target:
        found = Stops(bench, target, size, threads)
        found.measure(*(FULL_COUNTS if measure.full else COUNTS)[size])
    yield from found.lines()


# --- a task with deadlines

def deadlines(bench, kilobytes):
    """Snapshots of a real-time task, and as long without, in turns; and beside it another such task on
    the same CPU, in turns with it, of which no snapshot is taken: what is late there is so for other
    reasons."""
    late = {}  # {way: [nanoseconds after each time that it was due]}
    beside = {}  # the same, of the other
    made = {}  # {way: how many snapshots}
    ways = [way for way in bench.methods if way != "stop"]
    task = ["--period", 1000, "--kilobytes", kilobytes, "--rss", 2]
    with Target(bench, *task) as target, Target(bench, *task, "--phase", 500) as other:
        for _ in range(FULL_TURNS if measure.full else TURNS):
            for way in (*ways, "control"):
                time.sleep(SETTLE)
                began = time.monotonic_ns()
                if way == "control":
                    time.sleep(taken / 1e9)
                else:
                    made[way] = made.get(way, 0) + len(bench.calls(way, target.pid, "hold", TURN,
                                                                   5000, 15000))
                taken = time.monotonic_ns() - began
                for seen, of in (late, target), (beside, other):
                    seen.setdefault(way, []).extend(
                        length for _, length in of.gaps(began, began + taken))
    missed, missed_beside = ({way: Missed(sum(length > SLACK for length in lengths), len(lengths))
                              for way, lengths in seen.items()} for seen in (late, beside))
    for way in ways:
        goal = 1 if way == "track" and kilobytes != REPORTED else math.inf
        yield measure.missed(f"task of 1 ms that writes {kilobytes} KB: deadlines missed, {way} / "
                             "no snapshot", missed[way], missed["control"], goal)
        yield measure.missed(f"task of 1 ms that writes {kilobytes} KB: deadlines missed, {way} / "
                             "one beside it", missed[way], missed_beside[way])
    for way, times in late.items():
        yield Distribution(f"task of 1 ms that writes {kilobytes} KB: done after it is due, "
                           f"{'no snapshot' if way == 'control' else way}", times,
                           f"{missed[way].deadlines} missed, {made.get(way, 0)} snapshots")


# --- writes

def shared_or_tracked(way, call):
    """When every page that is written is, and no stop is in between."""
    if way != "track":
        return call["made"], call["let_go"]
    # Until its image is made. What comes before and after is short, and has its stops.
    quarter = (call["made"] - call["began"]) // 4
    return call["began"] + quarter, call["made"] - quarter


def writes(bench, pages):
    """How long it takes to write one word of each of some pages, none of them twice while one
    snapshot is taken; without any snapshot first, since what was shared is slower for long."""
    found = {}
    with Target(bench, "--period", 1000, "--touch", pages, "--rss", WRITTEN) as target:
        for way in ("control", *(way for way in bench.methods if way != "stop")):
            began = time.monotonic_ns()
            if way == "control":
                time.sleep(1)
                windows = [(began, time.monotonic_ns())]
            else:
                windows = [shared_or_tracked(way, call) for call in
                           bench.calls(way, target.pid, "hold", 200 if measure.full else 25, HELD,
                                       20000)]
            gaps = target.gaps(began, time.monotonic_ns())
            found[way] = [length for when, length in gaps
                          if any(first < when - length and when < last for first, last in windows)]
    plain = statistics.median(found["control"])
    for way, times in found.items():
        if not times:
            yield Skipped(f"writes of {pages} pages, {way}: too short to be seen")
            continue
        note = f"{microseconds((statistics.median(times) - plain) / pages)} more for each page"
        yield Distribution(f"write to {pages} pages: {'no snapshot' if way == 'control' else way}",
                           times, "" if way == "control" else
                           f"{note}; the paper's, for all: {PAPER_WRITES[pages]}")


# --- calls

def bash(bench):
    """What the paper measures: a shell that waits."""
    for method in bench.methods:
        if method == "stop":
            continue
        with subprocess.Popen(["bash", "-c", "read; :"], stdin=subprocess.PIPE) as shell:
            time.sleep(0.2)
            try:
                calls = bench.calls(method, shell.pid, "hold", 1000 if measure.full else 200, 0, 2000)
            finally:
                shell.stdin.close()
        for what, title in (("stop", "stopped for a duplicate"), ("reap", "stopped for its end")):
            times = [call[what] for call in calls if call[what]]
            if times:
                yield Distribution(f"bash, {method}: {title}", times,
                                   f"the paper's: {PAPER_CALLS[what]}")
        for title, first, last in (("duplicate", "began", "made"), ("end", "let_go", "ended")):
            yield Distribution(f"bash, {method}: the whole call, {title}",
                               [call[last] - call[first] for call in calls])


def reads(bench):
    names = {"mem": "by /proc/PID/mem", "peek": "by PTRACE_PEEKDATA", "copy": "by memcpy()"}
    seen = set()
    with Target(bench, "--rss", READ // MIB) as target:
        for method in bench.methods:
            if method == "stop":
                continue
            found = {(part["by"], part["size"] >> 10): part["times"] for part in
                     bench.calls(method, target.pid, "read", target.values["memory"], READ)}
            mine, other = (statistics.median(found[by, 256]) for by in ("read", "copy"))
            yield Line(f"read a duplicate, {method}, pieces of 256 KB / memcpy()",
                       f"{microseconds(mine)} us", f"{microseconds(other)} us", mine / other,
                       READ_GOAL)
            for (by, size), times in found.items():
                what = f"read {size} KB {names.get(by, f'of a duplicate, {method}')}"
                paper = PAPER_READS.get((by, size))
                if what not in seen:
                    yield Distribution(what, times, f"the paper's: {paper}" if paper else "")
                seen.add(what)


def lines(kioku, booted, folder):
    """Every line of this bench; a Skipped in place of what cannot be had."""
    if len(os.sched_getaffinity(0)) < 2:
        yield Skipped("snapshots: two CPUs are needed")
        return
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else folder,
                                     prefix="kioku-bench-") as work:
        bench = Bench(kioku, Path(work))
        try:
            yield from find_methods(bench)
        except Skipped as reason:
            yield Skipped(f"snapshots: {reason}")
            return
        parts = [lambda: bash(bench), lambda: reads(bench)]
        parts += [lambda pages=pages: writes(bench, pages) for pages in PAPER_WRITES]
        parts += [lambda size=size: deadlines(bench, size) for size in KILOBYTES]
        parts += [lambda size=size, count=count: stops(bench, size, count)
                  for size in COUNTS for count in THREADS]
        for part in parts:
            try:
                yield from part()
            except Skipped as reason:
                yield Skipped(f"snapshots: {reason}")
