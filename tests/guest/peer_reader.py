#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads an image by another tool's library and compares it with a guest's memory.

usage: peer_reader.py kdumpfile|drgn|volatility3 [IMAGE GUEST-FOLDER]

Prints a line for each problem, the first few only, and at the end one that says what was compared.
Without an image it only tells, by its exit status, whether the library is there.
"""

import sys
from pathlib import Path

PAGE = 4096
COUNT = 1 << 17     # pages, at most about so many
PROBLEMS = 5


def by_kdumpfile(image, known):
    dump = kdumpfile.kdumpfile(image)
    if dump.attr["linux.uts.release"] != known.before["release"]:
        yield f"its release is {dump.attr['linux.uts.release']}"
    yield lambda physical: dump.read(kdumpfile.KDUMP_MACHPHYSADDR, physical, PAGE)


def by_drgn(image, known):
    """The banner takes drgn's own walk through the page tables."""
    program = drgn.Program()
    program.set_core_dump(image)
    if not program.flags & drgn.ProgramFlags.IS_LINUX_KERNEL:
        yield "it does not know that this is a kernel"
    banner = program.read(known.address("linux_banner"), 64)
    if not banner.startswith(b"Linux version " + known.before["release"].encode()):
        yield f"its banner is {banner}"
    yield lambda physical: program.read(physical, PAGE, physical=True)


def by_volatility3(image, known):
    """The layers alone, stacked as its automagic does it."""
    context = contexts.Context()
    context.config["base.location"] = Path(image).resolve().as_uri()
    context.add_layer(physical.FileLayer(context, "base", "base"))
    for stacker in (avml.AVMLStacker, elf.Elf64Stacker, lime.LimeStacker):
        layer = stacker.stack(context, "base")
        if layer:
            break
    context.add_layer(layer)
    yield lambda physical: layer.read(physical, PAGE)


def compare(read, known):
    """Problems, and then what was compared."""
    size = sum(piece["size"] for piece in known.facts["ram_map"])
    step = max(1, size // PAGE // COUNT)
    compared = wrong = 0
    with known.ram() as ram:
        for piece in known.facts["ram_map"]:
            start = int(piece["physical"], 16)
            for physical in range(start, start + piece["size"], step * PAGE):
                compared += 1
                try:
                    problem = None if read(physical) == ram.read(physical, PAGE) else "differs"
                except Exception as error:
                    problem = repr(error)
                wrong += problem is not None
                if problem and wrong <= PROBLEMS:
                    yield f"page {physical:#x}: {problem}"
    if wrong > PROBLEMS:
        yield f"and {wrong - PROBLEMS} more pages"
    yield f"{compared} pages"


def main(peer, image=None, folder=None):
    if not image:
        return
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from known import Known
    known = Known(folder)
    for item in globals()[f"by_{peer}"](image, known):
        if isinstance(item, str):
            print(item)
        else:
            for line in compare(item, known):
                print(line)


if sys.argv[1] == "kdumpfile":
    import kdumpfile
elif sys.argv[1] == "drgn":
    import drgn
else:
    from volatility3.framework import contexts
    from volatility3.framework.layers import avml, elf, lime, physical
main(*sys.argv[1:])
