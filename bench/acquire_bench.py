# SPDX-License-Identifier: LGPL-2.1-or-later
"""Acquiring inside one guest: against the limit, which is dd from /proc/kcore to /dev/null, and
against LiME's module writing to the same disk; memory and size against their goals."""

import re
import statistics
import struct
import sys
import time

from measure import STATIC, TOP, Line, Skipped, mib

sys.path[:0] = [str(TOP / "lab"), str(TOP / "tests/guest")]
import guest  # noqa: E402
import kernels  # noqa: E402
import lime_module  # noqa: E402
from acquire import system_ram  # noqa: E402

KERNEL, MEMORY = "bookworm", 512
ROUNDS = 3
PEAK_GOAL, SIZE_GOAL = 24 << 20, 8 << 20
LIMIT_GOAL = 1 / 0.8  # of the time of dd


class Machine:
    def __init__(self, machine, folder):
        self.machine = machine
        self.folder = folder

    def said(self, command, good=None):
        status, text = self.machine.said(command, 900)
        if good and status not in good:
            raise Skipped(f"{command}: exit status {status}: {text[-200:]}")
        return text

    def seconds(self, command, good=(0,)):
        self.said("rm -rf /output/*; sync; echo 3 > /proc/sys/vm/drop_caches")
        started = time.perf_counter()
        self.said(command, good)
        return time.perf_counter() - started

    def times(self, what, ours, theirs, goal, names):
        # 3: with pages that no source has, which are named; not a failure.
        pairs = [(self.seconds(ours, (0, 3)), self.seconds(theirs)) for _ in range(ROUNDS)]
        mine, other = (statistics.median(times) for times in zip(*pairs))
        return Line(what, f"{names[0]}{mine:.2f} s", f"{names[1]}{other:.2f} s", mine / other, goal)

    def dd(self):
        """A command that copies System RAM from /proc/kcore to /dev/null, a block after another."""
        head = self.folder / "kcore-head"
        self.machine.stream("dd if=/proc/kcore bs=64k count=1", head)
        ranges = system_ram(self.said("cat /proc/iomem").splitlines())
        spans = [span for bounds in ranges for span in file_spans(head.read_bytes(), *bounds)]
        return "; ".join(f"dd if=/proc/kcore of=/dev/null bs=1M iflag=skip_bytes,count_bytes "
                         f"skip={offset} count={size}" for offset, size in spans)


def file_spans(head, start, end):
    """Where an ELF file with physical addresses has a range: [(offset, size)]. The kernel's own
    text is there twice; the direct map, which is lower, counts."""
    table, = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    for index in range(count):
        kind, _, offset, virtual, physical, length, *_ = struct.unpack_from("<IIQQQQQQ", head,
                                                                            table + index * size)
        if kind == 1 and virtual < 0xFFFFFFFF80000000 and physical != 2**64 - 1:
            first, last = max(start, physical), min(end, physical + length)
            if first < last:
                yield offset + first - physical, last - first


def inside(bench):
    acquire, limit = "kioku acquire --no-context", bench.dd()
    module = "insmod /lime.ko path=/output/ram.lime format=lime{}; rmmod lime; sync"
    yield bench.times("acquire to /dev/null, no digests / dd from /proc/kcore",
                      f"{acquire} -o - --digest none > /dev/null", limit, LIMIT_GOAL, ("", "dd "))
    yield bench.times("acquire to a disk, no digests / LiME's module",
                      f"{acquire} -o /output/ram.lime --digest none; sync", module.format(""), 1,
                      ("", "LiME "))
    yield bench.times("acquire to a disk, MD5 and SHA-256 / LiME's module with SHA-256",
                      f"{acquire} -o /output/ram.lime; sync", module.format(" digest=sha256"), 1,
                      ("", "LiME "))
    yield bench.times("acquire to a disk, zstd, MD5 and SHA-256 / LiME's module with SHA-256",
                      f"{acquire} -o /output/ram.lime.zst; sync",
                      module.format(" digest=sha256"), 1, ("", "LiME "))
    yield peak(bench)


def peak(bench):
    """VmHWM, which the kernel only counts up, looked at until the program has ended."""
    text = bench.said("rm -rf /output/*; kioku acquire -o /output/ram.lime.zst & "
                      "while grep VmHWM /proc/$!/status; do busybox sleep 0.2; done")
    most = max(map(int, re.findall(r"VmHWM:\s+(\d+) kB", text))) << 10
    return Line("acquire, zstd, MD5 and SHA-256: peak resident memory / goal", mib(most),
                mib(PEAK_GOAL), most / PEAK_GOAL, 1)


def lines(kioku, booted, folder):
    """Every line of this bench; a Skipped in place of what cannot be had."""
    if not STATIC.exists():
        yield Skipped("build-static/kioku is not there")
        return
    size = STATIC.stat().st_size
    yield Line("static build: size / goal", mib(size), mib(SIZE_GOAL), size / SIZE_GOAL, 1)
    try:
        module = lime_module.module(KERNEL)
        with guest.Guest(folder / "acquire") as machine:
            machine.boot(kernels.get(KERNEL), MEMORY, output=2 * MEMORY,
                         files={"/bin/kioku": STATIC, "/lime.ko": module},
                         modules=["sha256_generic", "sha256_ssse3"])
            yield from inside(Machine(machine, folder))
    except (Skipped, guest.GuestError, kernels.FetchError) as reason:
        yield Skipped(f"acquisition: {reason}")
