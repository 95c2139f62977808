# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cores of processes that kioku dump makes from images: their bytes, their threads, and what gdb, with the
program, says of them. Each test yields problems."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "snapshot"))
import initramfs
import truth
from core_file import CoreFile, Missing


def dump(tool, image, pid, path, *options):
    for old in path.parent.glob(f"{path.name}*"):
        old.unlink()
    result = tool.run("dump", image, "--pid", pid, "-o", path, *options)
    if result.status:
        raise AssertionError(result.describe())
    return CoreFile(path)


def expected(area):
    if not area["filled"]:
        return bytes(area["size"])
    count = area["size"] // 64
    return b"".join(truth.record(area["name"], number) for number in range(count))


def contents(tool, known, image, folder):
    """Every area that the marker has filled, or not touched."""
    areas = known.before["areas"]
    with dump(tool, image, areas[0]["pid"], folder / "marker.core") as core:
        for area in areas:
            start = int(area["address"], 16)
            try:
                found = core.read(start, area["size"])
            except Missing as missing:
                yield f"area {area['name']}: {missing}"
                continue
            if found != expected(area):
                yield f"area {area['name']} has other bytes"
    with dump(tool, image, areas[0]["pid"], folder / "heap.core", "--area", "heap") as core:
        stray = [area["name"] for area in areas if area["name"] != "heap" and
                 core.segment(int(area["address"], 16))]
        heap = next(area for area in areas if area["name"] == "heap")
        if stray or core.read(int(heap["address"], 16), heap["size"]) != expected(heap):
            yield f"--area heap has not the heap alone, but {stray}"
    return f"{len(areas)} areas"


def parts(tool, known, image, folder):
    """Areas of one mapping, the later one first: both are there."""
    area = next(area for area in known.before["areas"] if area["name"] == "anonymous")
    start, half = int(area["address"], 16), area["size"] // 2
    options = [word for first in (start + half, start)
               for word in ("--area", f"{first:#x}-{first + half - 1:#x}")]
    with dump(tool, image, area["pid"], folder / "parts.core", *options) as core:
        if core.read(start, area["size"]) != expected(area):
            yield "the two halves are not the whole"


def lost_table(tool, known, image, folder):
    """Where a page table is not in the image, nothing is said to be zeros or never touched."""
    area = next(area for area in known.before["areas"] if area["name"] == "anonymous")
    start = int(area["address"], 16)
    steps = tool.rows("translate", image, area["address"], "--pid", area["pid"], "--steps")
    table = int(steps[-1]["entry_physical"], 16) & ~0xFFF
    placements = []
    for piece in known.facts["ram_map"]:
        first, offset = int(piece["physical"], 16), piece["offset"]
        end = first + piece["size"]
        for low, high in ((first, min(end, table)), (max(first, table + 0x1000), end)):
            if low < high:
                placements += ["--map", f"{low:#x}-{high - 1:#x}@{offset + low - first:#x}"]
    path = folder / "lost.core"
    for old in path.parent.glob(f"{path.name}*"):
        old.unlink()
    result = tool.run("dump", image, "--pid", area["pid"], "-o", path, *placements)
    if result.status != 3:
        yield result.describe()
    with CoreFile(path) as core:
        if core.segment(start):
            yield f"there is something at {start:#x}, of which nothing is known"


def threads(tool, known, image, folder):
    """All that live, with registers that are not those of anybody else."""
    pid = known.before["roles"]["threads"]
    wanted = {tid for tid, seen in known.tasks.items() if seen[0]["pid"] == pid}
    with dump(tool, image, pid, folder / "threads.core") as core:
        found = core.threads()
        if {thread.tid for thread in found} != wanted or found[0].tid != pid:
            yield f"threads are {[thread.tid for thread in found]}, not {wanted}"
        stacks = {thread.registers["rsp"] for thread in found}
        if len(stacks) != len(found):
            yield "two threads have one stack"
        for thread in found:
            for name in ("rip", "rsp"):
                if not core.segment(thread.registers[name]):
                    yield f"thread {thread.tid}: {name} leads nowhere"
    return f"{len(wanted)} threads"


def debugger(tool, known, image, folder):
    program = folder / "activity"
    program.write_bytes(initramfs.compiled(initramfs.PROGRAMS["activity"], stripped=False))
    dump(tool, image, known.before["roles"]["marker"], folder / "marker.core").file.close()
    commands = ["backtrace", "print reported_areas", "print text_on_heap"]
    words = [word for command in commands for word in ("-ex", command)]
    done = subprocess.run(["gdb", "-nx", "-batch", *words, program, folder / "marker.core"],
                          capture_output=True, text=True, timeout=300, check=False)
    patterns = (r"^#\d+ .*\brest \(", r"^#\d+ .*\bmain \(", rf"= {len(known.before['areas'])}$",
                "kioku-heap-marker-0123456789 record 00000000")
    for pattern in patterns:
        if not re.search(pattern, done.stdout, re.M):
            yield f"gdb does not say {pattern}: {done.stdout}{done.stderr}"


def refusals(tool, known, image, folder):
    """What has no memory says so; an image of nothing is not left behind."""
    for pid in (2, known.before["roles"].get("zombie", 2), 4194303):
        path = folder / "none.core"
        result = tool.run("dump", image, "--pid", pid, "-o", path)
        if result.status != 1 or path.exists():
            yield result.describe()


def vectors(tool, known, image, folder):
    """Registers that only AVX has: a CPU that has it left a text in two of them."""
    with dump(tool, image, known.before["roles"]["vectors"], folder / "vectors.core"):
        pass
    command = ["gdb", "-q", "-batch", "-core", str(folder / "vectors.core")]
    for register in ("ymm0", "ymm15"):
        command += ["-ex", f"output (char[32])${register}.v32_int8", "-ex", "echo \\n"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.stdout.count("kioku-vector-marker-0123456789AB") != 2:
        yield f"gdb says {found.stdout[-500:]} {found.stderr[-500:]}"


def check_all(session, known):
    tool, image, folder = session.tool, known.ram_path, session.folder
    session.check(known, "dump", contents, tool, known, image, folder)
    session.check(known, "dump, parts", parts, tool, known, image, folder)
    session.check(known, "dump, lost table", lost_table, tool, known, image, folder)
    session.check(known, "dump, threads", threads, tool, known, image, folder)
    session.check(known, "dump, refused", refusals, tool, known, image, folder)
    if shutil.which("gdb"):
        session.check(known, "dump, gdb", debugger, tool, known, image, folder)
        if "vectors" in known.before["roles"]:
            session.check(known, "dump, vectors", vectors, tool, known, image, folder)
    else:
        session.skip(known, "dump, gdb", "gdb is not installed")
