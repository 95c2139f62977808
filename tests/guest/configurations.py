# SPDX-License-Identifier: LGPL-2.1-or-later
"""kioku kconfig, against the configuration that the kernel's own package has: each line, both ways.

The ordinary guests have none in memory: it is put there, as the kernel's own copy in place of its types, and as
pages of no file, in memory that the guest does not use."""

import gzip
import random
import re

import kernels
from ram import PAGE, working_copy

OPTION = re.compile(r"CONFIG_\w+=.*|# CONFIG_\w+ is not set")


def told(name):
    """The options of a kernel of the lab, in order, as lines."""
    text = (kernels.get(name).folder / "config").read_text()
    return list(filter(OPTION.fullmatch, text.splitlines()))


def compared(result, expected, status):
    """All lines, and their order."""
    if result.status != status:
        yield result.describe()
    lines = result.stdout.decode().splitlines()
    found = list(filter(OPTION.fullmatch, lines))
    if found != expected:
        yield (f"{len(found)} options and not {len(expected)}; too many: "
               f"{sorted(set(found) - set(expected))[:3]}, missing: {sorted(set(expected) - set(found))[:3]}")
    for line in lines:
        if not line.startswith("#") and line not in found:
            yield f"no line of a configuration: {line!r}"


def shown(tool, known, image):
    """Of a guest without a configuration, what the kernel shows: nothing wrong, and said to be incomplete."""
    result = tool.run("kconfig", image, "--format", "json")
    if result.status != 3:
        yield result.describe()
    options = set(told(known.facts["kernel"]))
    rows = result.rows()
    for row in rows:
        if f"{row['name']}={row['value']}" not in options or row["certainty"] != "certain":
            yield f"{row['name']}={row['value']}, {row['certainty']}, by {row['confirmed_by']}"
    if len(rows) < 30:
        yield f"only {len(rows)} options"
    return f"{len(rows)} options"


def built_in(tool, known, ram):
    """A copy elsewhere, of another kernel, does not win."""
    name = known.facts["kernel"]
    other = next(kernel for kernel in kernels.ORDINARY if kernel != name)

    def packed(kernel):
        data = (kernels.get(kernel).folder / "config").read_bytes()
        return b"IKCFG_ST" + gzip.compress(data) + b"IKCFG_ED"

    start = known.image_physical(known.address("__start_BTF"))
    hole = next(ram.holes(1 << 20))[0]
    with ram.patched([(start, bytes(24)), (start + PAGE + 17, packed(name)),
                      (hole + 100, packed(other))]):
        result = tool.run("kconfig", ram.path)
        # There are no types then, which may be said, as a gap.
        yield from compared(result, told(name), result.status if result.status == 3 else 0)
        if b"# from: built-in\n" not in result.stdout or "kconfig:" in result.stderr:
            yield result.describe()


def as_pages(name):
    data = (kernels.get(name).folder / "config").read_bytes()
    data += bytes(-len(data) % PAGE)
    return [data[at:at + PAGE] for at in range(0, len(data), PAGE)]


def loose(tool, known, ram):
    """In a row; then that of another kernel in disorder as well, which does not win."""
    pages = as_pages(known.facts["kernel"])
    hole = next(ram.holes(2 << 20))[0]
    with ram.patched([(hole, b"".join(pages))]):
        yield from compared(tool.run("kconfig", ram.path), told(known.facts["kernel"]), 0)
        others = as_pages(next(name for name in kernels.ORDINARY if name != known.facts["kernel"]))
        random.Random(1).shuffle(others)
        with ram.patched([(hole + (1 << 20), b"".join(others))]):
            yield from compared(tool.run("kconfig", ram.path), told(known.facts["kernel"]), 0)


def scattered(tool, known, ram):
    """Out of order: what lies across pages is lost, which is said; no line is wrong."""
    pages = as_pages(known.facts["kernel"])
    random.Random(2).shuffle(pages)
    with ram.patched([(next(ram.holes(2 << 20))[0], b"".join(pages))]):
        result = tool.run("kconfig", ram.path)
    expected = told(known.facts["kernel"])
    found = set(filter(OPTION.fullmatch, result.stdout.decode().splitlines()))
    if result.status != 3:
        yield result.describe()
    if found - set(expected):
        yield f"wrong: {sorted(found - set(expected))[:3]}"
    if len(expected) - len(found) > 2 * len(pages):
        yield f"{len(found)} of {len(expected)}"
    return f"{len(found)} of {len(expected)} options"


def file(forest):
    """The page cache of a file, by its path."""
    result = forest.session.tool.run("kconfig", forest.image)
    yield from compared(result, told(forest.known.facts["kernel"]), 0)
    release = forest.known.facts["release"]
    if f"# from: file /boot/config-{release}\n".encode() not in result.stdout:
        yield f"not of the file: {result.stdout[:300]!r}"
    rows = forest.session.tool.rows("kconfig", forest.image)
    with forest.known.ram() as ram:
        for row in random.Random(3).sample(rows, 50):
            line = ram.read(int(row["physical"], 16), 9)
            if line[:7] != b"CONFIG_" and line != b"# CONFIG_":
                yield f"{row['name']} is not at {row['physical']}: {line!r}"


def check_all(session, known):
    tests = {"kconfig, shown": shown, "kconfig, built in": built_in, "kconfig, loose pages": loose,
             "kconfig, scattered pages": scattered}
    if not session.wants(known, *tests):
        return
    session.check(known, "kconfig, shown", shown, session.tool, known, known.ram_path)
    with working_copy(known.ram_path, session.folder / "kconfig", known.facts["ram_map"]) as ram:
        for title in list(tests)[1:]:
            session.check(known, title, tests[title], session.tool, known, ram)
