# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel says of itself: its log and its modules, against the guest's own word, both ways."""

import re

from tool import text_bytes

LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")


def shown(row, column):
    data = text_bytes(row, column)
    return None if data is None else data.decode("utf-8", "backslashreplace")


# --- the log

def log_line(line):
    """(level, seconds, caller or None, text) of a line that syslog(2) gives, the facility kern."""
    match = re.fullmatch(r"<(\d+)>\[ *(\d+\.\d+)\](?:\[ *([TC]\d+)\])? ?(.*)", line, re.S)
    return LEVELS[int(match[1]) % 8], match[2], match[3], match[4]


def log_rows(tool, image, *options):
    """The same of every line of the view's rows."""
    for row in tool.rows("dmesg", image, "--columns", "all", *options):
        for line in shown(row, "text").split("\n"):
            yield row["level"], row["since_boot"], row["caller"], line


def same_line(found, told):
    """Callers are only told by kernels that print them."""
    return found[:2] == told[:2] and told[2] in (None, found[2]) and \
        escaped(found[3]) == escaped(told[3])


def escaped(text):
    """syslog(2) gives other than printable bytes as they are, /dev/kmsg as numbers; the truth's lines
    were split where a text has odd ends of line."""
    return re.sub(r"[^ -~]", "?", text)


def dmesg(tool, known, image, *options):
    found = list(log_rows(tool, image, *options))
    for truth in known.truths:
        told = [log_line(line) for line in truth["dmesg"]]
        count = min(len(told), len(found))
        # Who asked before the image was taken saw less, who asked after it saw more.
        if len(found) < len(told) and truth is known.before:
            yield f"{len(found)} lines, of {len(told)}"
        if len(found) > len(told) and truth is known.after:
            yield f"{len(found)} lines, but later there were {len(told)}"
        yield from (f"line {number}: {found[number]}, not {told[number]}" for number in range(count)
                    if not same_line(found[number], told[number]))
    return f"{len(found)} lines"


# --- modules

def modules(tool, known, image, *options):
    rows = {row["name"]: row for row in tool.rows("modules", image, "--columns", "all", *options)}
    told = {module["name"]: module for module in known.before["modules"]}
    uses = {}
    for truth in known.truths:
        for module in truth["modules"]:
            uses.setdefault(module["name"], set()).add(module["references"])
    yield from (f"{name} is missing" for name in sorted(set(told) - set(rows)))
    yield from (f"{name} is not loaded" for name in sorted(set(rows) - set(told)))
    for name in sorted(set(told) & set(rows)):
        yield from (f"{name}: {problem}" for problem in wrong_module(rows[name], told[name]))
        # The agent has the disk open that it writes its truth to.
        if known.after and not uses[name] & {rows[name]["references"],
                                             rows[name]["references"] + (name == "virtio_blk")}:
            yield f"{name}: used {rows[name]['references']} times, not {uses[name]}"
    known_values = sum("=" in item for row in rows.values() for item in row["parameters"])
    return f"{len(rows)} modules, {known_values} parameters"


def wrong_module(row, told):
    for column, value in (("base", told["address"]), ("size", told["size"]),
                          ("state", told["state"]),
                          ("taints", told["taint"].strip("()") or None)):
        if row[column] != value:
            yield f"{column} {row[column]}, not {value}"
    if sorted(row["users"]) != sorted(told["used_by"]):
        yield f"used by {row['users']}, not {told['used_by']}"
    # Those that nobody may read are not in sysfs; of those whose kind is not known there is no value.
    values = dict(item.partition("=")[::2] for item in row["parameters"])
    named = {item.partition("=")[0] for item in row["parameters"] if "=" in item}
    for name, value in told.get("parameters", {}).items():
        if name not in values:
            yield f"parameter {name} is missing"
        elif name in named and values[name] != value:
            yield f"parameter {name} is {values[name]}, not {value}"
    sections = dict(item.split("=") for item in row["sections"] or ())
    for name, address in told.get("sections", {}).items():
        if name not in sections or int(sections[name], 16) != int(address, 16):
            yield f"section {name} at {sections.get(name)}, not {address}"
    if told.get("sections") and set(sections) != set(told["sections"]):
        yield f"sections {sorted(set(sections) ^ set(told['sections']))}"


# --- physical addresses

def iomem(tool, known, image, *options):
    rows = tool.rows("iomem", image, "--columns", "all", *options)
    found = [f"{'  ' * row['depth']}{int(row['start'], 16):08x}-{int(row['end'], 16):08x} : "
             f"{shown(row, 'name') or '<BAD>'}" for row in rows]
    for truth in known.truths:
        if found == truth["iomem"]:
            return f"{len(found)} ranges"
    yield from (f"{line} is missing" for line in known.before["iomem"] if line not in found)
    yield from (f"{line} is not there" for line in found if line not in known.before["iomem"])
    yield "not as /proc/iomem has them"
