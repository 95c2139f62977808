# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same moment in other clothes: what an image looks like in another format, or without one of
the things by which a kernel is found. Each test yields problems."""

import json
import os
import re
import struct

import compare
import memory
import lime
from known import Known
from ram import PAGE, Ram, copy_sparse
from tool import unmarked

LOW_MEMORY = 1 << 20
BTF_HEADER = bytes.fromhex("9feb010018000000")  # magic, version 1, flags 0, header of 24 bytes


# Said by VMCOREINFO, or by boot parameters that an EFI stub (6.1) does not fill in.
OFFSETS = ("kaslr_text_virtual_offset", "kaslr_text_physical_offset")


def short(tool, known, image, *options, unknown=()):
    """The tests that tell whether the right kernel was found."""
    yield from compare.info(tool, known, image, *options, unknown=unknown)
    yield from compare.ps(tool, known, image, *options)


# --- what is wiped

def vmcoreinfo_copies(ram, release):
    """[(physical, zeros)] for the text of the note, wherever it is."""
    changes = []
    for physical in ram.find(b"OSRELEASE=" + release.encode() + b"\n"):
        text = ram.read(physical, PAGE)
        changes.append((physical, bytes(len(text.split(b"\0")[0]))))
    return changes


def without_vmcoreinfo(tool, known, ram):
    changes = vmcoreinfo_copies(ram, known.before["release"])
    with ram.patched(changes):
        yield from short(tool, known, ram.path, unknown=OFFSETS if known.facts["uefi"] else ())
        yield from compare.symbols(tool, known, ram.path)
    return f"{len(changes)} copies"


def without_trampolines(tool, known, ram):
    """No page tables in low memory: they have to be found by a scan."""
    with ram.patched([(0, bytes(LOW_MEMORY))]):
        yield from short(tool, known, ram.path)


def without_both(tool, known, ram):
    changes = [(0, bytes(LOW_MEMORY)), *vmcoreinfo_copies(ram, known.before["release"])]
    with ram.patched(changes):
        yield from short(tool, known, ram.path, unknown=OFFSETS if known.facts["uefi"] else ())
        yield from compare.symbols(tool, known, ram.path)


def btf_copies(ram):
    """[(physical, zeros)] for the headers of type data, the modules' too: what follows may be other things."""
    return [(physical, bytes(24)) for physical in ram.find(BTF_HEADER)]


def wrong_places(tool, image, seen):
    """Members that are not where the kernel's own types have them. A few may not be found."""
    other_names = {"__state": "state", "d_iname": "d_shortname.string"}
    own = {(row["type"], row["member"]): row["offset"] for row in tool.rows("members", image)}
    found = {(row["type"], row["member"]): row["offset"]
             for row in tool.rows("members", image, "--no-btf", status=3)
             if row["offset"] is not None}
    for (kind, member), offset in found.items():
        right = own.get((kind, member), own.get((kind, other_names.get(member))))
        if right != offset:
            yield f"{kind}.{member} is at {right}, not at {offset}"
    needed = [(kind, other_names.get(member, member)) for kind, member in own
              if kind in ("task_struct", "signal_struct", "cred", "mm_struct", "vm_area_struct")]
    there = {(kind, other_names.get(member, member)) for kind, member in found}
    seen.append(f"{sum(place in there for place in needed)} of {len(needed)} members")
    if sum(place in there for place in needed) < 0.9 * len(needed):
        yield f"not found: {sorted(set(needed) - there)}"


def marked_report(tool, image):
    """Each process of a report says that its row is inferred, and so does the page."""
    text = tool.run("report", image, "-o", "-").stdout.decode()
    processes = compare.REPORTED.findall(text)
    if "Rows whose basis is <em>inferred</em>" not in text or not processes:
        yield "the report does not say that its rows are inferred"
    if any(not cells.endswith(">inferred</td>") for _, cells in processes):
        yield "a process of the report does not say that it is inferred"


def marked_symbols(tool, image):
    """Those of kallsyms were read without types; those of modules were not."""
    result = tool.run("symbols", image, "--format", "jsonl")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    bases = {(row["module"] is not None, row["basis"]) for row in rows}
    if not rows or (False, "inferred") in bases or (True, None) in bases:
        yield f"symbols by module and basis: {bases}"


def without_types(tool, known, ram):
    """What is worked out from memory must be right; what cannot be must be said."""
    seen = []
    yield from wrong_places(tool, ram.path, seen)
    with ram.patched(btf_copies(ram)):
        result = tool.run("info", ram.path, "--format", "json")
        if result.status != 3 or "layouts are inferred" not in result.stderr:
            yield result.describe()
        lacking = tool.ending_with(3)
        for view in (compare.ps, compare.pstree, memory.args, memory.env):
            yield from view(lacking, known, ram.path)
        for view in ("ps", "pstree", "threads", "args", "maps", "modules", "members", "check"):
            yield from unmarked(tool, "inferred", view, ram.path)
        yield from marked_report(tool, ram.path)
        yield from marked_symbols(tool, ram.path)
        result = tool.run("psscan", ram.path)
        if result.status != 1 or "not known" not in result.stderr or result.stdout:
            yield result.describe()
        yield from compare.symbols(lacking, known, ram.path)
    return ", ".join(seen)


def token_table(known):
    """The 256 words that the names of all symbols are made of; a few hundred bytes."""
    text = known.vmcoreinfo.get("SYMBOL(kallsyms_token_table)")
    return known.image_physical(int(text, 16)) if text else None


def without_symbols(tool, known, ram):
    """What can still be told must be right; what cannot must be said."""
    with ram.patched([(token_table(known), bytes(512))]):
        result = tool.run("info", ram.path, "--format", "json")
        if result.status != 3 or "symbols are missing" not in result.stderr:
            yield result.describe()
        result = tool.run("symbols", ram.path)
        if result.status != 1 or "symbols" not in result.stderr or result.stdout:
            yield result.describe()
        result = tool.run("ps", ram.path, "--format", "json")
        if result.status == 1:
            if not re.search("symbols|kallsyms|init_task", result.stderr):
                yield result.describe()
            return "no processes without symbols"
        found = {(row["pid"], row["ppid"], row["uid"]) for row in result.rows()
                 if not known.may_be_new(compare.text_bytes(row, "comm"))}
        expected = {(task["pid"], task["ppid"], task["uid"]) for seen in known.tasks.values()
                    for task in seen if task["pid"] == task["tid"]}
        yield from (f"ps shows {row}" for row in sorted(found - expected))
        return f"{len(found)} processes without symbols"


PLACES = ("release", "text_virtual", "text_physical", "kaslr_text_virtual_offset",
          "kaslr_text_physical_offset", "kaslr_direct_map_offset")


def without_anything(tool, known, ram):
    """Neither types, symbols nor VMCOREINFO: where the kernel is, and its processes, are right all the same."""
    own = tool.info(ram.path)["kernel"]
    changes = [(token_table(known), bytes(512)), *btf_copies(ram),
               *vmcoreinfo_copies(ram, known.before["release"])]
    with ram.patched(changes):
        left = tool.info(ram.path, status=3)["kernel"]
        yield from (f"{place} is {left.get(place)}, not {own[place]}" for place in PLACES
                    if left.get(place) != own[place]
                    and not (known.facts["uefi"] and place in OFFSETS and place not in left))
        lacking = tool.ending_with(3)
        for view in (compare.pstree, compare.threads, memory.args):
            yield from view(lacking, known, ram.path)
        return (yield from compare.ps(lacking, known, ram.path))


# --- other formats

def elf(tool, known, image):
    yield from compare.info(tool, known, image)
    yield from compare.ps(tool, known, image)
    yield from compare.threads(tool, known, image)
    document = tool.info(image)
    if document["source"]["format"] != "elf" or not document["source"]["cpus"]:
        yield f"source: {document['source']}"
    roots = {int(cpu["cr3"], 16) for cpu in document["source"]["cpus"]}
    expected = {int(cpu["cr3"], 16) for cpu in known.facts["registers"]}
    if roots != expected:
        yield f"CR3 of the CPUs: {roots}, not {expected}"


def lime_image(tool, known, path):
    ranges = lime.ram_ranges(known.before["iomem"])
    with known.ram() as ram:
        lime.write(path, ram, ranges)
    try:
        source = tool.info(path)["source"]
        found = [(int(item["start"], 16), int(item["start"], 16) + item["size"] - 1)
                 for item in source["ranges"] if item["state"] == "present"]
        if source["format"] != "lime" or found != ranges:
            yield f"source is {source['format']} with {found}, not lime with {ranges}"
        yield from short(tool, known, path)
        yield from compare.psscan(tool, known, path)
        yield from compare.read(tool, known, path)
    finally:
        path.unlink()
    return f"{len(ranges)} ranges"


def padded_image(tool, known, path):
    """Memory by physical address, holes included: what a "padded" dump or dd writes."""
    with open(path, "wb") as out, known.ram() as ram:
        for piece in known.facts["ram_map"]:
            start = int(piece["physical"], 16)
            out.seek(start)
            lime.copy(out, ram, start, start + piece["size"])
        out.truncate(start + piece["size"])
    try:
        yield from short(tool, known, path)
    finally:
        path.unlink()


def mapped_image(tool, known):
    """QEMU's RAM file of a machine with a hole below 4 GiB, its pieces placed by hand."""
    options = []
    for piece in known.facts["ram_map"]:
        start = int(piece["physical"], 16)
        options += ["--map", f"{hex(start)}-{hex(start + piece['size'] - 1)}@{piece['offset']}"]
    yield from short(tool, known, known.ram_path, *options)


def sparse_image(tool, known, path, gib=64):
    """The cost must not follow the size of the image."""
    cost = tool.run("ps", known.ram_path, "--stats").stats()["bytes"]
    copy_sparse(known.ram_path, path)
    os.truncate(path, gib << 30)
    try:
        yield from short(tool, known, path)
        larger = tool.run("ps", path, "--stats").stats()["bytes"]
        if larger > 1.5 * cost:
            yield f"ps touched {larger} bytes, of the smaller image {cost}"
    finally:
        path.unlink()
    return f"{cost >> 10} KiB touched, then {larger >> 10} KiB"


# --- decoys

def decoys(known, other, ram):
    """Pieces of another guest for memory that this one does not use: its kernel image whole, its
    note, its trampoline. Where it ran earlier, as before a reset, whatever else has room."""
    free = list(ram.holes(LOW_MEMORY))
    with other.ram() as theirs:
        start, end = other.iomem("Kernel code")[0][0], other.iomem("Kernel bss")[0][1] + 1
        place = next((at for at, size in free if size > end - start + 2 * PAGE), 0)
        if place:
            after = place + (end - start + PAGE - 1 & ~(PAGE - 1))
            yield place, theirs.read(start, end - start)
            yield after, theirs.read(int(other.before["vmcoreinfo"]["physical"], 16), PAGE)
        for page in range(PAGE, 0xA0000, PAGE):
            if not any(ram.read(page, PAGE)):
                yield page, theirs.read(page, PAGE)
        for at, size in free:
            if other.before["btime"] < known.before["btime"] and not at <= place < at + size:
                yield from ((part, theirs.read(part, min(LOW_MEMORY, at + size - part)))
                            for part in range(at, at + size, LOW_MEMORY))


def with_decoys(tool, known, ram, other_folder):
    other = Known(other_folder)
    changes = [(at, data) for at, data in decoys(known, other, ram) if any(data)]
    with ram.patched(changes):
        yield from short(tool, known, ram.path)
        with ram.patched([(0, bytes(LOW_MEMORY))]):
            yield from short(tool, known, ram.path)
    return f"{sum(len(data) for _, data in changes) >> 20} MiB of {other.name}"


# --- profiles

def profiles(tool, known, folder, other=None):
    """A profile gives the same rows for less; one that does not fit is refused."""
    path = folder / "profile"
    cold = tool.run("ps", known.ram_path, "--stats", "--format", "json")
    saved = tool.run("profile", known.ram_path, "-o", path)
    if saved.status:
        yield saved.describe()
        return None
    warm = tool.run("ps", known.ram_path, "--stats", "--profile", path, "--format", "json")
    if warm.status or warm.stdout != cold.stdout:
        yield f"not what ps shows without a profile: {warm.describe()}"
    yield from compare.symbols(tool, known, known.ram_path, "--profile", path)
    if warm.stats()["bytes"] > cold.stats()["bytes"] / 2:
        yield f"ps with a profile touches {warm.stats()['bytes']} of {cold.stats()['bytes']} bytes"
    if other:
        result = tool.run("ps", other.ram_path, "--profile", path)
        same = other.before["build_id"] == known.before["build_id"]
        if same:
            yield from compare.ps(tool, other, other.ram_path, "--profile", path)
        elif result.status != 1 or result.stdout:
            yield f"a profile of another kernel: {result.describe()}"
    yield from tampered(tool, known, path)
    path.unlink()
    return f"{warm.stats()['bytes'] >> 10} of {cold.stats()['bytes'] >> 10} KiB"


def inferred_profile(tool, known, folder):
    """What was worked out is kept with its reasons, and is not taken for more afterwards."""
    path = folder / "inferred.profile"
    saved = tool.run("profile", known.ram_path, "--no-btf", "-o", path)
    if saved.status != 3:
        yield saved.describe()
        return
    for view in ("members", "ps"):
        fresh, kept = (tool.run(view, known.ram_path, *options, "--format", "json")
                       for options in (("--no-btf",), ("--profile", path)))
        if kept.status != 3 or kept.stdout != fresh.stdout or "inferred" not in kept.stderr:
            yield f"not what {view} shows without a profile: {kept.describe()}"
        yield from unmarked(tool, "inferred", view, known.ram_path, "--profile", path)
    path.unlink()


def tampered(tool, known, path):
    original = path.read_bytes()
    for at in {0, 8, len(original) // 3, len(original) // 2, len(original) - 1}:
        changed = bytearray(original)
        changed[at] ^= 0x20
        path.write_bytes(changed)
        result = tool.run("ps", known.ram_path, "--profile", path)
        if result.status != 1 or result.stdout:
            yield f"profile with byte {at} changed: {result.describe()}"
    for size in (0, 16, len(original) // 2, len(original) - 1):
        path.write_bytes(original[:size])
        result = tool.run("ps", known.ram_path, "--profile", path)
        if result.status != 1 or result.stdout:
            yield f"profile cut to {size} bytes: {result.describe()}"


def cache(tool, cached, known):
    """What the first run keeps in the cache folder makes the second one cheap, and equal."""
    runs = [cached.run("ps", known.ram_path, "--stats", "--format", "json") for _ in range(2)]
    plain = tool.run("ps", known.ram_path, "--format", "json")
    for run in runs:
        if run.status or run.stdout != plain.stdout:
            yield f"not what --no-cache shows: {run.describe()}"
    first, second = (run.stats()["bytes"] for run in runs)
    if second > first / 2:
        yield f"the second run touched {second} bytes, the first {first}"
    return f"{first >> 10} KiB, then {second >> 10} KiB"


def moved_member(known, name, member):
    """[(physical, bytes)] that move a struct's member by four bytes in the image's type data."""
    data = compare.btf(known)
    header, types, size, strings = struct.unpack_from("<4I", data, 4)
    strings = data[header + strings:]
    number = strings.index(b"\0" + name.encode() + b"\0") + 1
    record = next(at for at in range(header + types, header + types + size, 4)
                  if struct.unpack_from("<I", data, at)[0] == number and
                  struct.unpack_from("<I", data, at + 4)[0] >> 24 & 0x1f == 4)
    count = struct.unpack_from("<I", data, record + 4)[0] & 0xffff
    for at in range(record + 12, record + 12 + 12 * count, 12):
        where, _, offset = struct.unpack_from("<3I", data, at)
        if strings[where:].startswith(member.encode() + b"\0"):
            place = known.image_physical(known.address("__start_BTF")) + at + 8
            return [(place, struct.pack("<I", offset + 32))]
    raise ValueError(f"no {member} in {name}")


def spoiled_cache(tool, cached, known, ram):
    """What a damaged image left in the cache must not change what a whole one shows."""
    with ram.patched(moved_member(known, "task_struct", "tgid")):
        damaged = cached.run("ps", ram.path, "--format", "json")
    if damaged.status == 0:
        yield f"damage is not noticed: {damaged.describe()}"
    run = cached.run("ps", known.ram_path, "--format", "json")
    plain = tool.run("ps", known.ram_path, "--format", "json")
    if run.status or run.stdout != plain.stdout:
        yield f"not what --no-cache shows: {run.describe()}"
