# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a cold start to the process list: time and bytes, against drgn with full DWARF, against a
larger image, against the second run."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time

from measure import PEERS, STATIC, TOP, Line, Skipped, mib, run, times, touched

sys.path.insert(0, str(TOP / "tests/guest"))
from ram import copy_sparse  # noqa: E402

NEEDS_GUEST = True  # as lines() gets it
BYTES_GOAL = 16 << 20
FIRST_ROW_GOAL = 0.005  # seconds


def drgn(release):
    """The command to run drgn with the kernel's debug symbols, and its environment."""
    vmlinux = next((path for path in (PEERS / f"vmlinux-{release}",
                                      f"/usr/lib/debug/boot/vmlinux-{release}")
                    if os.path.exists(path)), None)
    if not vmlinux:
        raise Skipped(f"no vmlinux with debug symbols: neither $KIOKU_PEERS/vmlinux-{release} nor "
                      f"the package linux-image-{release}-dbg")
    if (PEERS / "drgn/bin/drgn").exists():
        command = [PEERS / "drgn/bin/drgn"]
    elif (PEERS / "drgn/drgn").is_dir():
        command = ["env", f"PYTHONPATH={PEERS / 'drgn'}", "python3", "-m", "drgn"]
    elif shutil.which("drgn"):
        command = ["drgn"]
    else:
        raise Skipped("neither $KIOKU_PEERS/drgn nor Debian's drgn is there")
    return command, vmlinux


def against_drgn(kioku, guest):
    release = json.loads((guest / "guest.json").read_text())["release"]
    dump = guest / "dump.elf"
    command, vmlinux = drgn(release)
    peer = [*command, "-q", "-c", dump, "-s", vmlinux, TOP / "bench/drgn_ps.py"]
    ours = [kioku, "ps", dump, "--no-cache", "--format", "csv"]
    columns = ("--columns", "task,pid,ppid,uid,gid,threads")
    rows = [line.split(",") for line in run([*ours, *columns])[1].splitlines()[1:]]
    theirs = [line.split(" ")[:6] for line in run(peer)[1].splitlines()]
    if sorted(rows) != sorted(theirs):
        raise Skipped(f"not the same result: {len(rows)} rows, drgn has {len(theirs)}")
    version = subprocess.run([*map(str, command), "--version"], capture_output=True, text=True)
    name = version.stdout.split(" (")[0].strip() or "drgn"
    return times(f"`ps`, cold, {dump.name} of 1 GiB: kioku / {name} with DWARF", ours, peer, 0.1)


def bytes_touched(kioku, guest):
    size = touched([kioku, "ps", guest / "ram.img", "--no-cache"])
    return Line("`ps`, cold, ram.img of 1 GiB: bytes touched / goal", mib(size), mib(BYTES_GOAL),
                size / BYTES_GOAL, 1)


def larger(kioku, guest, folder):
    """The same guest at the start of 64 GiB."""
    big, small = folder / "64g.img", guest / "ram.img"
    copy_sparse(small, big)
    os.truncate(big, 64 << 30)
    commands = [[kioku, "ps", image, "--no-cache", "--format", "csv"] for image in (big, small)]
    sizes = [touched(command) for command in commands]
    yield Line("`ps`, cold: bytes touched, 64 GiB sparse / 1 GiB", mib(sizes[0]), mib(sizes[1]),
               sizes[0] / sizes[1], 1.5)
    yield times("`ps`, cold: time, 64 GiB sparse / 1 GiB", *commands, 1.5)
    big.unlink()


def second_run(kioku, guest, folder):
    """The cache folder is filled by the run that warms up."""
    cache = f"XDG_CACHE_HOME={folder}"
    again = ["env", cache, kioku, "ps", guest / "ram.img", "--format", "csv"]
    cold = [*again, "--no-cache"]
    yield times("`ps`: second run, from the cache / cold", again, cold, 0.5)
    sizes = touched(again), touched(cold)
    yield Line("`ps`: bytes touched, second run / cold", mib(sizes[0]), mib(sizes[1]),
               sizes[0] / sizes[1], 0.5)


def first_row(kioku, guest, folder):
    """From the start of the program until the first row is there, with a profile. The static build is the one
    that is carried to a machine; the other has libraries to load."""
    for build, program in (("static build", STATIC), ("shared libraries", kioku)):
        if not program.exists():
            yield Skipped(f"{program.relative_to(TOP)} is not there")
            continue
        profile = folder / "profile"
        run([program, "profile", guest / "ram.img", "-o", profile])
        command = [program, "ps", guest / "ram.img", "--profile", profile, "--format", "csv"]
        seconds = statistics.median(until_row(command) for _ in range(21))
        profile.unlink()
        yield Line(f"`ps` with a profile, {build}: time to the first row / goal",
                   f"{seconds * 1000:.1f} ms", f"{FIRST_ROW_GOAL * 1000:.0f} ms",
                   seconds / FIRST_ROW_GOAL, 1)


def until_row(command):
    started = time.perf_counter()
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE) as process:
        process.stdout.readline()  # the heading
        process.stdout.readline()
        seconds = time.perf_counter() - started
        process.stdout.read()
    return seconds


def lines(kioku, guest, folder):
    """Every line of this bench; a Skipped in place of one that cannot be had."""
    try:
        yield against_drgn(kioku, guest)
    except Skipped as reason:
        yield reason
    yield bytes_touched(kioku, guest)
    yield from larger(kioku, guest, folder)
    yield from second_run(kioku, guest, folder)
    yield from first_row(kioku, guest, folder)
