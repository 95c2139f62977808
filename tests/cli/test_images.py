#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compressed images as other programs write them, read by the tool itself.
usage: test_images.py KIOKU"""

import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "images"))
import packed  # noqa: E402

TOOL = None
LOW, HIGH = 0x1000, 0x100000


def memory(size, seed=1):
    """Some of it the same byte, some that no codec makes smaller."""
    chance = random.Random(seed)
    parts, left = [], size
    while left:
        part = min(left, chance.randrange(1, 200000))
        parts.append(chance.randbytes(part) if chance.random() < 0.5 else
                     bytes([chance.randrange(256)]) * part)
        left -= part
    return b"".join(parts)


MEMORY = {LOW: memory(0x9EC00, 1), HIGH: memory(0x280000, 2)}


def lime():
    return b"".join(struct.pack("<4sIQQQ", b"EMiL", 1, at, at + len(data) - 1, 0) + data
                    for at, data in MEMORY.items())


def elf():
    """An ELF core of two segments, without notes."""
    at, head = 64 + 2 * 56, b"\x7fELF\2\1\1" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    for physical, data in MEMORY.items():
        head += struct.pack("<IIQQQQQQ", 1, 7, at, 0xFFFF888000000000 + physical, physical,
                            len(data), len(data), 0)
        at += len(data)
    return head + b"".join(MEMORY.values())


def flattened(data, piece=50000):
    """Records from the last to the first, as makedumpfile -F may write them."""
    pieces = [struct.pack(">qq", at, len(data[at:at + piece])) + data[at:at + piece]
              for at in range(0, len(data), piece)]
    head = b"makedumpfile".ljust(16, b"\0") + struct.pack(">qq", 1, 1)
    return head.ljust(4096, b"\0") + b"".join(reversed(pieces)) + struct.pack(">qq", -1, -1)


class Images(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "image")

    def tearDown(self):
        self.folder.cleanup()

    def write(self, data):
        with open(self.path, "wb") as file:
            file.write(data)

    def run_tool(self, *arguments):
        return subprocess.run([TOOL, *arguments], capture_output=True, check=False, timeout=120)

    def info(self, prefix=""):
        done = self.run_tool("info", prefix + self.path, "--format", "json")
        self.assertIn(done.returncode, (0, 1, 3), done)  # no kernel lives here: 1
        info = json.loads(done.stdout)["source"] if done.stdout else None
        return info, done.stderr.decode()

    def read(self, at, size, prefix=""):
        return self.run_tool("read", prefix + self.path, hex(at), str(size), "--physical",
                             "--format", "raw")

    def check_whole(self, form, memory_of=None):
        info, errors = self.info()
        self.assertEqual(info["format"], form)
        self.assertNotIn("gap", errors)
        for at, data in (memory_of or MEMORY).items():
            done = self.read(at, len(data))
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            self.assertTrue(done.stdout == data, hex(at))

    def test_command_line_tools(self):
        for command in (["zstd", "-q", "-c"], ["zstd", "-q", "-c", "-19", "--check"],
                        ["zstd", "-q", "-c", "--no-content-size"], ["lz4", "-q", "-c"],
                        ["lz4", "-q", "-c", "-BD", "-B4"],
                        ["lz4", "-q", "-c", "-BX", "--no-frame-crc"],
                        ["gzip", "-c"], ["gzip", "-c", "-n", "-1"]):
            with self.subTest(command):
                if not shutil.which(command[0]):
                    self.skipTest("no " + command[0])
                self.write(packed.tool_output(command, lime()))
                self.check_whole("lime")

    def test_frames(self):
        for tool in ("zstd", "lz4"):
            for size in (packed.FRAME, 100000, 1 << 20):
                with self.subTest((tool, size)):
                    self.write(packed.seekable(lime(), tool, size))
                    self.check_whole("lime")
        self.write(packed.gzip_members(lime()))
        self.check_whole("lime")

    def test_tools_unpack_what_is_seekable(self):
        for data, command in ((packed.seekable(lime(), "zstd"), ["zstd", "-q", "-d", "-c"]),
                              (packed.seekable(lime(), "lz4"), ["lz4", "-q", "-d", "-c"]),
                              (packed.gzip_members(lime()), ["gzip", "-d", "-c"])):
            done = subprocess.run(command, input=data, capture_output=True, check=True)
            self.assertTrue(done.stdout == lime())

    def test_flattened(self):
        self.write(flattened(elf()))
        self.check_whole("elf")
        self.write(flattened(lime()))
        self.check_whole("lime")
        self.write(packed.seekable(flattened(elf()), "zstd"))
        self.check_whole("elf")
        self.write(flattened(elf())[:-16 - 100000])  # the end of the file, and so its beginning
        info, errors = self.info()
        self.assertIsNone(info)
        self.assertIn("kioku: error", errors)

    def test_what_convert_writes(self):
        """Every format and codec, back to the same bytes."""
        self.write(lime())
        for form in ("lime", "padded", "raw", "elf", "avml", "kdump"):
            for codec in ("none", "zstd", "lz4", "gzip"):
                with self.subTest((form, codec)):
                    other = os.path.join(self.folder.name, form + codec)
                    done = self.run_tool("convert", self.path, other, "--as", form, "--compress",
                                         codec)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.path, path = other, self.path
                    self.check_whole({"padded": "raw"}.get(form, form))
                    self.path = path

    def test_raw(self):
        data = memory(3 << 20)
        self.write(packed.seekable(data, "zstd"))
        self.check_whole("raw", {0: data})
        done = self.read(0x12345, 100, "padded:")
        self.assertEqual(done.stdout, data[0x12345:0x12345 + 100])

    def test_cut(self):
        whole = lime()
        for data in (packed.seekable(whole, "zstd"), packed.seekable(whole, "lz4"),
                     packed.gzip_members(whole)):
            for size in (1, 3, 17, 4096, len(data) // 2, len(data) - 100):
                with self.subTest(size):
                    self.write(data[:-size])
                    info, errors = self.info()
                    if info is None:
                        self.assertIn("kioku: error: cannot open", errors)
                        continue
                    self.assertIn("kioku: gap: ", errors)
                    for part in info["ranges"]:
                        if part["state"] != "present":
                            continue
                        at = int(part["start"], 16)
                        base = LOW if at < HIGH else HIGH
                        done = self.read(at, part["size"])
                        self.assertEqual(done.returncode in (0, 3), True, done.stderr)
                        self.assertTrue(
                            MEMORY[base][at - base:at - base + part["size"]] == done.stdout)

    def test_cut_between_frames(self):
        pieces = packed.frames(lime(), "zstd")
        self.write(b"".join(data for data, _ in pieces[:-2]))
        _, errors = self.info()
        self.assertIn("no end mark", errors)

    def test_damaged_frame(self):
        """Never other bytes than those that were packed: they are missing then."""
        data = packed.seekable(lime(), "zstd")
        chance = random.Random(7)
        for flip in (5, len(data) // 3, len(data) // 2, *(chance.randrange(len(data) - 300)
                                                          for _ in range(20))):
            with self.subTest(flip):
                broken = bytearray(data)
                broken[flip] ^= 1 << chance.randrange(8)
                self.write(broken)
                for at, expected in MEMORY.items():
                    done = self.run_tool("read", self.path, hex(at), str(len(expected)),
                                         "--physical", "--pad", "--format", "raw")
                    if done.returncode == 1:
                        self.assertIn(b"kioku: error", done.stderr)
                        continue
                    same = done.stdout == expected
                    self.assertEqual(len(done.stdout), len(expected))
                    self.assertEqual(done.returncode, 0 if same else 3)
                    for page in range(0, len(expected), 4096):
                        got = done.stdout[page:page + 4096]
                        self.assertTrue(got == expected[page:page + 4096] or not any(got))

    def test_large_frame(self):
        self.write(packed.tool_output(["zstd", "-q", "-c"], bytes(65 << 20)))
        _, errors = self.info()
        self.assertIn("unpack it first with zstd -d", errors)
        self.write(packed.tool_output(["gzip", "-c"], bytes(65 << 20)))
        _, errors = self.info()
        self.assertIn("unpack it first with gzip -d", errors)
        self.write(packed.tool_output(["lz4", "-q", "-c"], bytes(65 << 20)))
        _, errors = self.info()
        self.assertIn("unpack it first with lz4 -d", errors)

    def avml(self, compress=True):
        data = b""
        for at, content in MEMORY.items():
            for skip in range(0, len(content), 0x100000):
                data += packed.avml_block(at + skip, content[skip:skip + 0x100000], compress)
        return data

    def test_avml(self):
        for compress in (True, False):
            self.write(self.avml(compress))
            self.check_whole("avml")
        self.write(packed.seekable(self.avml(), "zstd"))
        self.check_whole("avml")

    def test_avml_damage(self):
        """One block is lost, those behind it are found again."""
        data = bytearray(self.avml())
        second = data.index(b"AVML", 4)
        data[second + 32 + 10 + 1] ^= 0x40  # the size of its first chunk
        self.write(data)
        info, errors = self.info()
        self.assertIn("kioku: gap: the block at file offset 0x%x: " % second, errors)
        done = self.read(LOW, len(MEMORY[LOW]))
        self.assertTrue(done.stdout == MEMORY[LOW])
        done = self.read(HIGH + 0x100000, 0x180000)
        self.assertTrue(done.stdout == MEMORY[HIGH][0x100000:])
        self.assertEqual(self.read(HIGH, 16).returncode, 1)
        self.assertIn("unreadable", [part["state"] for part in info["ranges"]])

    def test_avml_checksum(self):
        data = bytearray(self.avml())
        data[data.index(b"AVML", 4) + 32 + 10 + 4] ^= 1
        self.write(data)
        self.assertEqual(self.read(HIGH, 16).returncode, 1)
        self.assertEqual(self.read(HIGH + 65536, 16).returncode, 0)

    def test_avml_cut(self):
        data = self.avml()
        for size in (1, 7, 8, 9, 5000, 200000):
            self.write(data[:-size])
            _, errors = self.info()
            self.assertIn("kioku: gap: ", errors)


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
