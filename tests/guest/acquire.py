# SPDX-License-Identifier: LGPL-2.1-or-later
"""What guests acquired of themselves (recording.py), against their memory from outside. Each test
yields problems."""

import hashlib
import json
import re
import subprocess
import tarfile

import compare
from ram import PAGE, Ram
from tool import ToolError

CHUNK = 1 << 20
LOST = set("pftm")   # src/base/page_state.h: what makes an exit status of 3
CONTENT = set("rz")
TOLERATED = 1e-4     # of the steady pages may have changed and come back
PAGE_RUN = re.compile(r"([a-z])(\d+)")
# How a message may name each kind of loss.
NAMED = {"p": "hardware memory error", "f": "fault|read", "t": "time", "m": "miss|reach|not in"}


class Acquisition:
    """One folder of a recording: what came out, and memory before and after."""

    def __init__(self, known, name, image):
        self.known = known
        self.folder = known.folder / name
        self.image = self.folder / image
        outcome = json.loads((self.folder / "outcome.json").read_text())
        self.status, self.text = outcome["status"], outcome["text"]
        self.seconds, self.ram_map = outcome["seconds"], outcome["ram_map"]
        self.ranges = system_ram(outcome["iomem"])
        self.looks, self.changed = outcome["looks"], set(outcome["changed"])

    @property
    def before(self):
        return Ram(self.folder / "before.img", self.ram_map)

    @property
    def after(self):
        return Ram(self.folder / "after.img", self.ram_map)

    def manifest(self):
        return json.loads(self.beside(".manifest.json").read_text())

    def beside(self, extension):
        return self.image.with_name(self.image.name + extension)


def system_ram(iomem):
    """[(start, end)], end excluded, of all System RAM, however deep; neighbours are joined."""
    found = [re.match(r" *(\w+)-(\w+) : System RAM", line) for line in iomem]
    joined = []
    for start, end in sorted((int(match[1], 16), int(match[2], 16) + 1)
                             for match in found if match):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(end, joined[-1][1])
        else:
            joined.append([start, end])
    return [tuple(span) for span in joined]


def page_states(manifest):
    """[(start, end, letter)] of all pages, in ascending order."""
    runs = []
    for item in manifest["memory"]["ranges"]:
        at = span_of(item)[0] & ~(PAGE - 1)
        for letter, count in PAGE_RUN.findall(item["states"]):
            runs.append((at, at + int(count) * PAGE, letter))
            at += int(count) * PAGE
    return runs


def span_of(item):
    """(start, end), end excluded, of a range of a manifest."""
    return int(item["start"], 16), int(item["end"], 16) + 1


class States:
    """The letter of a page."""

    def __init__(self, runs):
        self.unusual = [run for run in runs if run[2] not in CONTENT]

    def of(self, page):
        return next((letter for start, end, letter in self.unusual if start <= page < end), "r")


# --- what it said

def outcome(acquisition):
    """The exit status is 0, or 3 where something was lost, and then what was lost is named."""
    lost = {letter for _, _, letter in page_states(acquisition.manifest())} & LOST
    if acquisition.status != (3 if lost else 0):
        yield f"exit status {acquisition.status}, lost: {sorted(lost)}: {acquisition.text[-300:]}"
    for letter in lost:
        if not re.search(NAMED[letter], acquisition.text, re.I):
            yield f"pages in state {letter!r} are not named: {acquisition.text[-300:]}"
    return f"exit status {acquisition.status}, {acquisition.seconds:.0f} s in the guest"


def complete(acquisition):
    """The manifest has every byte of System RAM, sub-page ends too, and nothing else."""
    manifest = acquisition.manifest()
    ranges = [span_of(item) for item in manifest["memory"]["ranges"]]
    if joined(ranges) != acquisition.ranges:
        yield f"{show(joined(ranges))}, but System RAM is {show(acquisition.ranges)}"
    if manifest["complete"] is not True:
        yield "the manifest says that it is not complete"
    for (start, end), item in zip(ranges, manifest["memory"]["ranges"]):
        pages = sum(int(count) for _, count in PAGE_RUN.findall(item["states"]))
        if pages != -(-end // PAGE) - start // PAGE:
            yield f"{show([(start, end)])} has {pages} states"
    return f"{sum(end - start for start, end in ranges)} bytes"


def joined(ranges):
    merged = []
    for start, end in sorted(ranges):
        if merged and start == merged[-1][1]:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def show(ranges):
    return ", ".join(f"{start:#x}-{end:#x}" for start, end in ranges)


def sidecars(acquisition, *names):
    """md5sum and sha256sum know them."""
    for name in names:
        file = f"{acquisition.image.name}.{name.removesuffix('sum')}"
        done = subprocess.run([name, "-c", file], cwd=acquisition.folder, capture_output=True,
                              text=True)
        if done.returncode or done.stdout != f"{acquisition.image.name}: OK\n":
            yield f"{name} -c {file}: {done.stdout}{done.stderr}"


def verified(tool, acquisition, *options):
    result = tool.run("verify", acquisition.image, options=options)
    if result.status:
        yield result.describe()


# --- what is in it

def stream(tool, image, start, size):
    """The bytes of physical memory in an image, a piece at a time; zeros for what it lacks."""
    command = [tool.path, "read", image, hex(start), str(size), "--physical", "--pad", "--format",
               "raw", "--no-cache"]
    with subprocess.Popen(list(map(str, command)), env=tool.environment(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
        for at in range(0, size, CHUNK):
            yield start + at, reader.stdout.read(min(CHUNK, size - at))
        excess, errors = reader.stdout.read(1), reader.stderr.read().decode(errors="replace")
    if excess or reader.returncode not in (0, 3):
        raise ToolError(f"read {image}: exit status {reader.returncode}: {errors[:300]}")


class Comparison:
    """Counts steady pages, those that are equal before and after, and keeps those that differ:
    came_back were seen to have other contents in between, wrong were not."""

    def __init__(self, states, seen_changed):
        self.states = states
        self.seen_changed = seen_changed
        self.steady = self.pages = 0
        self.came_back, self.wrong, self.invented = [], [], []
        self.digest = hashlib.sha256()

    def chunk(self, at, image, before, after):
        self.digest.update(image)
        self.pages += -(-len(before) // PAGE)
        if image == before == after:
            self.steady += -(-len(before) // PAGE)
            return
        for offset in range(0, len(before), PAGE):
            self.page(at + offset, *(data[offset:offset + PAGE]
                                     for data in (image, before, after)))

    def page(self, at, image, before, after):
        letter = self.states.of(at & ~(PAGE - 1))
        if letter not in CONTENT:
            if image.strip(b"\0"):
                self.invented.append(at)
        elif before == after:
            self.steady += 1
            if image != before:
                (self.came_back if self.seen_changed(at) else self.wrong).append(at)


def compared(tool, acquisition, states):
    with acquisition.before as before, acquisition.after as after:
        comparison = Comparison(states, lambda at: before.offset(at) in acquisition.changed)
        for start, end in acquisition.ranges:
            for at, data in stream(tool, acquisition.image, start, end - start):
                size = min(CHUNK, end - at)
                if len(data) != size:
                    raise ToolError(f"read {acquisition.image}: ends at {at + len(data):#x}")
                comparison.chunk(at, data, before.read(at, size), after.read(at, size))
    return comparison


def memory(tool, acquisition):
    manifest = acquisition.manifest()
    comparison = compared(tool, acquisition, States(page_states(manifest)))
    if comparison.digest.hexdigest() != manifest["memory"]["sha256"]:
        yield "the manifest has another SHA-256 of memory than what the image holds"
    return (yield from judged(acquisition, comparison, 0.5))


def judged(acquisition, comparison, least):
    """Every page that is equal before, after and whenever it was looked at is equal in the image;
    of all pages, at least such a part must be steady."""
    marked = marker_pages(acquisition.known)
    for at in comparison.wrong + comparison.came_back:
        if at in marked:
            yield f"page {at:#x} of the marker is not as it was"
    if len(comparison.wrong) > comparison.steady * TOLERATED:
        yield f"{len(comparison.wrong)} of {comparison.steady} steady pages differ: " + \
              ", ".join(map(hex, comparison.wrong[:20]))
    for at in comparison.invented[:3]:
        yield f"page {at:#x} was not read, and is not zero"
    if comparison.steady < comparison.pages * least:
        yield f"only {comparison.steady} of {comparison.pages} pages were steady"
    listed = ", ".join(map(hex, comparison.wrong[:20]))
    return f"{comparison.steady} of {comparison.pages} pages were steady, {acquisition.looks} " \
           f"looks saw {len(comparison.came_back)} that came back; all others are equal" + \
        (f" but {len(comparison.wrong)}: {listed}" if listed else "")


def marker_pages(known):
    """Pages that hold the marker's records; those of zeros are the kernel's."""
    return {int(physical, 16) for area in known.before["areas"] if area["filled"]
            for physical in area["pages"].values() if physical}


# --- what makes it readable

def context(acquisition):
    """The archive beside it has what the guest itself said."""
    known = acquisition.known
    with tarfile.open(acquisition.beside(".context.tar.gz")) as tar:
        files = {re.sub(r"^\./", "", member.name): tar.extractfile(member).read()
                 for member in tar if member.isfile()}
    expected = {"iomem": "\n".join(known.before["iomem"]), "version": known.before["version"],
                "cmdline": known.before["cmdline"],
                "kallsyms": (known.folder / "truth-kallsyms.txt").read_text()}
    for name, text in expected.items():
        if files.get(name, b"").decode().strip() != text.strip():
            yield f"{name} is not what the guest said"
    if f"OSRELEASE={known.before['release']}".encode() not in files.get("vmcoreinfo", b""):
        yield "vmcoreinfo is not the kernel's note"
    if not any(name.endswith("btf/vmlinux") for name in files):
        yield f"no types of the kernel among {sorted(files)[:40]}"
    return f"{len(files)} files"


# --- faults

def faulty_memory(acquisition):
    """What was plugged in is there; what is offline, poisoned or ballooned is said to be."""
    faults = json.loads((acquisition.known.folder / "faults.json").read_text())
    runs = page_states(acquisition.manifest())
    states = States(runs)
    if acquisition.status != 3 or not re.search(NAMED["p"], acquisition.text):
        yield f"exit status {acquisition.status}: {acquisition.text[-300:]}"
    if states.of(faults["poisoned"]) != "p":
        yield f"the poisoned page is in state {states.of(faults['poisoned'])!r}"
    start, size = faults["offline"]
    if not any(first <= start and start + size <= end and letter == "o"
               for first, end, letter in runs):
        yield "the block that is offline is not in state 'o'"
    away = sum(end - first for first, end, letter in runs if letter == "o") - size
    if away != faults["ballooned"]:
        yield f"{away >> 20} MiB are in state 'o', ballooned are {faults['ballooned'] >> 20} MiB"
    start, size = faults["online"]
    with acquisition.before as before:
        filled = sum(any(before.read(at, PAGE)) for at in range(start, start + size, PAGE))
    if filled < 1000:
        yield f"only {filled} pages of what was plugged in are in use: this shows nothing"
    return f"{filled} pages of what was plugged in are in use"


# --- the network

def broken_link(acquisition):
    """The link broke as it should, both ends came through, and no more than a segment was sent
    twice each time."""
    outcome = json.loads((acquisition.known.folder / "receiver.json").read_text())
    breaks = sum(outcome["befell"].values())
    if breaks != 3 or outcome["status"]:
        yield f"{outcome['befell']}; the receiver ended with {outcome['status']}: {outcome['said']}"
    if outcome["twice"] > breaks * CHUNK:
        yield f"{outcome['twice']} bytes were received twice"
    return f"{breaks} breaks, {outcome['twice']} bytes were received twice"


# --- LiME's module

def peer(tool, acquisition):
    """LiME of Debian's module, and its digest file, which has no line feed."""
    if acquisition.status:
        yield f"insmod: exit status {acquisition.status}: {acquisition.text[-300:]}"
        return
    # What it writes stays in the page cache and pushes out what was there.
    remark = yield from judged(acquisition, compared(tool, acquisition, States([])), 0.1)
    yield from verified(tool, acquisition)
    with open(acquisition.image, "r+b") as file:
        flip_bit(file, acquisition.image.stat().st_size // 2)
    if tool.run("verify", acquisition.image).status != 1:
        yield "verify does not see a flipped bit"
    return f"{remark}; LiME took {acquisition.seconds:.0f} s"


def flip_bit(file, at):
    file.seek(at)
    byte = file.read(1)[0]
    file.seek(at)
    file.write(bytes([byte ^ 0x10]))


# --- all of them

IMAGES = {"disk": "disk.lime", "pipe": "pipe.lime.zst", "faults": "faults.lime.lz4",
          "tcp": "tcp.lime.lz4", "receiver": "receiver.lime"}


def test_recording(session, known):
    tool = session.tool
    for name, image in IMAGES.items():
        if not (known.folder / name).exists():
            continue
        acquisition = Acquisition(known, name, image)
        tests = {"outcome": (outcome, acquisition),
                 "System RAM": (complete, acquisition),
                 "memory": (memory, tool, acquisition),
                 "verify": (verified, tool, acquisition),
                 "ps": (compare.ps, tool.torn(), known, acquisition.image),
                 "threads": (compare.threads, tool.torn(), known, acquisition.image)}
        if name in ("disk", "receiver"):
            tests |= {"sidecars": (sidecars, acquisition, "md5sum", "sha256sum"),
                      "read": (compare.read, tool, known, acquisition.image),
                      "context": (context, acquisition)}
        if name == "receiver":
            tests["link"] = (broken_link, acquisition)
        if name == "faults":
            tests |= {"sidecars": (sidecars, acquisition, "sha256sum"),
                      "states": (faulty_memory, acquisition)}
        for title, (test, *arguments) in tests.items():
            session.check(known, f"acquired, {name}, {title}", test, *arguments)
    if (known.folder / "peer").exists():
        session.check(known, "LiME's module", peer, tool, Acquisition(known, "peer", "ram.lime"))
