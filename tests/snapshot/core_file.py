# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads ELF cores of 64-bit x86 processes, as elf(5) and the kernel's fs/binfmt_elf.c have them."""

import bisect
import collections
import struct

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")
SECTION = struct.Struct("<IIQQQQIIQQ")
NOTE = struct.Struct("<III")
PT_LOAD, PT_NOTE = 1, 4
PN_XNUM = 0xFFFF
NT_PRSTATUS, NT_FPREGSET, NT_PRPSINFO, NT_AUXV = 1, 2, 3, 6
NT_FILE, NT_SIGINFO, NT_X86_XSTATE = 0x46494C45, 0x53494749, 0x202
PAGE = 4096

# struct elf_prstatus: pr_pid, and user_regs_struct in its order
PRSTATUS_PID, PRSTATUS_REGISTERS = 32, 112
REGISTERS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp "
             "ss fs_base gs_base ds es fs gs").split()

Segment = collections.namedtuple("Segment", "address memory_size offset file_size flags")
Note = collections.namedtuple("Note", "owner type data")
Thread = collections.namedtuple("Thread", "tid registers notes")


class Missing(LookupError):
    """Memory that is not in the core."""


class CoreFile:
    def __init__(self, path):
        self.file = open(path, "rb")  # for as long as the object lives
        header = HEADER.unpack(self.at(0, HEADER.size))
        if header[0][:6] != b"\x7fELF\x02\x01" or header[1] != 4 or header[2] != 62:
            raise ValueError(f"{path} is no core of a 64-bit x86 process")
        offset, sections, count = header[5], header[6], header[10]
        if count == PN_XNUM:
            count = SECTION.unpack(self.at(sections, SECTION.size))[7]
        self.segments, self.notes = [], []
        for index in range(count):
            kind, flags, place, address, _, file_size, memory_size, _ = SEGMENT.unpack(
                self.at(offset + index * SEGMENT.size, SEGMENT.size))
            if kind == PT_LOAD:
                self.segments.append(Segment(address, memory_size, place, file_size, flags))
            elif kind == PT_NOTE:
                self.notes.extend(parse_notes(self.at(place, file_size)))
        self.segments.sort()
        self.starts = [segment.address for segment in self.segments]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def at(self, offset, size):
        self.file.seek(offset)
        data = self.file.read(size)
        if len(data) != size:
            raise ValueError(f"the core ends before {offset + size:#x}")
        return data

    def read(self, address, size):
        """Memory, across segments that lie side by side; what a segment does not store is zeros."""
        parts = []
        while size > 0:
            segment = self.segment(address)
            if segment is None:
                raise Missing(f"{address:#x} is not in the core")
            inside = address - segment.address
            part = min(size, segment.memory_size - inside)
            stored = max(0, min(part, segment.file_size - inside))
            parts.append(self.at(segment.offset + inside, stored) + bytes(part - stored))
            address, size = address + part, size - part
        return b"".join(parts)

    def segment(self, address):
        index = bisect.bisect_right(self.starts, address) - 1
        segment = self.segments[index] if index >= 0 else None
        inside = segment is not None and address < segment.address + segment.memory_size
        return segment if inside else None

    def stores(self, address):
        segment = self.segment(address)
        return segment is not None and address < segment.address + segment.file_size

    def words(self, address, count):
        return struct.unpack(f"<{count}Q", self.read(address, 8 * count))

    def pages(self):
        """(address, contents) of all that is in the file."""
        for segment in self.segments:
            for place in range(0, segment.file_size, PAGE):
                size = min(PAGE, segment.file_size - place)
                yield segment.address + place, self.at(segment.offset + place, size)

    def note(self, kind):
        """The first of a type; None if there is none."""
        return next((note.data for note in self.notes if note.type == kind), None)

    def threads(self):
        """A thread's notes are those from its PRSTATUS on."""
        threads = []
        for note in self.notes:
            if note.type == NT_PRSTATUS:
                tid = struct.unpack_from("<I", note.data, PRSTATUS_PID)[0]
                values = struct.unpack_from(f"<{len(REGISTERS)}Q", note.data, PRSTATUS_REGISTERS)
                threads.append(Thread(tid, dict(zip(REGISTERS, values)), {}))
            elif threads:
                threads[-1].notes.setdefault(note.type, note.data)
        return threads


def parse_notes(data):
    place = 0
    while place + NOTE.size <= len(data):
        owner_size, size, kind = NOTE.unpack_from(data, place)
        owner = place + NOTE.size
        start = owner + (owner_size + 3 & ~3)
        yield Note(data[owner:owner + owner_size].rstrip(b"\0").decode(), kind,
                   data[start:start + size])
        place = start + (size + 3 & ~3)


class LiveMemory:
    """A process as it runs: not one instant, but what a copy without stopping it would have."""

    def __init__(self, pid):
        self.file = open(f"/proc/{pid}/mem", "rb", buffering=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def read(self, address, size):
        self.file.seek(address)
        return self.file.read(size)

    def words(self, address, count):
        return struct.unpack(f"<{count}Q", self.read(address, 8 * count))
