# SPDX-License-Identifier: LGPL-2.1-or-later
"""ELF files that no dump writer makes: headers with absurd counts, offsets and sizes (elf(5))."""

import struct

EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
PHDR = struct.Struct("<IIQQQQQQ")
SHDR = struct.Struct("<IIQQQQIIQQ")
IDENT = b"\x7fELF\x02\x01\x01" + bytes(9)
CORE, X86_64, LOAD, NOTE = 4, 62, 1, 4
HUGE = 1 << 63


def header(phnum=1, phoff=64, phentsize=56, shnum=0, shoff=0, machine=X86_64, kind=CORE):
    return EHDR.pack(IDENT, kind, machine, 1, 0, phoff, shoff, 0, 64, phentsize, phnum, 64, shnum,
                     0)


def load(offset=4096, physical=0, filesz=4096, memsz=4096, virtual=0):
    return PHDR.pack(LOAD, 7, offset, virtual, physical, filesz, memsz, 0)


def note(offset, filesz):
    return PHDR.pack(NOTE, 0, offset, 0, 0, filesz, filesz, 0)


def section_zero(count):
    """Section 0 holds the number of segments where e_phnum is 0xffff (PN_XNUM)."""
    return SHDR.pack(0, 0, 0, 0, 0, 0, 0, count, 0, 0)


def padded(data, size=16384):
    return data + bytes(size - len(data))


def absurd():
    """{name: bytes of a file}, none of which is an image of anything."""
    return {
        "no segments": padded(header(phnum=0)),
        "65,534 segments in 16 KiB": padded(header(phnum=0xFFFE) + load()),
        "2^32 - 1 segments by section 0":
            padded(header(phnum=0xFFFF, shnum=1, shoff=120) + load() + section_zero(0xFFFFFFFF)),
        "section 0 beyond the end": padded(header(phnum=0xFFFF, shnum=1, shoff=HUGE) + load()),
        "segments beyond the end": padded(header(phoff=HUGE)),
        "segments at the end of all": padded(header(phoff=(1 << 64) - 8, phnum=2)),
        "segment headers of 0 bytes": padded(header(phentsize=0) + load()),
        "segment headers of 65,535 bytes": padded(header(phentsize=0xFFFF, phnum=0xFF) + load()),
        "a segment of 2^64 - 1 bytes": padded(header() + load(filesz=HUGE * 2 - 1,
                                                              memsz=HUGE * 2 - 1)),
        "a segment at 2^64 - 4096": padded(header() + load(physical=HUGE * 2 - 4096, filesz=8192,
                                                           memsz=8192)),
        "a segment that starts beyond the end": padded(header() + load(offset=HUGE)),
        "more bytes in the file than in memory": padded(header() + load(filesz=8192, memsz=1)),
        "1 TiB of zeros": padded(header() + load(filesz=0, memsz=1 << 40)),
        "segments that overlap": padded(header(phnum=3) + load() + load(physical=2048) + load()),
        "a note of 2^63 bytes": padded(header() + note(4096, HUGE)),
        "a note whose name has 2^32 - 1 bytes":
            padded(padded(header() + note(4096, 64), 4096) +
                   struct.pack("<III", 0xFFFFFFFF, 0xFFFFFFFF, 1)),
        "an executable": padded(header(kind=2) + load()),
        "a machine of another kind": padded(header(machine=40) + load()),
        "half a header": header()[:40],
        "the magic alone": IDENT[:4],
    }


def boundaries(data):
    """Where the structures at the start of a real dump begin and end: to cut a copy there."""
    fields = EHDR.unpack_from(data)
    phoff, shoff, phentsize, phnum = fields[5], fields[6], fields[9], fields[10]
    found = {4, 16, EHDR.size, phoff, shoff, shoff + SHDR.size}
    for index in range(min(phnum, 64)):
        at = phoff + index * phentsize
        if at + PHDR.size > len(data):
            break
        _, _, offset, _, _, filesz, _, _ = PHDR.unpack_from(data, at)
        found |= {at, at + PHDR.size, offset, offset + filesz}
    return found
