# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images to send: LiME files of zeros, text and noise, as memory is, the same for the same seed."""

import random
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "images"))
import lime

PAGE, MIB = 4096, 1 << 20
PATTERN = 256  # pages, after which the kinds of pages, but not their bytes, come again


def write(path, size, seed=1):
    """An image with two ranges of memory, size bytes in all."""
    lime.write(path, Memory(seed), [(0x1000, 0x9FBFF), (0x100000, 0x100000 + size - 0x9EC00 - 1)])


class Memory:
    def __init__(self, seed):
        generator = random.Random(seed)
        self.pattern = generator.choices(("zero", "text", "noise"), (45, 30, 25), k=PATTERN)

    def read(self, physical, size):
        return b"".join(self.page(at) for at in range(physical & -PAGE, physical + size, PAGE))[
            physical % PAGE:][:size]

    def page(self, at):
        kind = self.pattern[at // PAGE % PATTERN]
        if kind == "zero":
            return bytes(PAGE)
        if kind == "text":
            return (b"page %12x of a process that waits, " % at * 100)[:PAGE]
        # Not the same twice, as far as a codec can tell.
        return random.Random(at).randbytes(PAGE)
