# SPDX-License-Identifier: LGPL-2.1-or-later
"""A symbol table for volatility3 out of an image, against dwarf2json, which makes it of the same kernel's debug
symbols: $KIOKU_PEERS/dwarf2json/dwarf2json, and a vmlinux-RELEASE beside it."""

import os
import statistics
import subprocess
import sys
import time

from measure import PEERS, TOP, Line, Skipped, mib

sys.path[:0] = [str(TOP / "lab")]
import guest  # noqa: E402
import kernels  # noqa: E402

KERNEL, MEMORY = "bookworm", 512
TIME_GOAL, MEMORY_GOAL = 1 / 100, 1 / 20
ROUNDS = 5


def cost(command):
    """Seconds, those of processors, and the most memory that was resident, in bytes."""
    started = time.perf_counter()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = status
    if status:
        raise Skipped(f"{command[0]} failed: {errors.strip()[-200:]}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10


def medians(command, rounds):
    return tuple(map(statistics.median, zip(*(cost(command) for _ in range(rounds)))))


def dwarf2json(release):
    """It takes most of a minute: once is enough."""
    program, vmlinux = PEERS / "dwarf2json/dwarf2json", PEERS / f"vmlinux-{release}"
    for path in (program, vmlinux):
        if not path.exists():
            raise Skipped(f"there is no {path.relative_to(PEERS)} in $KIOKU_PEERS")
    return cost([program, "linux", "--elf", vmlinux])


def compare(kioku, image, folder, release):
    theirs = dwarf2json(release)
    for name in ("ours.json", "ours.json.xz"):
        command = [kioku, "isf", image, "-o", folder / name, "--no-cache"]
        cost(command)
        ours = medians(command, ROUNDS)
        what = f"`isf`, cold, to {name.replace('ours', '')}: kioku / dwarf2json, not compressed"
        size = mib((folder / name).stat().st_size)
        yield Line(what, f"{ours[0] * 1000:.0f} ms ({ours[1] * 1000:.0f} ms of processors), {size}",
                   f"{theirs[0]:.1f} s ({theirs[1]:.1f} s of processors)", ours[0] / theirs[0], TIME_GOAL)
        yield Line(f"{what}, peak resident memory", mib(ours[2]), mib(theirs[2]), ours[2] / theirs[2],
                   MEMORY_GOAL)


def lines(kioku, booted, folder):
    """Every line of this bench; a Skipped in place of what cannot be had."""
    try:
        kernel = kernels.get(KERNEL)
        with guest.Guest(folder / "machine") as machine:
            machine.boot(kernel, MEMORY)
            machine.freeze()
            machine.copy_ram(folder / "ram.img")
        yield from compare(kioku, folder / "ram.img", folder, kernel.release)
    except (guest.GuestError, kernels.FetchError, Skipped) as reason:
        yield Skipped(f"isf: {reason}")
