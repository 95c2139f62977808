# SPDX-License-Identifier: LGPL-2.1-or-later
"""LiME images, written by the format's own description (LiME's doc/README.md, version 1): for each
range a header of 32 bytes, then its bytes."""

import re
import struct

HEADER = struct.Struct("<IIQQ8x")  # magic, version, first address, last address (included)
MAGIC, VERSION = 0x4C694D45, 1


def ram_ranges(iomem):
    """The outermost "System RAM" ranges of /proc/iomem, as LiME's module takes them: [(start,
    end)], end included."""
    found = [re.match(r"(\w+)-(\w+) : System RAM$", line) for line in iomem]
    return [(int(match[1], 16), int(match[2], 16)) for match in found if match]


def write(path, ram, ranges):
    """Returns where in the file each structure starts: headers and the bytes behind them.

    ram has read(physical, size). Zeros become holes in the file.
    """
    boundaries = []
    with open(path, "wb") as file:
        for start, end in ranges:
            boundaries.append(file.tell())
            file.write(HEADER.pack(MAGIC, VERSION, start, end))
            boundaries.append(file.tell())
            copy(file, ram, start, end + 1)
        boundaries.append(file.tell())
        file.truncate()
    return boundaries


def copy(file, ram, start, end, chunk=1 << 20):
    for at in range(start, end, chunk):
        data = ram.read(at, min(chunk, end - at))
        if data.count(0) == len(data):
            file.seek(len(data), 1)
        else:
            file.write(data)
