# SPDX-License-Identifier: LGPL-2.1-or-later
"""Deadlines of a real-time task of which snapshots are taken, in a guest whose clock counts instructions: what
is late there is so for what kioku and the kernel do, and for nothing that this machine does besides. The task,
its kernel and kioku share one CPU, which is more than they do where a control process has one of its own."""

import json
import math
import sys
import typing

import measure
from measure import TOP, Distribution, Missed, Skipped, microseconds
from snapshot_bench import KILOBYTES, REPORTED

sys.path[:0] = [str(TOP / "lab"), str(TOP / "tests/guest")]
import guest  # noqa: E402
import kernels  # noqa: E402
import snapshots  # noqa: E402

CALLS = measure.STATIC.parent / "bench/snapshot_calls"
METHODS = ("track", "fork")
COUNT, FULL_COUNT = 100, 3600
CPU = "max,erms=off,fsrm=off"  # with these, what is copied counts as an instruction for each byte
LONGEST = '"longest":'  # of a line that snapshot_calls prints
PERIOD, HELD, PAUSE = 1000, 5137, 15411  # us; no multiples of the period


class Task(typing.NamedTuple):
    kilobytes: int  # that it writes each period
    mebibytes: int = 2  # that it has
    threads: int = 1  # others sleep for 1 ms again and again; no goal, as all stop on one CPU, one by one

    def __str__(self):
        return (f"task of 1 ms that writes {self.kilobytes} KB" +
                (f" of {self.mebibytes} MB" if self.mebibytes > 2 else "") +
                (f", {self.threads} threads" if self.threads > 1 else ""))

    def count(self):
        """How many snapshots: the less memory, the more."""
        return max((FULL_COUNT if measure.full else COUNT) * 4 // max(self.mebibytes, 4), 5)


TASKS = tuple(map(Task, KILOBYTES))
LARGE = (Task(16, 28, 8), Task(16, 256), Task(16, 256, 8), Task(16, 1024))
BY_SIZE = (Task(16), Task(16, 28), Task(16, 256))


class Kernel(typing.NamedTuple):
    name: str
    append: str
    has_goal: bool
    tasks: tuple = TASKS
    memory: int = 512  # MiB

    def __str__(self):
        return f"{self.name} {self.append}".rstrip()


# What runs such tasks: a real-time kernel, and an ordinary one in which all may be preempted. For one in which
# whatever runs beside the task on its CPU may keep it from it, there is no goal. On the last one, writes are tracked
# by soft-dirty bits.
KERNELS = (Kernel("trixie-rt", "", True), Kernel("trixie-rt", "", True, LARGE, 2 * 1024 + 1024),
           Kernel("backports", "preempt=full", True), Kernel("backports", "", False),
           Kernel("bookworm", "", False, BY_SIZE, 2048))


def run(machine, task, command):
    """What the task has missed while a command ran in the guest, which knows it as $task; and the longest
    stop of each snapshot, in nanoseconds by kioku's clock, if that is what the command was for."""
    status, text = machine.said(
        f"rm -f /run/gap; gap --period {PERIOD} --kilobytes {task.kilobytes} --rss {task.mebibytes} "
        f"--threads {task.threads} > /run/gap 2>&1 & task=$!; "
        f"until grep -q ready /run/gap; do sleep 0.1; done; {command} > /run/calls; kill $task; wait $task; "
        f"grep -o '{LONGEST}[0-9]*' /run/calls; tail -n 1 /run/gap", timeout=3600 * 4)
    try:
        *lines_before, last = text.splitlines()
        said = json.loads(last)
        stops = [int(line.removeprefix(LONGEST)) for line in lines_before if line.startswith(LONGEST)]
        refused = text.count("snapshot_calls:")
        return Missed(said["missed"], said["periods"], f", {microseconds(said['longest'])} us at most" +
                      (f", {refused} refused" if refused else "")), stops
    except (ValueError, LookupError):
        raise Skipped(f"{command} ended with {status}: {text[-300:]}") from None


def measure_one(machine, task):
    """{way: (Missed, stops)}"""
    found = {method: run(machine, task, f"snapshot_calls {method} $task hold {task.count()} {HELD} "
                                        f"{PAUSE}") for method in METHODS}
    found["control"] = run(machine, task, f"sleep {found['track'][0].of * PERIOD / 1e6:.1f}")
    return found


def of_kernel(kernel, folder):
    with guest.Guest(folder / f"{kernel} {kernel.memory}") as machine:
        machine.boot(kernels.get(kernel.name), kernel.memory, cpus=1, cpu=CPU, append=kernel.append,
                     output=64, timeout=600, virtual_time=True,
                     files={"/bin/snapshot_calls": CALLS, **snapshots.programs(folder, "gap")})
        for task in kernel.tasks:
            found = measure_one(machine, task)
            about = f"{kernel}, its own time: {task}"
            control, _ = found["control"]
            for method in METHODS:
                missed, stops = found[method]
                wanted = (kernel.has_goal and method == "track" and task.threads == 1 and
                          task.kilobytes != REPORTED)
                yield measure.missed(f"{about}: deadlines missed, {method} / no snapshot", missed, control,
                                     1 if wanted else math.inf)
                if stops:
                    yield Distribution(f"{about}: longest stop of each snapshot, {method}, by kioku's clock",
                                       stops)


def lines(kioku, booted, folder):
    """Every line of this bench; a Skipped in place of what cannot be had."""
    if not CALLS.exists():
        yield Skipped("deadlines: there is no static build")
        return
    for kernel in KERNELS:
        try:
            yield from of_kernel(kernel, folder)
        except (guest.GuestError, kernels.FetchError, Skipped) as reason:
            yield Skipped(f"deadlines, {kernel}: {reason}")
