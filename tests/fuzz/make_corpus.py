#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the seeds of image and compression formats to corpus: one small file for each form that the
parsers know. Run it again after changing it, and commit what it wrote."""

import gzip
import hashlib
import json
import lzma
import pathlib
import struct
import sys
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "images"))
import manifest as making  # noqa: E402

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"


def lime_record(start, data, version=1):
    return struct.pack("<4sIQQQ", b"EMiL", version, start, start + len(data) - 1, 0) + data


def lime():
    low = lime_record(0x1000, b"a" * 0x30)
    high = lime_record(0x100000000, b"b" * 0x11)
    yield "two_records", low + high
    yield "truncated", low + high[:-9]
    yield "truncated_header", low + high[:31]
    yield "garbage_between", low + bytes(40) + high
    yield "version_2", lime_record(0, b"c" * 8, version=2)
    yield "backwards", struct.pack("<4sIQQQ", b"EMiL", 1, 0x2000, 0x1000, 0)
    yield "everything", struct.pack("<4sIQQQ", b"EMiL", 1, 0, 2**64 - 1, 0)
    yield "compressed", b"\x38\x8d" + bytes(60)


def note(name, kind, description, align=4, order="<", nul=True):
    counted = name + (b"\0" if nul else b"")
    head = struct.pack(order + "III", len(counted), len(description), kind) + counted
    head += bytes(-len(head) % align)
    return head + description + bytes(-len(description) % align)


def elf(loads, notes, wide=True, order="<", machine=62, kind=4, many=False):
    """loads: (physical, data, size in memory); section header 0 has the count if many."""
    word = "Q" if wide else "I"
    header_size, entry_size = (64, 56) if wide else (52, 32)
    sections = b""
    if many:
        before = struct.pack(order + "II" + 4 * word + "I", 0, 0, 0, 0, 0, 0, 0)
        sections = before + struct.pack(order + "I", len(loads) + 1)
    table = header_size + len(sections)
    position = table + entry_size * (len(loads) + 1)
    entries, body = b"", b""
    for p_type, physical, data, size in [(4, 0, notes, len(notes))] + [(1, *x) for x in loads]:
        fields = (position + len(body), 0x80000000 + physical, physical, len(data), size)
        if wide:
            entries += struct.pack(order + "IIQQQQQQ", p_type, 7, *fields, 0)
        else:
            entries += struct.pack(order + "IIIIIIII", p_type, *fields, 7, 0)
        body += data
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    count = 0xFFFF if many else len(loads) + 1
    header = ident + struct.pack(
        order + "HHI" + 3 * word + "IHHHHHH", kind, machine, 1, 0, table,
        header_size if many else 0, 0, header_size, entry_size, count, 0, 0, 0)
    return header + sections + entries + body


def elves():
    prstatus = note(b"CORE", 1, bytes(range(256)) + bytes(80))
    qemu = note(b"QEMU", 0, struct.pack("<II", 1, 440) + bytes(432))
    vmcoreinfo = note(b"VMCOREINFO", 0, b"OSRELEASE=6.1.0\nPAGESIZE=4096\n")
    virtualbox = note(b"VBCORE", 0xB00, bytes(24), nul=False)
    virtualbox += note(b"VBCPU", 0xB01, bytes(320), nul=False)
    process = note(b"CORE", 0x46494C45, bytes(16)) + note(b"CORE", 6, bytes(16))
    loads = [(0x1000, b"a" * 16, 16), (0x100000, b"b" * 8, 64)]
    yield "qemu", elf(loads, prstatus + qemu + vmcoreinfo)
    yield "qemu_real_mode", elf(loads, qemu, machine=3)
    yield "vmcore", elf(loads, prstatus + vmcoreinfo + bytes(24))
    yield "virtualbox", elf(loads, virtualbox)
    yield "process", elf([(0, b"a" * 8, 8), (0, b"b" * 8, 8)], process)
    yield "many", elf(loads, vmcoreinfo, many=True)
    yield "elf32", elf(loads, prstatus, wide=False, machine=3)
    yield "elf32_many", elf(loads, b"", wide=False, machine=3, many=True)
    yield "big_endian", elf(loads, note(b"VMCOREINFO", 0, b"A=1\n", order=">"), order=">")
    yield "aligned_8", elf(loads, note(b"HELLO", 1, b"123456789", align=8))
    yield "executable", elf(loads, b"", kind=2)
    yield "truncated", elf(loads, prstatus)[:-20]
    yield "header_only", elf([], b"")[:64]


def kdump(pages, version=6, magic=b"KDUMP   ", blocks=2, split=0):
    """Up to 8 bits of both bitmaps for so many pages, one descriptor, no page."""
    header = bytearray(4096)
    struct.pack_into("<8sI", header, 0, magic, version)
    header[12 + 4 * 65:12 + 4 * 65 + 6] = b"x86_64"
    struct.pack_into("<IIIIII", header, 0x1A8, 1, 4096, 1, blocks, pages, pages)
    sub = struct.pack("<QIIQQ48xQQQ", 0, 31, split, 1, 5, 1, 5, pages)
    bitmaps = (b"\x7e" + b"\xff" * 600).ljust(4096, b"\0") + (b"\x76" + b"\xa5" * 600)
    page = struct.pack("<QIIQ", 4 * 4096 + 24, 100, 1, 0)
    return bytes(header) + sub.ljust(4096, b"\0") + bitmaps.ljust(8192, b"\0") + page


def kdumps():
    yield "eight", kdump(8)
    yield "more", kdump(4801)
    yield "version_1", kdump(64, version=1)
    yield "split", kdump(64, split=1)
    yield "diskdump", kdump(64, magic=b"DISKDUMP", version=3)
    yield "one_bitmap", kdump(64, blocks=1)
    yield "truncated", kdump(64)[:9000]


def flattened(*records, end=True):
    head = b"makedumpfile".ljust(16, b"\0") + struct.pack(">qq", 1, 1)
    body = b"".join(struct.pack(">qq", at, len(data)) + data for at, data in records)
    return head.ljust(4096, b"\0") + body + (struct.pack(">qq", -1, -1) if end else b"")


def flattened_files():
    yield "in_order", flattened((0, b"a" * 64), (64, b"b" * 64))
    yield "overwritten", flattened((100, b"a" * 64), (0, b"b" * 64), (32, b"c" * 96), (0, b"d"))
    yield "no_end", flattened((0, b"a" * 64), end=False)
    yield "empty", flattened()


def swap():
    head = struct.pack("<III", 1, 9, 0) + bytes(range(16)) + b"label".ljust(16, b"\0")
    yield "area", head + b"SWAPSPACE2"
    yield "bad_pages", head[:8] + struct.pack("<I", 2) + head[12:] + b"SWAPSPACE2"
    yield "hibernated", head + b"S1SUSPEND\0"
    yield "old", head + b"SWAP-SPACE"
    yield "version_2", b"\2" + head[1:] + b"SWAPSPACE2"


def btf(types, strings):
    return struct.pack("<IIIIII", 0x1EB9F, 24, 0, len(types), len(types), len(strings)) + (
        types + strings)


def keyword():
    """Two structs, one of which is called as the other is asked for."""
    types = struct.pack("<IIIIII", 1, 4 << 24, 8, 8, 4 << 24, 4)
    return btf(types, b"\0struct list\0")


def split_btf():
    """The kernel's: int, an enum and a struct list; a module's, with a struct of a list and an int."""
    strings = b"\0int\0colour\0RED\0list\0next\0"
    types = struct.pack("<IIII", 1, 1 << 24, 4, 1 << 24 | 32)
    types += struct.pack("<IIIII", 5, 6 << 24 | 1, 4, 12, 7)
    types += struct.pack("<IIIIII", 16, 4 << 24 | 1, 8, 21, 1, 0)
    base = btf(types, strings)
    own = b"zram\0table\0"
    first = len(strings)
    more = struct.pack("<IIIIIIIII", first, 4 << 24 | 2, 16, first + 5, 3, 0, 21, 1, 64)
    more += struct.pack("<III", 0, 2 << 24, 4)
    yield "zram", base + btf(more, own)
    yield "itself", base + btf(struct.pack("<III", first, 8 << 24, 4), own)
    yield "cut", (base + btf(more, own))[:-3]
    yield "keyword", keyword() + btf(more, own)
    yield "flaw", btf(types + struct.pack("<III", 0, 90 << 24, 0), strings) + btf(more, own)


def lzo():
    yield "repeat", bytes([18, 98, 0x20]) + bytes(15) + bytes([237, 0, 0, 0x11, 0, 0])
    yield "literals", bytes([0, 2]) + b"0123456789abcdefghij" + bytes([0x11, 0, 0])
    yield "matches", (bytes([21]) + b"abcd" + bytes([0xE0, 0, 0x23, 12, 0, 0x45, 0, 120, 0, 3]) +
                      bytes([0x11, 0, 0]))
    # Bitstream version 1: 14 and 2051 zeros, then two literals.
    runs = bytes([17, 1, 21]) + b"abcd" + bytes([0x1A, 0xFC, 0xFF, 1])
    yield "zeros", runs + bytes([1]) + b"efgh" + bytes([0x1F, 0xFE, 0xFF, 0xFF]) + b"xy" + (
        bytes([0x11, 0, 0]))


def seek_table(*sizes):
    entries = b"".join(struct.pack("<II", *pair) for pair in sizes)
    head = struct.pack("<II", 0x184D2A5E, len(entries) + 9)
    return head + entries + struct.pack("<IBI", len(sizes), 0, 0x8F92EAB1)


def gzip_member(data, known=True):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(data) + packer.flush()
    extra = struct.pack("<H2sHII", 12, b"KK", 8, 24 + len(body) + 8, len(data)) if known else b""
    head = b"\x1f\x8b\x08" + (b"\4" if known else b"\0") + bytes(5) + b"\xff" + extra
    return head + body + struct.pack("<II", zlib.crc32(data), len(data))


def frames():
    # Stored blocks: three bytes of a block's head, its size times 8, 1 in the last one.
    single = struct.pack("<IBB", 0xFD2FB528, 0x20, 5) + bytes([5 << 3 | 1, 0, 0]) + b"hello"
    run = struct.pack("<IBIB", 0xFD2FB528, 0xA0, 40, 0)[:9] + bytes([40 << 3 & 255 | 3, 1, 0, 120])
    unknown = struct.pack("<IBB", 0xFD2FB528, 4, 0x58) + bytes([1, 0, 0]) + bytes(4)
    skipped = struct.pack("<II", 0x184D2A53, 6) + b"ignore"
    yield "zstd_table", single + run + seek_table((len(single), 5), (len(run), 40))
    yield "zstd_walked", skipped + single + run + unknown
    yield "zstd_table_cut", (single + seek_table((len(single), 5)))[:-3]
    yield "zstd_table_wrong", single + run + seek_table((len(single), 5), (len(run) + 1, 40))
    lz4 = struct.pack("<IBBQB", 0x184D2204, 0x6C, 0x50, 5, 0) + struct.pack("<I", 0x80000005)
    lz4 += b"hello" + bytes(4) + bytes(4)
    stream = struct.pack("<IBBB", 0x184D2204, 0x70, 0x40, 0) + struct.pack("<I", 0x80000001)
    stream += b"x" + bytes(4) + bytes(4)
    yield "lz4_table", lz4 + seek_table((len(lz4), 5))
    yield "lz4_unknown", lz4 + stream
    yield "lz4_cut", lz4 + stream[:-5]
    yield "gzip", gzip_member(b"hello" * 9) + gzip_member(b"") + gzip_member(b"", known=False)
    yield "gzip_cut", gzip_member(b"hello" * 9)[:-4]


def avml():
    def chunk(kind, payload):
        return struct.pack("<II", (len(payload) + 4) << 8 | kind, 0x12345678) + payload

    body = b"\xff\6\0\0sNaPpY" + chunk(1, b"stored") + b"\xfe\2\0\0pp" + chunk(0, b"\2\4hi")
    header = struct.pack("<4sIQQQ", b"AVML", 2, 0x1000, 0x1007, 0)
    yield "block", header + body + struct.pack("<Q", len(body))
    yield "large_length", header + chunk(0, b"\xff\xff\x7f")
    yield "unknown_chunk", header + chunk(2, b"what")
    yield "cut", header + body[:-3]
    yield "version_1", struct.pack("<4sIQQQ", b"AVML", 1, 0x1000, 0x1007, 0)


def manifests():
    """Journals, too: the target reads both from any input."""
    made = making.of_data(b"a" * 100)
    yield "small", json.dumps(made).encode()
    made["host"] = {"name": "a\\\\b\\xff", "release": "6.1", "version": "#1", "machine": "x86_64",
                    "boot_id": None, "cmdline": "quiet \u00e9"}
    made["source"]["refusals"] = [{"driver": "kcore", "reason": "no \"file\""}]
    made["memory"].update(size=0x9ec00 + 0x2000, counts=dict(zip(
        making.STATES, (12, 147, 1, 1, 0, 0, 0, 0))), ranges=[
            {"start": "0x1000", "end": "0x9fbff", "states": "r12z147"},
            {"start": "0x100000", "end": "0x101fff", "states": "o1p1"}])
    made["errors"] = [{"physical": "0x100000", "size": 4096, "reason": "Bad address"}]
    made["context"] = {"name": "a.tar.gz", "origin": None, "size": 3, "sha256": None}
    made["swap"] = [{"name": "a.swap0", "origin": "/dev/vda2", "size": 3, "sha256": "0" * 64}]
    made["converted_from"] = "1" * 64
    yield "all", json.dumps(made, indent=1).encode()
    made["extra"] = [{}, [[1.5, None, True]]]
    yield "extra", json.dumps(made).encode()
    yield "segments", json.dumps(making.manifest(3 << 20, [bytes([i]) * 32 for i in range(3)])).encode()
    lines = making.journal({0: bytes(32), 2: bytes(32), 1: bytes(32)})
    yield "journal", "".join(lines).encode()
    yield "journal_torn", "".join(lines)[:-9].encode()


def digests():
    name = hashlib.sha256(b"").hexdigest()
    yield "gnu", f"{name}  image\n".encode()
    yield "binary", f"\\{name} *image\n{name} other\n".encode()
    yield "bsd", f"SHA256 (image) = {name}\n".encode()
    yield "bare", name.encode()


def transfers():
    def message(kind, payload=b""):
        return struct.pack("<II", kind, len(payload)) + payload

    def text(value):
        return struct.pack("<H", len(value)) + value

    hello = struct.pack("<II16s16s32sQ", 1, 0, b"t", b"s", b"secret", 1 << 30)
    sender = [
        message(1, hello + text(b"host") + text(b"host.lime") + text(b"kioku 0.1.0")),
        message(16, struct.pack("<II", 0, 0) + text(b"host.lime")),
        message(17, struct.pack("<IIQ", 0, 0, 0) + b"memory"),
        message(18, struct.pack("<IIQQ", 0, 0, 6, 4096)),
        message(19, struct.pack("<IIQ32s", 0, 3, 4102, b"sha256")),
        message(20, text(b"host.lime.part") + text(b"host.lime.json")),
        message(21, text(b"host.lime.journal")),
        message(3),
        message(22, struct.pack("<IIQ", 1, 0, 4096)),
        message(4),
    ]
    receiver = [
        message(32, struct.pack("<IIQ", 1, 0, 0) + text(b"host_20261121-154500")),
        message(33, struct.pack("<Q", 300)),
        message(34, struct.pack("<II16s32s", 0, 0, b"md5", b"sha256")),
        message(35, text(b"host_20261121-154500")),
    ]
    yield "sender", b"".join(sender)
    yield "receiver", b"".join(receiver)
    yield "resume", message(2, struct.pack("<II16s32s", 1, 0, b"s", b"secret"))
    yield "version_2", message(1, struct.pack("<I", 2) + bytes(99))
    yield "refused", message(36, struct.pack("<II", 6, 0) + text(b"disk full"))
    yield "path", sender[1][:-9] + b"../../etc" + sender[2]
    yield "lies", sender[2][:4] + b"\xff\xff\xff\xff" + sender[2][8:]


def reads():
    def read(address, size, tag=7):
        words, last = (address % 4 + size + 3) // 4, -(address + size) % 4
        first, last = 15 << address % 4 & 15, 15 >> last
        enables = first & last if words == 1 else last << 4 | first
        wide = address >> 32 > 0
        return struct.pack(">BBHHBB", 0x20 if wide else 0, 0, words & 0x3FF, 0x0100, tag, enables) + (
            struct.pack(">Q" if wide else ">I", address & ~3))

    yield "byte", read(0x1003, 1)
    yield "unaligned", read(0x10F1, 300)
    yield "page", read(0x2000, 4096)
    yield "end", read(0x3020, 16)
    yield "outside", read(0x3000, 4096)
    yield "high", read(0x123456789A, 64)
    yield "crosses", read(0x1FF0, 64)
    yield "nothing", struct.pack(">BBHHBBI", 0, 0, 1, 0, 1, 0, 0x1000)
    yield "libtlp_page", struct.pack(">BBHHBBI", 0, 0, 0x400, 0, 1, 0xFF, 0x1000)
    yield "write", struct.pack(">BBHHBBI4s", 0x40, 0, 1, 0, 1, 15, 0x1000, b"data")
    yield "short", read(0x1000, 8)[:-1]


def completions():
    def completion(status, count, lower, data, flags=0, kind=None):
        kind = kind or (0x4A if data else 0x0A)
        return struct.pack(">BBHHHHBB", kind, 0, flags | len(data) // 4 & 0x3FF, 0,
                           status << 13 | count & 0xFFF, 0x0100, 7, lower) + data

    yield "data", completion(0, 5, 0x41, b"12345678")
    yield "page_done", completion(0, 4096, 0, bytes(4096))
    yield "poisoned", completion(0, 4, 0, b"1234", 0x4000)
    yield "refused", completion(1, 64, 0, b"")
    yield "aborted", completion(4, 64, 0, b"")
    yield "cut", completion(0, 8, 0, b"12345678")[:-1]


def datagrams():
    for name, tlp in (*reads(), *completions()):
        yield name, struct.pack(">HI", 1, 0x01020304) + tlp


def setups():
    """The byte that fuzz_completer.c sets a completer up with, and what comes."""
    for index, (name, tlp) in enumerate(reads()):
        yield name, bytes([(0x09, 0x21, 0x2D, 0x11)[index % 4]]) + tlp


def answers():
    """Records of fuzz_nettlp_requester.c."""
    def record(index, offset=0, time=1, shift=10, wrong=b""):
        return bytes([index % 50, offset, 0, 0, time, shift]) + wrong.ljust(18, b"\0")

    yield "honest", b"".join(record(i) for i in range(60))
    yield "late", b"".join(record(i, time=255, shift=18) for i in range(40))
    yield "parts", b"".join(record(i, offset=16 * i % 128) for i in range(60))
    yield "refused", b"".join(record(i, wrong=bytes(6) + b"\x40" + bytes(5) + b"\x20")
                              for i in range(10))


def packets():
    """GDB's remote protocol as a stub speaks it; monitor_format's seeds are QEMU's own words."""
    def packet(data):
        return b"$" + data + b"#%02x" % (sum(data) & 255)
    yield "hello", b"+" + packet(b"PacketSize=1000;qXfer:features:read+;multiprocess+")
    yield "stopped", packet(b"T02thread:01;") + b"+" + packet(b"OK") + b"-"
    yield "memory", b"+" + packet(bytes(range(256)).hex().encode()) + b"+" + packet(b"E22")
    yield "runs", packet(b"0* 5*~") + packet(b"*~") + packet(b"0*\x1f")
    yield "escapes", packet(b"a}\x03}\x04}]") + packet(b"}")
    yield "monitor", packet(b"O" + b"VM status: paused\r\n".hex().encode()) + packet(b"OK")
    yield "wrong_sum", b"$OK#00" + packet(b"OK")
    yield "cut", packet(b"1234")[:-1]
    yield "noise", b"\x03QEMU$$#24"


def series_note(moment, segments, runs, digests, text=b'{"pid":1}', version=1):
    head = struct.pack("<II16sQQQ", version, moment, bytes(range(16)), len(segments), len(runs),
                       digests)
    ranges = b"".join(struct.pack("<QQQ", *fields) for fields in (*segments, *runs))
    return head + ranges + bytes(16 * digests) + text


def series():
    segments = [(0x1000, 0x3000, 6), (0x4000, 0x1000, 4)]
    runs = [(0x1000, 0x1000, 0), (0x2000, 0x2000, 4), (0x4000, 0x1000, 1)]
    yield "base", series_note(0, segments, [(0x1000, 0x4000, 0)], 4)
    yield "changes", series_note(3, segments, runs, 1)
    yield "empty", series_note(0, [], [], 0, b"")
    yield "backwards", series_note(1, segments[::-1], runs, 1)
    yield "version_2", series_note(1, segments, runs, 1, version=2)
    yield "cut", series_note(1, segments, runs, 1)[:90]


def vmlinuz():
    """Documentation/arch/x86/boot.rst, and a vmlinux with code and a build id in it."""
    note = struct.pack("<III", 4, 4, 3) + b"GNU\0\x11\x22\x33\x44"
    code = bytes(range(256))
    elf = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    elf += struct.pack("<IIQQQQQQ", 1, 5, 256, 0xFFFFFFFF81000000, 0, len(code), len(code), 4096)
    elf += struct.pack("<IIQQQQQQ", 4, 4, 512, 0, 0, len(note), len(note), 4)
    elf = elf.ljust(256, b"\0") + code + note
    for name, packed in (("gzip", gzip.compress(elf, mtime=0)), ("xz", lzma.compress(elf, check=lzma.CHECK_CRC32)),
                         ("unknown", b"LZOP" + elf)):
        payload = packed + struct.pack("<I", len(elf))
        head = bytearray(1024)
        head[0x1F1] = 1
        head[0x202:0x208] = b"HdrS\x0f\x02"
        struct.pack_into("<II", head, 0x248, 16, len(payload))
        yield name, bytes(head) + bytes(16) + payload


def main():
    for folder, seeds in (("lime_format", lime()), ("elf_format", elves()),
                          ("kdump_format", kdumps()), ("flattened_format", flattened_files()),
                          ("lzo_format", lzo()), ("swap_format", swap()),
                          ("split_btf", split_btf()), ("btf_format", [("keyword", keyword())]),
                          ("manifest_format", manifests()),
                          ("digest_format", digests()), ("frame_format", frames()),
                          ("avml_format", avml()), ("transfer_format", transfers()),
                          ("nettlp_format", datagrams()), ("completer", setups()),
                          ("nettlp_requester", answers()), ("rsp_format", packets()),
                          ("series_format", series()), ("kernel_file", vmlinuz())):
        (CORPUS / folder).mkdir(parents=True, exist_ok=True)
        for name, data in seeds:
            (CORPUS / folder / name).write_bytes(data)


main()
