# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compressed images, written by the formats' own descriptions: AVML (avml src/image.rs, snappy
framing_format.txt), the zstd seekable format and the same table for LZ4 (frames by the ordinary
command-line tools), gzip members that say how large they are."""

import struct
import subprocess
import tempfile
import zlib

FRAME = 256 << 10


def crc_of_byte(crc):
    for _ in range(8):
        crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc


CRCS = [crc_of_byte(byte) for byte in range(256)]


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRCS[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def snappy(data):
    """A raw snappy block: one literal byte and copies of it where all bytes are the same, else
    literals."""
    size, length = len(data), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    length += bytes([size])
    if data.count(data[:1]) == len(data):
        body, left = b"\0" + data[:1], len(data) - 1
        while left:
            part = min(left, 64)
            body += struct.pack("<BH", part - 1 << 2 | 2, 1)  # a copy with a 16-bit offset
            left -= part
        return length + body
    return length + struct.pack("<BH", 61 << 2, len(data) - 1) + data


def chunk(data, compress=True):
    payload = snappy(data) if compress else data
    kind = 0 if compress else 1
    return struct.pack("<II", (len(payload) + 4) << 8 | kind, masked(data)) + payload


def avml_block(start, data, compress=True):
    stream = b"\xff\x06\0\0sNaPpY"
    for at in range(0, len(data), 65536):
        stream += chunk(data[at:at + 65536], compress)
    header = struct.pack("<4sIQQQ", b"AVML", 2, start, start + len(data) - 1, 0)
    return header + stream + struct.pack("<Q", len(stream))


def seek_table(sizes):
    entries = b"".join(struct.pack("<II", *pair) for pair in sizes)
    return (struct.pack("<II", 0x184D2A5E, len(entries) + 9) + entries +
            struct.pack("<IBI", len(sizes), 0, 0x8F92EAB1))


def frames(data, tool, size=FRAME):
    """Each piece as the tool packs it: [(packed, size)]."""
    command = {"zstd": ["zstd", "-q", "-c", "--content-size"],
               "lz4": ["lz4", "-q", "-c", "-B5", "--content-size"]}[tool]
    pieces = [data[at:at + size] for at in range(0, len(data), size)]
    return [(tool_output(command, piece), len(piece)) for piece in pieces]


def tool_output(command, data):
    """Of a file, as sizes are not known of a pipe."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return subprocess.run([*command, file.name], stdout=subprocess.PIPE, check=True).stdout


def seekable(data, tool, size=FRAME):
    pieces = frames(data, tool, size)
    return (b"".join(packed for packed, _ in pieces) +
            seek_table([(len(packed), content) for packed, content in pieces]))


def gzip_member(data):
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    body = packer.compress(data) + packer.flush()
    head = b"\x1f\x8b\x08\x04" + bytes(4) + b"\0\xff"
    extra = struct.pack("<H2sHII", 12, b"KK", 8, 24 + len(body) + 8, len(data))
    return head + extra + body + struct.pack("<II", zlib.crc32(data), len(data))


def gzip_members(data, size=FRAME):
    pieces = [data[at:at + size] for at in range(0, len(data), size)]
    return b"".join(map(gzip_member, pieces)) + gzip_member(b"")
