# SPDX-License-Identifier: LGPL-2.1-or-later
"""NetTLP on the wire, written from the specification (PCI Express Base 2.1, section 2.2) and libtlp's
headers and not from kioku's code: what either end sends, and how a requester puts it together again."""

import socket
import struct
from dataclasses import dataclass

MESSAGE_PORT, DEVICE_PORT = 0x2FFF, 0x3000
PAGE = 4096
READ, READ_LONG, WRITE, WRITE_LONG = 0x00, 0x20, 0x40, 0x60
COMPLETION, COMPLETION_DATA = 0x0A, 0x4A
SUCCESSFUL, UNSUPPORTED, RETRY, ABORT = 0, 1, 2, 4
PATIENCE = 60  # seconds until an answer counts as missing


class Broken(Exception):
    """A datagram, or an answer, that breaks the rules."""


def header(sequence=0, timestamp=0):
    return struct.pack(">HI", sequence & 0xFFFF, timestamp & 0xFFFFFFFF)


# --- requests


@dataclass
class Read:
    address: int
    size: int  # bytes; 0: a flush
    tag: int = 0
    requester: int = 0x0100
    address_type: int = 0

    def enables(self):
        """(words, byte enables of the first, of the last)"""
        skipped = self.address % 4
        words = max(1, (skipped + self.size + 3) // 4)
        mask = ((1 << self.size) - 1) << skipped  # a bit for each byte
        return words, mask & 15, mask >> 4 * (words - 1) & 15 if words > 1 else 0


def encode_request(read, kind=None, data=b""):
    words, first, last = read.enables()
    long = read.address >= 1 << 32
    kind = (READ_LONG if long else READ) if kind is None else kind
    address = struct.pack(">Q" if kind & 0x20 else ">I", read.address & ~3)
    return struct.pack(">BBHHBB", kind, 0, read.address_type << 10 | words % 1024, read.requester,
                       read.tag, last << 4 | first) + address + data


def encode_read(read, sequence=0, timestamp=0):
    return header(sequence, timestamp) + encode_request(read)


def decode_read(datagram):
    """For who plays the endpoint."""
    if len(datagram) not in (18, 22):
        raise Broken(f"a request of {len(datagram)} bytes")
    kind, _, flags, requester, tag, enables = struct.unpack_from(">BBHHBB", datagram, 6)
    if kind not in (READ, READ_LONG):
        raise Broken(f"a request of type {kind:#x}")
    if len(datagram) != (22 if kind == READ_LONG else 18):
        raise Broken("a request whose length is not that of its type")
    address, = struct.unpack_from(">Q" if kind == READ_LONG else ">I", datagram, 14)
    if (address >= 1 << 32) != (kind == READ_LONG):
        raise Broken(f"address {address:#x} with a header for others")
    words, first, last = (flags & 0x3FF) or 1024, enables & 15, enables >> 4
    mask = first | (last << 4 * (words - 1) if words > 1 else 0)
    if words > 2:
        mask |= ((1 << 4 * (words - 2)) - 1) << 4
    if words > 1 and (not first or not last) or words == 1 and last:
        raise Broken(f"byte enables {enables:#x} of {words} words")
    start = (mask & -mask).bit_length() - 1 if mask else 0
    size = mask.bit_length() - start if mask else 0
    return Read((address & ~3) + start, size, tag, requester, flags >> 10 & 3)


# --- completions


@dataclass
class Completion:
    tag: int
    data: bytes = b""  # whole words
    remaining: int = 0  # bytes; 0 is sent for 4096
    lower: int = 0
    status: int = SUCCESSFUL
    requester: int = 0x0100
    completer: int = 0
    poisoned: bool = False
    sequence: int = 0
    timestamp: int = 0


def encode_completion(completion, kind=None, words=None):
    """kind and words replace what follows from the data, for who lies."""
    size = len(completion.data) // 4 if words is None else words
    if kind is None:
        kind = COMPLETION_DATA if completion.data else COMPLETION
    return header(completion.sequence, completion.timestamp) + struct.pack(
        ">BBHHHHBB", kind, 0, completion.poisoned << 14 | size % 1024, completion.completer,
        completion.status << 13 | completion.remaining % 4096, completion.requester,
        completion.tag, completion.lower) + completion.data


def decode_completion(datagram):
    if len(datagram) < 18:
        raise Broken(f"a completion of {len(datagram)} bytes")
    sequence, timestamp, kind, _, flags, completer, count, requester, tag, lower = (
        struct.unpack_from(">HIBBHHHHBB", datagram))
    data = datagram[18:]
    if kind not in (COMPLETION, COMPLETION_DATA):
        raise Broken(f"a completion of type {kind:#x}")
    words = 0 if kind == COMPLETION else (flags & 0x3FF) or 1024
    if len(data) != 4 * words:
        raise Broken(f"{len(data)} bytes of data and not {4 * words}")
    if lower > 127:
        raise Broken(f"lower address {lower:#x}")
    return Completion(tag, data, count % 4096 or 4096, lower, count >> 13, requester, completer,
                      bool(flags & 0x4000), sequence, timestamp)


def complete(read, memory, payload=256, boundary=64, completer=0):
    """The completions of a read as a root complex sends them; memory: what was asked for."""
    at, end = read.address & ~3, read.address + read.size
    padded = bytes(read.address - at) + memory + bytes(-end % 4)
    position = 0
    while position < len(padded):
        size = min(payload, len(padded) - position)
        if position + size < len(padded):
            size = (at + position + size) // boundary * boundary - at - position
        start = max(at + position, read.address)
        yield Completion(read.tag, padded[position:position + size], end - start, start & 0x7F,
                         requester=read.requester, completer=completer)
        position += size


class Assembly:
    """What has come of a read. Completions may come in any order, and twice."""

    def __init__(self, read):
        self.read, self.parts, self.status = read, {}, None
        self.end = read.address + read.size

    def add(self, completion, payload=4096, boundary=64):
        read = self.read
        if (completion.tag, completion.requester) != (read.tag, read.requester):
            raise Broken(f"an answer to tag {completion.tag:#x} of {completion.requester:#06x}")
        if completion.status != SUCCESSFUL:
            if completion.data:
                raise Broken("a refusal with data")
            self.status = completion.status
            return
        start = self.end - completion.remaining
        if start < read.address or (start > read.address and start % boundary):
            raise Broken(f"a completion at {start:#x} of a read at {read.address:#x}")
        if completion.lower != start & 0x7F:
            raise Broken(f"lower address {completion.lower:#x} at {start:#x}")
        if len(completion.data) > payload:
            raise Broken(f"{len(completion.data)} bytes of data where {payload} may be")
        data = completion.data[start % 4:][:completion.remaining]
        if start + len(data) < self.end and (start + len(data)) % boundary:
            raise Broken(f"a completion that ends at {start + len(data):#x}")
        if self.parts.setdefault(start, data) != data:
            raise Broken("two different completions of the same bytes")

    def is_done(self):
        return self.status is not None or sum(map(len, self.parts.values())) == self.read.size

    def memory(self):
        at, found = self.read.address, b""
        for start, data in sorted(self.parts.items()):
            if start != at:
                raise Broken(f"nothing came for {at:#x}")
            found, at = found + data, at + len(data)
        return found


# --- a requester


class Client:
    """A requester on sockets of its own: one for each tag, on the tag's port, as libtlp's are; or,
    without tags, one on any port."""

    def __init__(self, remote, local, tags=None):
        self.remote, self.sockets = remote, {}
        for tag in tags if tags is not None else (None,):
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind((local, 0 if tag is None else DEVICE_PORT + tag))
            made.settimeout(PATIENCE)
            self.sockets[tag] = made

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for made in self.sockets.values():
            made.close()

    def socket(self, tag):
        return self.sockets.get(tag) or self.sockets[None]

    def send(self, datagram, tag=0, port=None):
        self.socket(tag).sendto(datagram, (self.remote, port or DEVICE_PORT + tag))

    def receive(self, tag=0, came_from=None):
        datagram, peer = self.socket(tag).recvfrom(65536)
        expected = (self.remote, came_from or DEVICE_PORT + tag)
        if peer != expected:
            raise Broken(f"an answer from {peer} and not {expected}")
        return datagram

    def answer(self, read, payload=4096, boundary=64):
        """Sends a read and returns what came, which is whole or says why not."""
        self.send(encode_read(read), read.tag)
        assembly = Assembly(read)
        while True:
            assembly.add(decode_completion(self.receive(read.tag)), payload, boundary)
            if assembly.is_done():
                return assembly

    def read(self, address, size, tag=0):
        assembly = self.answer(Read(address, size, tag))
        if assembly.status is not None:
            raise Broken(f"{size} bytes at {address:#x} are refused with {assembly.status}")
        return assembly.memory()

    def message(self, number, local):
        """What the message service says, from a port of its own."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.bind((local, 0))
            asking.connect((self.remote, MESSAGE_PORT))
            asking.settimeout(PATIENCE)
            asking.send(struct.pack("=i", number))
            return asking.recv(65536)
