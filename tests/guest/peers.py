# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images that kioku writes, in the hands of other tools: makedumpfile, libkdumpfile, drgn, gdb, crash
and volatility3, as far as they are installed. Each test yields problems."""

import filecmp
import os
import shutil
import subprocess
from pathlib import Path

import kdumps

LARGEST = 2048  # MiB of a guest

READER = Path(__file__).with_name("peer_reader.py")
PYTHON = "/usr/bin/python3"  # which has the packages of the system

# Images: the name of the file, and what convert needs to know besides.
IMAGES = {"ELF": ("peer.elf", []), "kdump, zlib": ("peer-zlib.kdump", []),
          "kdump, zstd": ("peer-zstd.kdump", ["--as", "kdump:zstd"]),
          "kdump, snappy": ("peer-snappy.kdump", ["--as", "kdump:snappy"]),
          "kdump, stored": ("peer-stored.kdump", ["--as", "kdump:none"]),
          "LiME": ("peer.lime", []), "AVML": ("peer.avml", [])}
KDUMPS = [name for name in IMAGES if name.startswith("kdump")]

# What reads which images. Debian's makedumpfile has neither snappy nor zstd; libkdumpfile reads
# flattened files from 0.5.2 on only.
READERS = {"kdumpfile": ["ELF", *KDUMPS], "drgn": ["ELF", *KDUMPS],
           "volatility3": ["ELF", "LiME", "AVML"]}
REFILTERED = ["ELF", "kdump, zlib", "kdump, stored"]


def check(session, known):
    """For the first guest of a session of tests/guest/run that is small enough to be written
    seven times."""
    if session.peers_checked or known.facts["memory_mib"] > LARGEST:
        return
    session.peers_checked = True
    tool, folder = session.tool, session.folder / "peers"
    folder.mkdir()
    images = {name: folder / file for name, (file, _) in IMAGES.items()}
    for name, (_, options) in IMAGES.items():
        session.check(known, f"written, {name}", written, tool, known, images[name], options)
    for title, how, *arguments in plan(known, images, folder):
        if callable(how):
            session.check(known, title, how, tool, known, *arguments)
        else:
            session.skip(known, title, how)
    shutil.rmtree(folder)


def plan(known, images, folder):
    """(title, test, arguments) or (title, why it is skipped)"""
    for peer, names in READERS.items():
        missing = why_not(peer)
        for name in names:
            yield f"{peer} reads {name}", missing or reader, peer, images[name]
    missing = None if shutil.which("makedumpfile") else "makedumpfile is not installed"
    yield "makedumpfile restores a flattened kdump", missing or restored, images["kdump, zlib"], folder
    for name in REFILTERED:
        yield (f"makedumpfile filters {name}", missing or filtered, images[name], folder / "filtered")
    missing = None if shutil.which("gdb") else "gdb is not installed"
    yield "gdb reads ELF", missing or by_gdb, images["ELF"], folder / "dumped"
    missing = None if shutil.which("crash") else "crash is not installed"
    for name in ("ELF", *KDUMPS):
        yield f"crash knows {name}", missing or by_crash, images[name]


def why_not(peer):
    """Why a reader cannot be had, or None."""
    if peer == "volatility3" and not volatility():
        return "there is no volatility3 in $KIOKU_PEERS"
    found = subprocess.run([PYTHON, READER, peer], capture_output=True, env=environment())
    return f"{peer} is not installed" if found.returncode else None


def no_plugins(kernel):
    """Why plugins of volatility3, which need the symbols of a kernel of the lab, cannot be run, or None."""
    if not volatility():
        return "there is no volatility3 in $KIOKU_PEERS"
    if not (symbols() / "linux" / f"{kernel}.json.xz").exists():
        return f"there are no symbols of {kernel} for volatility3 in $KIOKU_PEERS/symbols"
    return None


def symbols():
    """As dwarf2json makes them: linux/NAME.json.xz."""
    return volatility().parent / "symbols"


def volatility():
    folder = Path(os.environ.get("KIOKU_PEERS", "/nonexistent")) / "volatility3"
    return folder if folder.is_dir() else None


def environment():
    return {**os.environ, "PYTHONPATH": str(volatility() or ""), "PYTHONDONTWRITEBYTECODE": "1"}


# --- tests

def written(tool, known, image, options):
    """kioku reads what it wrote: every page of it, and the same processes."""
    result = tool.run("convert", known.ram_path, image, *options)
    if result.status or result.stderr:
        yield result.describe()
        return
    yield from kdumps.same_rows(tool, known, image)
    return (yield from kdumps.same_pages(tool, known, image))


def reader(tool, known, peer, image):
    """A library of the peer's reads every page that the machine has."""
    done = subprocess.run([PYTHON, READER, peer, image, known.folder], capture_output=True,
                          text=True, env=environment(), timeout=600)
    *problems, last = done.stdout.splitlines() or [""]
    yield from problems
    if done.returncode:
        yield f"{peer}: {last} {done.stderr.strip()[-300:]}"
    return last


def restored(tool, known, plain, folder):
    """makedumpfile -R makes of a flattened image the file that is written where one can seek."""
    flattened, path = folder / "flattened", folder / "restored"
    with open(flattened, "wb") as stream:
        done = subprocess.run([tool.path, "convert", known.ram_path, "-", "--as", "kdump"],
                              stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.PIPE)
    if done.returncode:
        yield f"kioku convert to a pipe: {done.stderr.decode()[-300:]}"
    with open(flattened, "rb") as stream:
        yield from kdumps.makedumpfile(["-R", path], stdin=stream)
    if not filecmp.cmp(path, plain, shallow=False):
        yield "not the file that was written without flattening"


def filtered(tool, known, image, path):
    """makedumpfile leaves out pages of an image that it reads by its VMCOREINFO alone."""
    for level in (1, 31):
        path.unlink(missing_ok=True)
        yield from kdumps.makedumpfile(["-c", f"-d{level}", image, path])
        if not path.exists():
            return
        if level == 1:
            yield from kdumps.same_rows(tool, known, path)
        yield from kdumps.same_pages(tool, known, path)


def by_gdb(tool, known, image, path):
    """By the kernel's own addresses: its text, and the direct map at both ends of memory."""
    direct_map = int(tool.info(image)["kernel"]["direct_map_base"], 16)
    banner = known.address("linux_banner")
    last = max(int(piece["physical"], 16) + piece["size"] for piece in known.facts["ram_map"])
    places = [(banner, known.image_physical(banner)), (direct_map + 0x1000, 0x1000),
              (direct_map + last - 0x1000, last - 0x1000)]
    for virtual, physical in places:
        path.unlink(missing_ok=True)
        done = subprocess.run(["gdb", "-nx", "-batch", "-ex", f"core-file {image}", "-ex",
                               f"dump binary memory {path} {virtual:#x} {virtual + 4096:#x}"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        with known.ram() as ram:
            if not path.exists() or path.read_bytes() != ram.read(physical, 4096):
                yield f"{virtual:#x}: {done.stderr.strip()[-200:] or 'other bytes'}"


def by_crash(tool, known, image):
    """What crash can tell without debugging information: the release, from VMCOREINFO."""
    done = subprocess.run(["crash", "--osrelease", image], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    if known.before["release"] not in done.stdout.split():
        yield f"crash --osrelease: {(done.stdout + done.stderr).strip()[-200:]}"
