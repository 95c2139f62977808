# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that have swapped processes and tmpfs files out: to a disk, to zswap and to zram. What kioku has of
them from an image, with and without the disk, against what they hold. Each test yields problems."""

import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "snapshot"))
import guest
import kernels
import peers
from core_file import CoreFile
from files import emptied, restored
from remote import compiled

PAGE = 4096
DISKS = {"vdc": 20, "vdd": 96}  # MiB: the one of the program "disk", and one that zswap is in front of
ZRAM = 64           # MiB of each zram device
NOISE = 64          # pages of the area of that
INEXACT = 1 << 19   # bytes: 32 pages a CPU of each kind, MEMCG_CHARGE_BATCH
ROUNDS = 60         # attempts to have the kernel swap a program out
UUID, LAST_PAGE, KEPT_MAGIC = 1036, 1028, PAGE - 20
ZSWAP = "/sys/module/zswap/parameters"
MODULES = ["zsmalloc", "zram", "zstd", "lz4", "lz4_compress", "deflate", "z3fold", "crypto_zstd"]


# --- what the guest's programs hold: programs/swapped.c

def noise(name, number):
    """Nothing that a codec makes smaller."""
    x, out = (number * 2654435761 + ord(name[-1])) & 0xFFFFFFFF, bytearray(PAGE)
    for index in range(PAGE):
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
        out[index] = x >> 24
    return bytes(out)


def page(name, number):
    mask, kind = 0xFFFFFFFF, number % 16
    if kind == 0:
        return bytes(PAGE)
    if kind == 1:
        return bytes([number & 255]) * PAGE
    out = bytearray(PAGE)
    if kind == 2:
        line = f"kioku {name} sparse {number:08d}".encode()
        for start in (number * 37 % 3000, 3500):
            out[start:start + len(line)] = line
        return bytes(out)
    for index in range(PAGE // 64):
        word = (number * 2654435761 + index * 40503) & mask
        line = f"kioku {name} page {number:08d} line {index:02d} {word:08x}".encode()[:63]
        out[64 * index:64 * index + len(line)] = line
    return bytes(out)


def pages(name, area):
    """What an area holds; the smallest one is noise."""
    make = noise if area[1] == NOISE else page
    return [make(name, number) for number in range(area[1])]


@dataclass(frozen=True)
class Plan:
    """One program, and where the kernel is to put what it has."""
    name: str
    place: str  # disk, zswap, zram
    codec: str = ""
    pool: str = ""


# Which pools and codecs a kernel has is its own affair: what it does not take is skipped.
DISK_PLAN = Plan("disk", "disk")
PLANS = [Plan("zswap-lzo", "zswap", "lzo", "zbud"),
         Plan("zswap-zstd", "zswap", "zstd", "zsmalloc"), Plan("zram-lzo-rle", "zram", "lzo-rle"),
         Plan("zram-zstd", "zram", "zstd")]
MORE_PLANS = [Plan("zswap-lz4", "zswap", "lz4", "z3fold"),
              Plan("zswap-deflate", "zswap", "deflate", "zsmalloc"), Plan("zram-lz4", "zram", "lz4"),
              Plan("zram-lz4hc", "zram", "lz4hc"), Plan("zram-deflate", "zram", "deflate")]


@dataclass
class Held:
    """A program that was swapped out."""
    plan: Plan
    pid: int
    areas: list    # (address, pages)
    files: dict    # path below the mount: SHA-256, as the guest had it before
    is_untyped: bool = False  # of the module that keeps it the kernel has no types

    @property
    def mount(self):
        return f"/{self.plan.name}"


class Visit:
    """A guest that has swapped, at two moments: when only its disk was used, and when all else was. Images
    of memory and disks of one moment lie side by side; disk-later.img is the disk when other things had
    been swapped out to it."""

    def __init__(self, machine, kernel, session, plans, acquirer=None):
        self.machine, self.folder, self.kernel = machine, machine.folder, kernel
        self.tool, self.hostile = session.tool, session.hostile
        self.folder.mkdir(parents=True, exist_ok=True)
        machine.boot(kernels.get(kernel), memory=512, cpu="max,la57=off", append="init_on_free=1",
                     output=640 if acquirer else 16, modules=MODULES,
                     files={"/bin/swapped": compiled("swapped", session.folder),
                            **({"/bin/kioku": acquirer} if acquirer else {})},
                     arguments=[word for disk in DISKS for word in self.make_disk(disk)])
        self.must("busybox mkdir -p /cgroup; mount -t cgroup2 none /cgroup; "
                  "echo +memory > /cgroup/cgroup.subtree_control")
        self.zrams, self.held, self.refused = 0, {}, {}
        self.must(f"echo N > {ZSWAP}/enabled; swapped on /dev/vdc 1")
        self.held["disk"] = self.swap_out(DISK_PLAN)
        self.keep("disk", ["vdc"])
        self.change(self.held["disk"])
        self.keep_disk("vdc", "disk-later.img")
        machine.resume()
        self.has_acquired = bool(acquirer)
        if acquirer:
            self.must("kioku acquire --swap --no-context -o /output/live.lime", 600)
            machine.take(self.folder / "live")
            self.must("busybox rm /output/live.lime*")
        self.must("swapped on /dev/vdd 2")
        for plan in plans:
            if why := self.prepare(plan):
                self.refused[plan.name] = why
            else:
                self.held[plan.name] = self.swap_out(plan)
        self.keep("all", DISKS)

    def make_disk(self, name):
        path = self.folder / f"{name}.disk"
        path.unlink(missing_ok=True)
        path.touch()
        os.truncate(path, DISKS[name] << 20)
        subprocess.run(["mkswap", "-q", "-L", "lab", path], check=True)
        return ["-drive", f"file={path},format=raw,if=none,id={name}", "-device",
                f"virtio-blk-pci,drive={name}"]

    def keep(self, moment, disks):
        self.machine.freeze()
        self.machine.copy_ram(self.folder / f"{moment}.img")
        for disk in disks:
            self.keep_disk(disk, f"{moment}-{disk}.img")
        self.machine.resume()

    def keep_disk(self, name, file):
        self.machine.freeze()
        subprocess.run(["cp", "--sparse=always", self.folder / f"{name}.disk", self.folder / file],
                       check=True)

    def image(self, held):
        return self.folder / ("disk.img" if held.plan.place == "disk" else "all.img")

    @property
    def swap(self):
        return self.folder / "disk-vdc.img"

    @property
    def later(self):
        return self.folder / "disk-later.img"

    def swaps(self, held, is_noise=False):
        """Options for what is on a disk: of zswap's only what it cannot make smaller."""
        if held.plan.place == "zswap" and is_noise:
            return ["--swap", self.folder / "all-vdd.img"]
        return ["--swap", self.swap] if held.plan.place == "disk" else []

    def must(self, command, timeout=180):
        status, text = self.machine.said(command, timeout)
        if status:
            raise guest.GuestError(f"{command}: exit status {status}: {text}")
        return text

    # --- where to

    def prepare(self, plan):
        """Why a kernel cannot do it, or None."""
        if plan.place == "zram":
            return self.prepare_zram(plan)
        enabled = "Y" if plan.place == "zswap" else "N"
        for parameter, value in (("zpool", plan.pool), ("compressor", plan.codec)):
            file = f"{ZSWAP}/{parameter}"
            if not value or self.machine.said(f"test -e {file}")[0]:
                continue
            self.machine.said(f"echo {value} > {file}")
            if (is_now := self.must(f"cat {file}").strip()) != value and parameter != "zpool":
                return f"its zswap has {is_now}, not {value}"
        self.must(f"echo {enabled} > {ZSWAP}/enabled")
        return None

    def prepare_zram(self, plan):
        self.must(f"echo N > {ZSWAP}/enabled")
        number = int(self.must("cat /sys/class/zram-control/hot_add")) if self.zrams else 0
        block = f"/sys/block/zram{number}"
        self.zrams += 1
        self.machine.said(f"echo {plan.codec} > {block}/comp_algorithm")
        if f"[{plan.codec}]" not in (known := self.must(f"cat {block}/comp_algorithm")):
            return f"its zram has {known.strip()}"
        # swapoff has the kernel forget the slots of other areas that it keeps for itself.
        self.must(f"echo {ZRAM}M > {block}/disksize; busybox mkswap /dev/zram{number}; "
                  f"swapped on /dev/zram{number} {10 + number}; busybox swapoff /dev/zram{number}; "
                  f"swapped on /dev/zram{number} {10 + number}")
        return None

    # --- what

    def swap_out(self, plan):
        name = plan.name
        self.must(f"busybox mkdir -p /{name} /cgroup/{name}; mount -t tmpfs -o size=64m {name} /{name}")
        self.must(f"(sh -c 'echo 0 > /cgroup/{name}/cgroup.procs; exec swapped {name}' < /dev/null "
                  f"> /dev/null 2>&1 &); until test -s /output/{name}; do busybox sleep 0.2; done")
        digests = self.must(f"cd /{name}; busybox find . -type f -exec busybox sha256sum '{{}}' +")
        self.reclaim(name)
        pid, *numbers = self.must(f"cat /output/{name}").split()
        areas = [(int(start, 16), int(count)) for start, count in zip(numbers[::2], numbers[1::2])]
        files = {path: digest for digest, path in
                 (line.split("  ./") for line in digests.splitlines())}
        return Held(plan, int(pid), areas, files, self.is_untyped(plan))

    def is_untyped(self, plan):
        module = "zram" if plan.place == "zram" else plan.pool
        return bool(module) and self.machine.said(
            f"busybox grep -q '^{module} ' /proc/modules && ! test -e /sys/kernel/btf/{module}")[0] == 0

    def reclaim(self, name):
        """Until nothing of the group is in memory, the swap cache included."""
        group = f"/cgroup/{name}"
        is_old = self.machine.said(f"test -e {group}/memory.reclaim")[0] != 0
        command = f"echo 64M > {group}/memory.reclaim"
        if is_old:  # before v5.19; what a CPU has set aside stays there until memory is compacted
            command = (f"echo 1 > /proc/sys/vm/compact_memory; echo 4096 > {group}/memory.high; "
                       f"echo max > {group}/memory.high")
        for number in range(ROUNDS):
            self.machine.said(command)
            stat = dict(line.split() for line in self.must(f"cat {group}/memory.stat").splitlines())
            left = sum(int(stat.get(kind, 0)) for kind in ("anon", "shmem", "swapcached"))
            # Old kernels are not exact there; what kioku counts must be.
            if left == 0 or (is_old and number > 8 and left < INEXACT):
                return
            time.sleep(0.2)
        raise guest.GuestError(f"{name} is still in memory: {stat}")

    def change(self, held):
        """The program writes other things to all of its pages, and is swapped out again."""
        name = held.plan.name
        self.must(f"kill -USR1 {held.pid}; until test -s /output/{name}-later; "
                  f"do busybox sleep 0.2; done")
        self.reclaim(name)


# --- everything that was swapped out

def memory(visit, held):
    """read: every page of the process."""
    for start, count in held.areas:
        result = visit.tool.run("read", visit.image(held), hex(start), count * PAGE, "--pid", held.pid,
                                "--format", "raw", *visit.swaps(held, count == NOISE))
        if result.status:
            yield result.describe()
        expected = pages(held.plan.name, (start, count))
        found = [result.stdout[at:at + PAGE] for at in range(0, len(result.stdout), PAGE)]
        wrong = [number for number in range(count) if found[number:number + 1] != expected[number:number + 1]]
        if wrong:
            yield f"{len(wrong)} of {count} pages at {start:#x} are others: {wrong[:8]}"
    return f"{sum(count for _, count in held.areas)} pages"


def core(visit, held):
    """dump: the same in a core."""
    path = visit.folder / "process.core"
    for old in visit.folder.glob("process.core*"):
        old.unlink()
    result = visit.tool.run("dump", visit.image(held), "--pid", held.pid, "-o", path, *visit.swaps(held, True))
    if result.status:
        yield result.describe()
    with CoreFile(path) as file:
        for start, count in held.areas:
            if file.read(start, count * PAGE) != b"".join(pages(held.plan.name, (start, count))):
                yield f"the area at {start:#x} has other bytes"


def recovered(visit, held, *options):
    """(what recover says, {path: SHA-256})"""
    with emptied(visit.folder / "restored") as folder:
        result = visit.tool.run("recover", visit.image(held), "--fstype", "tmpfs", "--path", held.mount, "-o",
                                folder, *options)
        [top] = folder.glob("tmpfs-*") if folder.exists() else [folder]
        return result, {os.fsdecode(path): file.sha256 for path, file in restored(top).items()
                        if file.kind == "file"}


def tmpfs(visit, held):
    """recover: every file."""
    result, found = recovered(visit, held, *visit.swaps(held))
    if result.status:
        yield result.describe()
    for path in sorted(set(found.items()) ^ set(held.files.items())):
        yield f"{path}"
    return f"{len(found)} files"


def counts(visit, held):
    """maps and files say that all of it is swapped out, as the guest does: no test passes by chance."""
    rows = visit.tool.rows("maps", visit.image(held), "--pid", held.pid, "--columns", "start,end,resident,swapped")
    for start, count in held.areas:
        row = next(row for row in rows if int(row["start"], 16) <= start < int(row["end"], 16))
        if row["resident"] or row["swapped"] != count * PAGE:
            yield f"the area at {start:#x}: {row}"
    rows = visit.tool.rows("files", visit.image(held), "--fstype", "tmpfs", "--path", held.mount, "--columns",
                           "path,type,pages,swapped")
    if present := [row for row in rows if row["type"] == "regular" and (row["pages"] or not row["swapped"])]:
        yield f"files: {present[:3]}"


def untyped(visit, held):
    """Kernels before v5.11 keep no types of modules: nothing is made up, and it is said."""
    for start, count in held.areas:
        result = visit.tool.run("read", visit.image(held), hex(start), count * PAGE, "--pid", held.pid,
                                "--format", "json", *visit.swaps(held, count == NOISE))
        expected = b"".join(pages(held.plan.name, (start, count)))
        for part in result.document()["parts"]:
            data, at = bytes.fromhex(part.get("bytes", "")), int(part["address"], 16) - start
            if data != expected[at:at + len(data)]:
                yield f"other bytes at {part['address']}"
        if result.status and "keeps no types of modules" not in result.stderr:
            yield result.describe()


# --- without the disk, and with a wrong one

def lacking(visit, held):
    """Without --swap nothing of it is there; it is said where it is, and no byte is made up."""
    for start, count in held.areas:
        result = visit.tool.run("read", visit.image(held), hex(start), count * PAGE, "--pid", held.pid,
                                "--format", "json")
        expected = pages(held.plan.name, (start, count))
        parts = result.document()["parts"] if result.stdout else []
        for part in parts:
            first = (int(part["address"], 16) - start) // PAGE
            if "missing" in part:
                if part["missing"] != "paged out":
                    yield f"page {first}: {part['missing']}"
            elif bytes.fromhex(part["bytes"]) != (found := b"".join(
                    expected[first:first + len(part["bytes"]) // 2 // PAGE])) or found.strip(b"\0"):
                # That a page is zeros is what newer kernels know without the disk.
                yield f"page {first} has bytes"
        if result.status not in (1, 3) or not names_area(result.stderr):
            yield result.describe()
    result, found = recovered(visit, held)
    if result.status != 3 or not names_area(result.stderr):
        yield result.describe()
    rows = visit.tool.rows("recover", visit.image(held), "--fstype", "tmpfs", "--path", held.mount,
                           "--list-missing")
    if {row["reason"] for row in rows} != {"swapped out"}:
        yield f"missing: {rows[:3]}"
    listed = {row["path"].partition("/")[2] for row in rows}
    zeros = {f"small/{number:02d}" for number in range(4, 60) if (number + 4) % 16 == 0}
    if not held.files.keys() - zeros <= listed <= held.files.keys():
        yield f"files with something missing: {sorted(held.files.keys() ^ listed)}"
    yield from hollow(visit, held)


def hollow(visit, held):
    """A core without the pages: in none of its program headers."""
    path = visit.folder / "hollow.core"
    for old in visit.folder.glob("hollow.core*"):
        old.unlink()
    result = visit.tool.run("dump", visit.image(held), "--pid", held.pid, "-o", path)
    if result.status != 3 or not names_area(result.stderr):
        yield result.describe()
    with CoreFile(path) as file:
        for start, count in held.areas:
            expected = pages(held.plan.name, (start, count))
            made_up = [number for number in range(count) if file.segment(start + number * PAGE) and
                       expected[number].strip(b"\0")]
            if made_up:
                yield f"the core has {len(made_up)} pages of the area at {start:#x}"


def names_area(text):
    return re.search(r"swap area 0: vdc\b.*--swap", text)


def wrong_files(visit, held):
    """Files that are not the disk's are refused, and why."""
    with open(visit.swap, "rb") as file:
        header = file.read(PAGE)
    size = os.stat(visit.swap).st_size

    def changed(offset, data):
        return header[:offset] + data + header[offset + len(data):]

    cases = {
        "another UUID": (changed(UUID, os.urandom(16)), size, "none of this kernel's areas"),
        "another size": (changed(LAST_PAGE, struct.pack("<I", size // PAGE // 2 - 1)), size // 2,
                         "none of this kernel's areas"),
        "no header": (bytes(PAGE), size, "header of a swap area"),
        "nothing": (b"", 0, "empty"),
        "a few bytes": (header[:100], 100, "header of a swap area"),
    }
    path, (start, _) = visit.folder / "wrong.img", held.areas[0]
    for name, (data, length, words) in cases.items():
        path.write_bytes(data)
        os.truncate(path, length)
        result = visit.hostile.run("read", visit.image(held), hex(start), PAGE, "--pid", held.pid, "--swap", path)
        if result.status != 1 or words not in result.stderr or result.stdout:
            yield f"{name}: {result.describe()}"
    path.unlink()
    result = visit.hostile.run("read", visit.image(held), hex(start), PAGE, "--pid", held.pid, "--swap",
                               visit.swap, "--swap", visit.swap)
    if result.status != 1 or "which has a file" not in result.stderr:
        yield f"twice: {result.describe()}"


def hibernated(visit, held):
    """The disk of a machine that was hibernated afterwards is refused: it is of another moment."""
    path, (start, _) = visit.folder / "hibernated.img", held.areas[0]
    shutil.copy(visit.swap, path)
    with open(path, "r+b") as file:
        file.seek(KEPT_MAGIC)
        file.write(b"SWAPSPACE2" + b"S1SUSPEND\0")
    result = visit.hostile.run("read", visit.image(held), hex(start), 16 * PAGE, "--pid", held.pid, "--format",
                               "raw", "--swap", path)
    path.unlink()
    if result.status != 1 or result.stdout or "a hibernated system is in it" not in result.stderr:
        yield result.describe()


def cut(visit, held):
    """A file that ends too early: what is beyond its end is absent."""
    path, (start, count) = visit.folder / "cut.img", held.areas[0]
    shutil.copy(visit.swap, path)
    os.truncate(path, 2 << 20)
    result = visit.hostile.run("read", visit.image(held), hex(start), count * PAGE, "--pid", held.pid,
                               "--format", "raw", "--pad", "--swap", path)
    path.unlink()
    expected = pages(held.plan.name, (start, count))
    found = [result.stdout[at:at + PAGE] for at in range(0, count * PAGE, PAGE)]
    wrong = [number for number in range(count) if found[number] not in (expected[number], bytes(PAGE))]
    if result.status not in (1, 3) or wrong or "does not have" not in result.stderr:
        yield f"{result.describe()}: {wrong[:8]}"


def compressed(visit, held):
    """In frames of 1 MiB, as kioku makes them."""
    path, (start, count) = visit.folder / "swap.img.zst", held.areas[0]
    with open(visit.swap, "rb") as swap, open(path, "wb") as out:
        while part := swap.read(1 << 20):
            subprocess.run(["zstd", "-q", "-1", f"--stream-size={len(part)}"], input=part, stdout=out, check=True)
    result = visit.tool.run("read", visit.image(held), hex(start), count * PAGE, "--pid", held.pid, "--format",
                            "raw", "--swap", path)
    if result.status or result.stdout != b"".join(pages(held.plan.name, (start, count))):
        yield result.describe()
    path.unlink()


def acquired(visit, held):
    """What a guest acquires itself, with its swap area."""
    image = visit.folder / "live/live.lime"
    options = ["--swap", image.with_name("live.lime.swap0")]
    for start, count in held.areas:
        result = visit.tool.run("read", image, hex(start), count * PAGE, "--pid", held.pid, "--format", "raw",
                                *options)
        if result.status or result.stdout != b"".join(pages(f"{held.plan.name}-later", (start, count))):
            yield result.describe()


# --- a disk of another moment

MAY_BE_STALE = re.compile(r"swap area 0: (\d+) of its pages were read .*\bmay be stale")


def marked(visit, held):
    """What comes from a disk is marked in each output; what was in memory is not."""
    start, count = held.areas[0]
    command = ["read", visit.image(held), hex(start), count * PAGE, "--pid", held.pid]
    result = visit.tool.run(*command, "--format", "json", *visit.swaps(held))
    parts = result.document()["parts"]
    if not any(part.get("may_be_stale") for part in parts):
        yield f"read, JSON: {[part.keys() for part in parts]}"
    read = visit.tool.run(*command, "--format", "raw", *visit.swaps(held))
    core_file = visit.folder / "marked.core"
    for old in visit.folder.glob("marked.core*"):
        old.unlink()
    dump = visit.tool.run("dump", visit.image(held), "--pid", held.pid, "-o", core_file, *visit.swaps(held))
    recover, _ = recovered(visit, held, *visit.swaps(held))
    for told in (read, dump, recover):
        if told.status or not MAY_BE_STALE.search(told.stderr):
            yield told.describe()
    rows = visit.tool.rows("recover", visit.image(held), "--fstype", "tmpfs", "--path", held.mount,
                           "--list-missing", *visit.swaps(held))
    if {row["reason"] for row in rows} != {"read from swap, may be stale"}:
        yield f"--list-missing: {rows[:3]}"
    own = visit.tool.run("ps", visit.image(held), *visit.swaps(held))
    if MAY_BE_STALE.search(own.stderr):
        yield f"ps: {own.describe()}"


def stale(visit, held):
    """A disk that was taken later has other pages in the same slots: that may be, and is marked."""
    start, count = held.areas[0]
    result = visit.tool.run("read", visit.image(held), hex(start), count * PAGE, "--pid", held.pid, "--format",
                            "raw", "--pad", "--swap", visit.later)
    expected = b"".join(pages(held.plan.name, (start, count)))
    if result.stdout == expected:
        return "the kernel has used other slots"
    if not MAY_BE_STALE.search(result.stderr):
        yield result.describe()
    return f"{sum(a != b for a, b in zip(result.stdout[::100], expected[::100]))} places differ"


# --- what others make of it

def volatility(visit, held):
    """volatility3 gives zeros for all that was swapped out, and does not say so: why this is here."""
    folder = visit.folder / "volatility"
    with emptied(folder):
        (folder / "cache").mkdir(parents=True)
        command = [peers.PYTHON, peers.volatility() / "vol.py", "-q", "-s", peers.symbols(), "--cache-path",
                   folder / "cache", "-o", folder, "-f", visit.image(held)]
        for plugin in (["linux.pagecache.InodePages", "--find", f"{held.mount}/pages", "--dump",
                        "pages"],
                       ["linux.proc.Maps", "--pid", str(held.pid), "--dump"]):
            done = subprocess.run([*command, *plugin], capture_output=True, text=True, timeout=600,
                                  env=peers.environment(), cwd=folder)
            if done.returncode:
                yield f"{plugin[0]}: {done.stderr.strip()[-300:]}"
        parts = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        for start, count in held.areas:
            [area] = [data for name, data in parts.items()
                      if (found := re.search(r"vma\.(0x\w+)-(0x\w+)", name))
                      and int(found[1], 16) <= start < int(found[2], 16)]
            if area.strip(b"\0") or len(area) < count * PAGE:
                yield f"it has something of the area at {start:#x}"
        if parts.get("pages") != bytes(len(pages(held.plan.name, held.areas[0])) * PAGE):
            yield "of the file it has no zeros, but something or nothing"
    return f"{sum(map(len, parts.values())) >> 10} KiB of zeros and what was in memory"


EVERY = (counts, memory, core, tmpfs)
OF_DISK = (lacking, wrong_files, hibernated, cut, compressed, marked, stale)


def plans(full):
    return ["bookworm", *(["backports", "bullseye", "sid"] if full else [])]


def check(session, name, visit):
    results = session.results
    for plan, why in visit.refused.items():
        results.skip(f"{name}: {plan}", why)
    for held in visit.held.values():
        for test in (counts, untyped) if held.is_untyped else EVERY:
            results.check(f"{name}: {held.plan.name}, {test.__name__}", test, visit, held)
    for test in OF_DISK:
        results.check(f"{name}: {test.__name__}", test, visit, visit.held["disk"])
    if visit.has_acquired:
        results.check(f"{name}: acquire --swap", acquired, visit, visit.held["disk"])
    if missing := peers.no_plugins(visit.kernel):
        results.skip(f"{name}: volatility3", missing)
    else:
        results.check(f"{name}: volatility3", volatility, visit, visit.held["disk"])


def titles(chosen):
    yield from (f"{plan.name}, {test.__name__}" for plan in chosen for test in (*EVERY, untyped))
    yield from (*(test.__name__ for test in OF_DISK), "acquire --swap", "volatility3")


def check_all(session):
    full, static = session.options.full, session.options.static
    chosen = PLANS + (MORE_PLANS if full else [])
    for kernel in plans(full):
        name = f"swapping-{kernel}"
        if not any(session.results.wants(f"{name}: {title}") for title in titles([DISK_PLAN, *chosen])):
            continue
        with guest.Guest(session.folder / name) as machine:
            try:
                visit = Visit(machine, kernel, session, chosen,
                              static if full and static.exists() else None)
            except (guest.GuestError, kernels.FetchError) as error:
                session.results.fail(f"{name}: boot", error)
                continue
            check(session, name, visit)
