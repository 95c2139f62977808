# SPDX-License-Identifier: LGPL-2.1-or-later
"""Searching memory: whose the strings are, and what YARA rules find where, against the areas that the marker
has filled and the pages that the guest says every process has. Each test yields problems."""

import collections
import json
import sys
from pathlib import Path

from tool import text_bytes

sys.path.append(str(Path(__file__).resolve().parents[1] / "snapshot"))
import initramfs  # noqa: F401: makes lab's truth importable
import truth

PAGE = 4096
RECORD = 64  # bytes; the last one is a newline
LEAST = 8    # characters of a string that is looked for
SHARED = ("shared", "file")  # areas whose pages are of a file; those of all others are anonymous


def filled(known):
    return [area for area in known.before["areas"] if area["filled"]]


def records(area):
    """(address, text) of every record."""
    start = int(area["address"], 16)
    for number in range(area["size"] // RECORD):
        yield start + number * RECORD, truth.record(area["name"], number)[:-1]


def physical_of(area):
    """{virtual page: physical page}"""
    return {int(page, 16): int(frame, 16) for page, frame in area["pages"].items()}


def pieces(area):
    """(physical, virtual, text) of what of each record lies in a row in physical memory."""
    frames = physical_of(area)
    for address, text in records(area):
        border = (address // PAGE + 1) * PAGE
        first = frames[address // PAGE * PAGE]
        parts = [(address, text)]
        if border < address + len(text) and frames[border] != first + PAGE:
            parts = [(address, text[:border - address]), (border, text[border - address:])]
        for virtual, part in parts:
            if len(part) >= LEAST:
                yield frames[virtual // PAGE * PAGE] + virtual % PAGE, virtual, part


def users(known):
    """{physical page: {(pid, virtual page)}} of all processes that are known to have been there."""
    found = collections.defaultdict(set)
    for process, _ in known.processes():
        for page, frame in process["pages"].items():
            found[int(frame, 16)].add((process["pid"], int(page, 16)))
    return found


def told_users(row):
    return {(int(pid), int(address, 16)) for pid, address in
            (user.split(":") for user in row["users"] or [])}


def lines(tool, *words):
    result = tool.run(*words, "--format", "jsonl", timeout=600)
    if result.status:
        raise AssertionError(result.describe())
    return result.stdout.splitlines()


def owners(tool, known, image):
    """Every record of every area is found where it is, and is said to be of those who map it."""
    wanted = {}
    for area in filled(known):
        wanted.update((physical, (area["name"], virtual, text))
                      for physical, virtual, text in pieces(area))
    mapped = users(known)
    pages = {place // PAGE: f"kioku-{name}-marker".encode()
             for place, (name, _, _) in wanted.items()}
    agents = {1}  # whose memory changes while it tells
    for line in lines(tool, "strings", image, "--owners", "--min", LEAST, "--encoding", "ascii",
                      "--columns", "physical,owner,users,user_count,text"):
        row = json.loads(line)
        physical = int(row["physical"], 16)
        if physical // PAGE not in pages:
            continue
        name, virtual, text = wanted.pop(physical, (None, None, None))
        if name is None:
            if pages[physical // PAGE] in text_bytes(row, "text"):
                yield f"0x{physical:x} has {row['text']}, which was not asked for"
            continue
        page = physical // PAGE * PAGE
        allowed = {(pid, start + physical % PAGE) for pid, start in mapped[page]}
        told = {user for user in told_users(row) if user[0] not in agents}
        kind = "file" if name in SHARED else "anonymous"
        # Pages of equal content that the kernel has made one, which truth says by their places.
        if name == "twin" and len(allowed) > 1:
            kind = "ksm"
        if text_bytes(row, "text") != text or row["owner"] != kind or told != allowed:
            yield f"0x{physical:x} of {name} at 0x{virtual:x} is shown as {row}"
        if row["user_count"] != len(row["users"]):
            yield f"0x{physical:x}: {row['user_count']} users, but {row['users']}"
    for physical, (name, virtual, text) in list(wanted.items())[:5]:
        yield f"0x{physical:x} of {name} at 0x{virtual:x} is missing: {text}"
    return f"{len(pages)} pages"


def of_process(tool, known, image):
    """By the process's addresses every record is whole, wherever its pages are."""
    pid = filled(known)[0]["pid"]
    found = {}
    for line in lines(tool, "strings", image, "--pid", pid, "--encoding", "ascii"):
        row = json.loads(line)
        found[int(row["virtual"], 16)] = text_bytes(row, "text")
        if row["pid"] != pid:
            yield f"a row of process {row['pid']}"
    for area in filled(known):
        wrong = [(hex(address), found.get(address)) for address, text in records(area)
                 if found.get(address) != text]
        if wrong:
            yield f"area {area['name']}: {len(wrong)} records are wrong, such as {wrong[0]}"
    return f"{len(found)} strings"


def torn_record(area):
    """A record in two pages that are no neighbours in physical memory; None if there is none."""
    frames = physical_of(area)
    for address, text in records(area):
        border = (address // PAGE + 1) * PAGE
        if border < address + len(text) and \
                frames[border] != frames[border - PAGE] + PAGE:
            return address, text
    return None


def rules(known, path):
    """{rule: (address, text, pages)} of what was written to path."""
    wanted = {}
    for area in filled(known):
        address, text = list(records(area))[1]
        wanted[f"of_{area['name']}"] = (address, text, physical_of(area))
    heap = known.area("heap")
    torn = torn_record(heap)
    if torn:
        wanted["torn"] = (*torn, physical_of(heap))
    with open(path, "w", encoding="ascii") as file:
        for rule, (_, text, _) in wanted.items():
            file.write(f'rule {rule} : test {{ meta: by = "kioku" number = 7\n'
                       f'  strings: $a = "{text.decode()}" condition: $a }}\n')
        file.write('rule nowhere { strings: $a = "kioku-" nocase $b = "\\x00never-\\x01-there\\x02" '
                   'condition: $a and $b }\n')
    return wanted


def yara(tool, known, image, folder):
    """A record is found in whoever maps its page, and in nobody else."""
    path = folder / "marker.yar"
    wanted, mapped = rules(known, path), users(known)
    rows = tool.rows("yara", image, "--rules", path, "--columns", "all", timeout=600)
    for rule, (address, text, frames) in wanted.items():
        frame = frames[address // PAGE * PAGE]
        allowed = {(pid, page + address % PAGE) for pid, page in mapped[frame]}
        hits = [row for row in rows if row["rule"] == rule and row["pid"] != 1]
        told = {(row["pid"], int(row["virtual"], 16)) for row in hits}
        if told != allowed or len(hits) != len(told):
            yield f"{rule} is found at {told}, not {allowed}"
        for row in hits:
            if (row["string"], text_bytes(row, "data"), row["size"]) != ("$a", text, len(text)) or \
                    int(row["physical"], 16) != frame + address % PAGE or \
                    row["tags"] != ["test"] or row["meta"] != ["by=kioku", "number=7"]:
                yield f"{rule} is shown as {row}"
    if any(row["rule"] == "nowhere" for row in rows):
        yield "a rule is true that is not"
    return f"{len(rows)} matches"


def yara_physical(tool, known, image, folder):
    """The same places by their physical addresses; what lies in two pages need not be found."""
    path = folder / "marker.yar"
    wanted, mapped = rules(known, path), users(known)
    rows = tool.rows("yara", image, "--rules", path, "--physical", "--owners", timeout=600)
    for rule, (address, text, frames) in wanted.items():
        frame = frames[address // PAGE * PAGE]
        place = frame + address % PAGE
        hits = {int(row["physical"], 16): row for row in rows if row["rule"] == rule}
        if rule == "torn":
            continue
        if place not in hits:
            yield f"{rule} is not found at 0x{place:x}, but at {[hex(hit) for hit in hits]}"
            continue
        told = {user for user in told_users(hits[place]) if user[0] != 1}
        if told != {(pid, page + address % PAGE) for pid, page in mapped[frame]}:
            yield f"{rule} is shown as {hits[place]}"
    return f"{len(rows)} matches"


def refusals(tool, known, image, folder):
    """Rules that are none say where; without any there is nothing to do."""
    path = folder / "bad.yar"
    path.write_text("rule one {\n  condition: nonsense\n}\n")
    for words, told in ((("--rules", path), "line 2"), ((), "--rules"),
                        (("--rules", folder / "none.yar"), "none.yar")):
        result = tool.run("yara", image, *words)
        if result.status != 1 or told not in result.stderr:
            yield result.describe()


def check_all(session, known):
    tool, image, folder = session.tool, known.ram_path, session.folder
    session.check(known, "strings, owners", owners, tool, known, image)
    session.check(known, "strings, of a process", of_process, tool, known, image)
    (folder / "any.yar").write_text("rule any { condition: true }\n")
    if "no libyara" in tool.run("yara", image, "--rules", folder / "any.yar").stderr:
        session.skip(known, "yara", "kioku was built without libyara")
        return
    session.check(known, "yara", yara, tool, known, image, folder)
    session.check(known, "yara, physical", yara_physical, tool, known, image, folder)
    session.check(known, "yara, refused", refusals, tool, known, image, folder)
