#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tool itself: options, printing, exit status. Runs kioku-fake, which is kioku on the invented
kernel of fake_library.c. usage: test_tool.py KIOKU-FAKE"""

import csv
import fcntl
import io
import json
import os
import pty
import re
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

TOOL = None
UTF8 = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
HOSTILE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")

# As fake_library.c has them.
COMMS = {
    1: b"init", 10: b"evil\x1b[31m\n\t\x7f", 11: b"back\\slash", 12: b"\xff\\x\x80",
    13: b"\xc2\x9b31m\xe2\x80\xae\xf0\x9f\x90\xb1", 20: b'say "a,b"', 21: b"",
    30: "=cmd日本".encode(),
}


def run(*arguments, env=UTF8, stdout=subprocess.PIPE, cwd=None):
    done = subprocess.run([TOOL, *arguments], env=env, stdout=stdout, stderr=subprocess.PIPE,
                          cwd=cwd, timeout=60)
    done.text = (done.stdout or b"").decode(errors="replace")
    done.errors = done.stderr.decode()
    return done


def on_terminal(columns, *arguments, env=UTF8):
    """What a terminal of so many columns gets to see."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([TOOL, *arguments], env=env, stdout=theirs,
                               stderr=subprocess.DEVNULL)
    os.close(theirs)
    seen = b""
    try:
        while block := os.read(ours, 4096):
            seen += block
    except OSError:
        pass
    os.close(ours)
    process.wait(60)
    return seen.replace(b"\r\n", b"\n").decode()


def unescape(text):
    """The bytes behind an escaped text, as kioku(1) defines it."""
    def one(match):
        kind, digits = match.group(0)[1], match.group(0)[2:]
        if kind == "\\":
            return b"\\".decode("latin-1")
        if kind == "x":
            return chr(int(digits, 16))
        return chr(int(digits, 16)).encode().decode("latin-1")
    latin = text.encode().decode("latin-1")
    pattern = r"\\\\|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}"
    return re.sub(pattern, one, latin).encode("latin-1")


class Usage(unittest.TestCase):
    def refused(self, *arguments):
        done = run(*arguments)
        self.assertEqual(done.returncode, 2, done)
        self.assertEqual(done.stdout, b"")
        self.assertRegex(done.errors, r"^kioku: error: .*\n$")
        return done.errors

    def test_nothing(self):
        done = run()
        self.assertEqual((done.returncode, done.stdout), (2, b""))
        self.assertIn("usage: kioku", done.errors)

    def test_help(self):
        overview = run("--help")
        self.assertEqual((overview.returncode, overview.errors), (0, ""))
        self.assertEqual(overview.text, run("help").text)
        for name in ("info", "ps", "pstree", "where", "type", "read", "profile", "help"):
            self.assertIn(f"\n  {name} ", overview.text)
            text = run("help", name)
            self.assertEqual((text.returncode, text.errors), (0, ""))
            self.assertEqual(text.text, run(name, "--help").text)
            self.assertEqual(text.text, run(name, "-h").text)
        self.assertEqual(run("help", "--list", "where").text, "root\naddress\nsteps\nbasis\n")
        self.assertIn("when it started, UTC", run("help", "ps").text)
        self.assertIn("(only if asked for)", run("help", "ps").text)

    def test_version(self):
        self.assertRegex(run("--version").text, r"^kioku \d+\.\d+\.\d+\n$")

    def test_commands(self):
        self.refused("nonsense")
        self.refused("nonsense\x1b[2J")
        self.refused("help", "nonsense")
        self.refused("ps")
        self.refused("ps", "image", "more")
        self.refused("where", "image")
        self.refused("profile", "image")
        self.refused("isf", "image")
        self.refused("layout", "--source", ".", "--config", "x")
        self.refused("type", "image")
        self.refused("read", "image", "0")

    def test_options(self):
        for wrong in (["--frob"], ["--steps"], ["-z"], ["--format", "xml"], ["--format"],
                      ["--format", "hex"], ["--pid", ""], ["--pid", "1,"], ["--pid", "-1"],
                      ["--pid", "+1"], ["--pid", " 1"], ["--pid", "1x"], ["--pid", "2147483648"],
                      ["--map", "0"], ["--map", "0-1"], ["--map", "2-1@0"], ["--map", "-@"],
                      ["--map", "0-0xffffffffffffffff@0"], ["--stats=yes"]):
            with self.subTest(wrong):
                self.refused("ps", "image", *wrong)
        for wrong in (["--pid", "1,2"], ["--pid", "1", "--cr3", "2"], ["--cr3", "x"],
                      ["--pid", "1", "--pid", "2"]):
            with self.subTest(wrong):
                self.refused("where", "image", "0", *wrong)
        self.refused("read", "image", "0", "1", "--physical", "--pid", "1")

    def test_columns(self):
        self.assertIn("task,pid,size,hidden,start_time,depth,comm",
                      self.refused("ps", "image", "--columns", "pid,frob"))
        self.refused("ps", "image", "--columns", "pid,pid")
        self.refused("ps", "image", "--columns", "")
        self.assertEqual(run("ps", "nosource", "--columns", "frob").returncode, 2)

    def test_numbers(self):
        for text, value in (("0", 0), ("10", 10), ("010", 10), ("0x10", 16), ("0XfF", 255),
                            ("ffffffff81000000", 0xffffffff81000000), ("fe", 254),
                            ("18446744073709551615", 2**64 - 1),
                            ("1000000000000000", 0x1000000000000000)):
            with self.subTest(text):
                done = run("where", "image", text, "--format", "json")
                self.assertEqual(int(json.loads(done.text)[0]["address"], 16), value)
        for text in ("", "-1", "+1", " 1", "1 ", "0x", "xyz", "0xfg", "1e400000000000000",
                     "18446744073709551616", "0x10000000000000000"):
            with self.subTest(text):
                self.refused("where", "image", "--", text)
        for text in ("", "0", "K", "1.5K", "1KK", "-1", "0x10K", "16777216T"):
            with self.subTest(text):
                self.refused("read", "image", "0", "--", text)

    def test_permutation(self):
        expected = run("where", "image", "16", "--steps", "--cr3", "0x3000").text
        self.assertEqual(expected.split()[-3:], ["0x3000", "0x10", "yes"])
        self.assertEqual(run("where", "--steps", "image", "--cr3=0x3000", "16").text, expected)

    def test_map(self):
        done = run("ps", "image", "--map", "0-0x7fffffff@0", "--map", "4096-8191@0x10")
        self.assertEqual(done.errors, "kioku: note: placed 0+80000000@0\n"
                         "kioku: note: placed 1000+1000@10\n")

    def test_aliases(self):
        expected = run("ps", "image").text
        self.assertEqual(run("linux.pslist", "image").text, expected)
        self.assertEqual(run("linux.pslist.PsList", "image").text, expected)
        self.refused("linux.pslistx", "image")
        self.assertEqual(run("linux.pagecache.RecoverFs", "--help").text,
                         run("recover", "--help").text)

    def test_recover(self):
        self.refused("recover", "image")
        self.refused("recover", "image", "-o", "here", "--list-missing")
        done = run("recover", "image", "-o", "here")
        self.assertEqual(done.returncode, 3)
        self.assertIn("bytes 4096-8191 are left as zeros: swapped out", done.errors)
        self.assertIn("bytes 8192-12287: read from swap, may be stale", done.errors)
        self.assertIn("warning: 4096 bytes were read from swap", done.errors)
        self.assertFalse(HOSTILE.search(done.errors))
        done = run("recover", "image", "--list-missing", "--format", "json")
        self.assertEqual([row["end"] for row in json.loads(done.text)], [8192, 12288])


class Rows(unittest.TestCase):
    def test_json(self):
        done = run("ps", "image", "--format", "json", "--columns", "all")
        self.assertEqual((done.returncode, done.errors), (0, ""))
        self.assertFalse(HOSTILE.search(done.text))
        rows = {row["pid"]: row for row in json.loads(done.text)}
        self.assertEqual(rows[1], {
            "task": "0xffff888000000001", "pid": 1, "size": 1 << 20, "hidden": False,
            "start_time": None, "depth": 0, "comm": "init", "basis": None,
            "absent": {"start_time": "not applicable", "basis": "not applicable"}})
        self.assertEqual(rows[11]["basis"], "types")
        self.assertEqual(rows[11]["start_time"], "2026-11-20T13:46:01.123456789Z")
        self.assertEqual(rows[30]["start_time"], "1969-12-31T23:59:59.999999999Z")
        self.assertEqual(rows[20]["absent"], {"start_time": "unreadable"})
        self.assertIs(rows[13]["hidden"], True)
        for pid, comm in COMMS.items():
            if pid == 12:
                self.assertEqual(rows[pid]["escaped"], ["comm"])
                self.assertEqual(unescape(rows[pid]["comm"]), comm)
            else:
                self.assertNotIn("escaped", rows[pid])
                self.assertEqual(rows[pid]["comm"], comm.decode())

    def test_json_lines(self):
        lines = run("ps", "image", "--format", "jsonl").text.splitlines()
        self.assertEqual([json.loads(line) for line in lines],
                         json.loads(run("ps", "image", "--format", "json").text))
        self.assertNotIn("hidden", json.loads(lines[0]))

    def test_empty(self):
        self.assertEqual(run("ps", "image", "--pid", "99", "--format", "json").text, "[]\n")
        self.assertEqual(run("ps", "image", "--pid", "99", "--format", "jsonl").text, "")
        self.assertEqual(run("ps", "image", "--pid", "99", "--format", "csv", "-c", "pid").text,
                         "pid\r\n")
        self.assertEqual(run("ps", "image", "--pid", "99", "-c", "pid").text, "PID\n")

    def test_csv(self):
        text = run("ps", "image", "--format", "csv", "--columns", "pid,start_time,comm").stdout
        self.assertFalse(HOSTILE.search(text.decode().replace("\r\n", "\n")))
        rows = list(csv.reader(io.StringIO(text.decode(), newline=""), strict=True))
        self.assertEqual(rows[0], ["pid", "start_time", "comm"])
        self.assertEqual({int(row[0]): unescape(row[2]) for row in rows[1:]}, COMMS)
        self.assertIn(b"\r\n21,2026-11-20T13:46:01.123456789Z,\"\"\r\n", text)
        self.assertIn(b"\r\n1,,\"init\"\r\n", text)

    def test_table(self):
        text = run("ps", "image", "--columns", "pid,size,comm").text
        self.assertEqual(text, (
            "PID  SIZE  COMM\n"
            "  1    1M  init\n"
            " 10   10M  evil\\x1b[31m\\x0a\\x09\\x7f\n"
            " 11   11M  back\\\\slash\n"
            " 12   12M  \\xff\\\\x\\x80\n"
            " 13   13M  \\u009b31m\\u202e🐱\n"
            " 20   20M  say \"a,b\"\n"
            " 21   21M  \"\"\n"
            " 30  1000  =cmd日本\n"))

    def test_table_width(self):
        # The cat and each kanji take two columns, and so the column behind them stays straight.
        lines = run("ps", "image", "--columns", "comm,pid", "--pid", "13,30").text.splitlines()
        self.assertEqual(lines[1:], ["\\u009b31m\\u202e🐱   13", "=cmd日本            30"])
        for columns in (20, 30, 40):
            for line in on_terminal(columns, "ps", "image", "-c", "pid,comm").splitlines():
                wide = sum(2 if char in "🐱日本" else 1 for char in line)
                self.assertLessEqual(wide, columns)
        self.assertIn("evil\\x1b[3…\n", on_terminal(16, "ps", "image", "-c", "pid,comm"))

    def test_tree(self):
        text = run("pstree", "image", "--columns", "pid,comm").text
        self.assertEqual(text, (
            "PID  COMM\n"
            "  1  init\n"
            " 10  ├─ evil\\x1b[31m\\x0a\\x09\\x7f\n"
            " 11  │  ├─ back\\\\slash\n"
            " 12  │  └─ \\xff\\\\x\\x80\n"
            " 13  │     └─ \\u009b31m\\u202e🐱\n"
            " 20  └─ say \"a,b\"\n"
            " 21     └─ \"\"\n"
            " 30  =cmd日本\n"))
        self.assertNotIn("DEPTH", run("pstree", "image").text)
        self.assertIn("DEPTH", run("pstree", "image", "--columns", "all").text)
        self.assertEqual([row["depth"] for row in
                          json.loads(run("pstree", "image", "--format", "json").text)],
                         [0, 1, 2, 2, 3, 1, 2, 0])

    def test_deep_tree(self):
        text = run("pstree", "deep", "--columns", "comm").text
        self.assertIn("(70) =cmd日本\n", text)
        self.assertLess(max(map(len, text.splitlines())), 160)

    def test_ascii(self):
        for env in ({}, {"LC_ALL": "C"}):
            text = run("pstree", "image", "--columns", "comm", env=env).text
            self.assertTrue(text.isascii())
            self.assertIn("\n|  `- \\xff\\\\x\\x80\n|     `- \\u009b31m\\u202e\\U0001f431\n", text)
            for form in ("json", "csv"):
                self.assertIn("日本", run("ps", "image", "--format", form, env=env).text)
                self.assertTrue(on_terminal(80, "ps", "image", "--format", form, env=env).isascii())

    def test_basis(self):
        """What may be wrong says so in each row, whatever was asked for; else there is nothing new."""
        for command in ("ps", "pstree"):
            plain = json.loads(run(command, "image", "--format", "json").text)
            self.assertFalse(any("basis" in row for row in plain))
            for basis in ("inferred", "forced"):
                rows = json.loads(run(command, basis, "--format", "json").text)
                self.assertEqual([row.pop("basis") for row in rows], [None] + 7 * [basis])
                self.assertEqual(rows[0]["absent"].pop("basis"), "not applicable")
                self.assertEqual(rows, plain)
        self.assertEqual(run("ps", "image", "--columns", "pid,basis", "--pid", "1,10").text,
                         "PID  BASIS\n  1  -\n 10  types\n")
        self.assertEqual(run("ps", "forced", "-c", "pid", "--format", "csv").text.split()[:3],
                         ["pid,basis", "1,", '10,"forced"'])
        # In front, so that what is cut to the terminal stays the last one, and a tree where it is.
        self.assertEqual(run("pstree", "inferred", "-c", "pid,comm", "--pid", "1,10").text,
                         "BASIS     PID  COMM\n-           1  init\n"
                         "inferred   10  └─ evil\\x1b[31m\\x0a\\x09\\x7f\n")
        # Where it was asked for, it stays.
        self.assertEqual(run("ps", "forced", "-c", "basis,pid", "--format", "csv").text.split()[:3],
                         ["basis,pid", ",1", '"forced",10'])
        self.assertEqual(run("ps", "forced", "-c", "pid,basis", "--pid", "10").text,
                         "PID  BASIS\n 10  forced\n")
        self.assertEqual(run("ps", "forced", "-c", "all").text.split("\n")[0].split()[-1], "BASIS")

    def test_basis_of_what_has_no_rows(self):
        layout = json.loads(run("type", "inferred", "fake", "--format", "json").text)
        self.assertEqual(layout["basis"], "inferred")
        self.assertTrue(run("type", "forced", "fake").text.startswith("/* basis: forced */\n"))
        self.assertNotIn("basis", run("type", "image", "fake").text)
        for where, basis in (("image", None), ("inferred", None), ("forced", "forced")):
            read = json.loads(run("read", where, "0x1000", "16", "--format", "json").text)
            self.assertEqual(read.get("basis"), basis)
        for where, basis in (("image", None), ("forced", "forced")):
            done = run("recover", where, "--list-missing", "--format", "json")
            self.assertEqual({row.get("basis") for row in json.loads(done.text)}, {basis})
        read = json.loads(run("read", "forced", "0x1000", "16", "--format", "json",
                              "--physical").text)
        self.assertNotIn("basis", read)

    def test_long_list(self):
        text = run("ps", "many", "--columns", "pid").text
        self.assertEqual(text.count("\n"), 800001)
        table = subprocess.Popen([TOOL, "ps", "many"], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        table.stdout.readline()
        table.stdout.close()
        self.assertEqual(table.wait(60), 1)
        self.assertEqual(table.stderr.read(), b"")
        table.stderr.close()


class Status(unittest.TestCase):
    def test_failures(self):
        for arguments in (["ps", "nosource"], ["ps", "nokernel"], ["ps", "notypes"],
                          ["read", "image", "0", "1", "--pid", "7"],
                          ["type", "image", "frob"], ["type", "notypes", "fake"],
                          ["profile", "image", "-o", "/nowhere"],
                          ["isf", "notypes", "-o", "-"],
                          ["isf", "image", "-o", "/nowhere/x.json"]):
            with self.subTest(arguments):
                done = run(*arguments)
                self.assertEqual((done.returncode, done.stdout), (1, b""))
                self.assertRegex(done.errors, r"^kioku: error: .*\n$")
                self.assertFalse(HOSTILE.search(done.errors))

    def test_broken_off(self):
        done = run("ps", "breaks", "--format", "json")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(json.loads(done.text)), 8)
        self.assertEqual(done.errors, "kioku: error: the list has no end\n")

    def test_gaps(self):
        done = run("ps", "gaps", "--stats")
        lines = done.errors.splitlines()
        self.assertEqual(done.returncode, 3)
        self.assertEqual(len(lines), 22)
        self.assertEqual(lines[0], 'kioku: gap: task at 0x0: "evil\\x1b0" is lost')
        self.assertEqual(lines[20], "kioku: gap: and 10 more like these")
        self.assertRegex(lines[21], r"^stats: 8192 bytes, 3 requests, 2 rounds, \d+ ms$")

    def test_full_disk(self):
        for arguments in (["ps", "image"], ["ps", "many"], ["--version"], ["info", "image"],
                          ["read", "image", "0", "16", "--format", "raw"]):
            with self.subTest(arguments), open("/dev/full", "wb") as full:
                done = run(*arguments, stdout=full)
                self.assertEqual(done.returncode, 1)
                self.assertEqual(done.errors, "kioku: error: cannot write the output: "
                                 "No space left on device\n")

    def test_shrinking_image(self):
        done = run("ps", "shrinks\x1b[2J")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.errors, "kioku: error: cannot read on, the file became shorter or "
                         "its disk fails: shrinks\\x1b[2J\n")

    def test_cache(self):
        for env, folder in (({"HOME": "/h"}, "/h/.cache/kioku"), ({}, "none"),
                            ({"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/x/kioku"),
                            ({"HOME": "/h", "XDG_CACHE_HOME": "x"}, "/h/.cache/kioku")):
            done = run("ps", "showcache", env=env)
            self.assertEqual(done.errors, f"kioku: warning: cache {folder}, profile none\n")
            self.assertEqual(done.returncode, 0)
        done = run("ps", "showcache", "--no-cache", "--profile", "p", env={"HOME": "/h"})
        self.assertEqual(done.errors, "kioku: warning: cache none, profile p\n")


class Commands(unittest.TestCase):
    def test_info(self):
        done = run("info", "image")
        self.assertEqual((done.returncode, done.errors), (0, ""))
        self.assertFalse(HOSTILE.search(done.text))
        info = json.loads(run("info", "image", "--format", "json").text)
        self.assertEqual(info["source"]["ranges"][1],
                         {"start": "0x1000", "size": 4096, "state": "unreadable"})
        self.assertEqual(info["kernel"]["release"], "6.1.0-fake")
        self.assertEqual(info["evidence"]["release"], "banner")
        self.assertEqual((info["missing"], info["symbols"], info["types"]), ({}, 2, 2))
        self.assertEqual(info["views"]["ps"], {"supported": True})

    def test_info_without_types(self):
        done = run("info", "notypes", "--format", "json")
        info = json.loads(done.text)
        self.assertEqual(done.returncode, 3)
        self.assertEqual(done.errors,
                         "kioku: gap: the kernel's types are missing: no BTF header\n")
        self.assertEqual(info["missing"], {"types": "no BTF header"})
        self.assertEqual(info["views"]["ps"]["reason"], "task_struct.pid is unknown")
        self.assertIn("no BTF header", run("info", "notypes").text)

    def test_info_without_kernel(self):
        done = run("info", "nokernel", "--format", "json")
        info = json.loads(done.text)
        self.assertEqual((done.returncode, info["kernel"]), (1, None))
        self.assertEqual(info["source"]["format"], "fake")
        done = run("info", "nokernel")
        self.assertEqual(done.returncode, 1)
        self.assertIn("unreadable", done.text)

    def test_type(self):
        self.assertEqual(run("type", "image", "fake").text,
                         "struct fake {\n\tint a;\n\tint evil\\x1b[2J;\n};\n")
        layout = json.loads(run("type", "image", "fake", "--format", "json").text)
        self.assertEqual((layout["name"], layout["kind"], layout["size"]), ("fake", "struct", 8))
        self.assertEqual(layout["members"][1], {
            "name": "b", "type": "int", "kind": "int", "offset": 4, "size": 4,
            "bit_offset": 35, "bit_size": 3})

    def test_read(self):
        done = run("read", "image", "0x2004", "16", "--physical")
        self.assertEqual((done.returncode, done.stdout), (0, bytes(range(4, 20))))
        self.assertEqual(run("read", "image", "0x2004", "16", "--physical", "-f", "hex").text,
                         "0000000000002004  04 05 06 07 08 09 0a 0b  0c 0d 0e 0f 10 11 12 13  "
                         "|................|\n")
        self.assertEqual(on_terminal(99, "read", "image", "0x2041", "3"),
                         "0000000000002041  41 42 43" + 42 * " " + "|ABC|\n")

    def test_read_holes(self):
        page = bytes(range(256)) * 16
        done = run("read", "image", "0", "12K")
        self.assertEqual((done.returncode, done.stdout), (3, page))
        self.assertIn("kioku: gap: 0x1000-0x1fff: not in the image", done.errors)
        done = run("read", "image", "0", "12K", "--pad")
        self.assertEqual((done.returncode, done.stdout), (3, page + bytes(4096) + page))
        parts = json.loads(run("read", "image", "4080", "0x1020", "--format", "json").text)
        self.assertEqual(parts, {"address": "0xff0", "size": 0x1020, "parts": [
            {"address": "0xff0", "bytes": page[-16:].hex()},
            {"address": "0x1000", "size": 4096, "missing": "not in the image"},
            {"address": "0x2000", "bytes": page[:16].hex()}]})
        hexdump = run("read", "image", "4080", "0x1020", "--format", "hex").text.splitlines()
        self.assertEqual(hexdump[1], "0000000000001000  <not in the image: 4096 bytes>")
        done = run("read", "image", "0x1000", "4K")
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        done = run("read", "image", "0xfff00", "1K")
        self.assertEqual((done.returncode, len(done.stdout)), (3, 256))

    def test_read_swap(self):
        """What may be stale is told from what is not."""
        page, warning = bytes(range(256)) * 16, "warning: 0x6000-0x6fff: read from swap, may be stale"
        done = run("read", "image", "0x5ff0", "0x1020", "--format", "json")
        self.assertEqual((done.returncode, json.loads(done.text)["parts"]), (0, [
            {"address": "0x5ff0", "bytes": page[-16:].hex()},
            {"address": "0x6000", "may_be_stale": True, "bytes": page.hex()},
            {"address": "0x7000", "bytes": page[:16].hex()}]))
        self.assertIn(warning, done.errors)
        done = run("read", "image", "0x5ff0", "0x1020")
        self.assertEqual((done.returncode, len(done.stdout)), (0, 0x1020))
        self.assertIn(warning, done.errors)
        lines = run("read", "image", "0x5ff0", "0x1020", "--format", "hex").text.splitlines()
        self.assertEqual([line[-14:] == "  may be stale" for line in lines],
                         [False, *[True] * 256, False])

    def test_read_file(self):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out")
            done = run("read", "image", "0", "16", "-o", out)
            self.assertEqual((done.returncode, done.stdout), (0, b""))
            with open(out, "rb") as file:
                self.assertEqual(file.read(), bytes(range(16)))
            self.assertEqual(os.stat(out).st_mode & 0o777, 0o600)

    def test_symbol_table(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("a.json", b"{}\n"), ("a.json.xz", b"compressed\n")):
                out = os.path.join(folder, name)
                done = run("isf", "image", "-o", out)
                self.assertEqual((done.returncode, done.stdout, done.errors), (0, b"", ""))
                with open(out, "rb") as file:
                    self.assertEqual(file.read(), text)
                self.assertEqual(run("isf", "notypes", "-o", out).returncode, 1)
                with open(out, "rb") as file:
                    self.assertEqual(file.read(), text)
            self.assertEqual(sorted(os.listdir(folder)), ["a.json", "a.json.xz"])
        self.assertEqual(run("isf", "image", "-o", "-").stdout, b"{}\n")

    def test_pipe_stays(self):
        """Whoever writes to a device as root must not put a file into its place."""
        with tempfile.TemporaryDirectory() as folder:
            pipe = os.path.join(folder, "pipe")
            os.mkfifo(pipe)
            with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
                self.assertEqual(run("isf", "image", "-o", pipe).returncode, 0)
                self.assertEqual(reader.communicate(timeout=60)[0], b"{}\n")
            self.assertEqual(os.listdir(folder), ["pipe"])
            self.assertTrue(stat.S_ISFIFO(os.stat(pipe).st_mode))

    def test_image_is_safe(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "image"), "w", encoding="ascii") as file:
                file.write("evidence")
            os.symlink("image", os.path.join(folder, "link"))
            for source, output in (("image", "image"), ("image", "link"), ("raw:image", "image")):
                for command in (["read", source, "0", "16"], ["profile", source],
                                ["isf", source]):
                    done = run(*command, "-o", output, cwd=folder)
                    self.assertEqual(done.returncode, 2, done)
            with open(os.path.join(folder, "image"), encoding="ascii") as file:
                self.assertEqual(file.read(), "evidence")


class Capture(unittest.TestCase):
    def asked(self, *arguments):
        """What acquire or convert asks the library for, as a dictionary."""
        done = run(*arguments)
        self.assertEqual(done.returncode, 0, done)
        words = re.search(r"^kioku: note: (to .*)$", done.errors, re.M).group(1).split()
        return dict(zip(words[::2], words[1::2])) | {"text": done.text}

    def refused(self, *arguments, stdout=subprocess.PIPE):
        done = run(*arguments, stdout=stdout)
        self.assertEqual(done.returncode, 2, done)
        self.assertNotIn("note: to", done.errors)
        return done.errors

    def test_no_destination(self):
        errors = self.refused("acquire")
        for word in ("-o FILE", "-o DIR/", "-o -"):
            self.assertIn(word, errors)
        self.refused("acquire", "image")
        self.refused("convert", "image")

    def test_defaults(self):
        live = self.asked("acquire", "-o", "x.lime")
        self.assertEqual((live["to"], live["as"], live["codec"], live["digests"], live["timeout"],
                          live["context"], live["swap"], live["kernel"]),
                         ("x.lime", "-", "-", "3", "5000", "1", "0", "0"))
        image = self.asked("acquire", "image", "-o", "x.lime")
        self.assertEqual((image["timeout"], image["context"], image["kernel"]), ("0", "0", "1"))
        self.assertEqual(self.asked("convert", "image", "x.lime"), image)
        self.assertEqual(self.asked("convert", "nokernel", "x.lime")["kernel"], "0")

    def test_options(self):
        asked = self.asked("acquire", "-o", "x", "--as", "kdump:zstd", "--compress", "gzip:3",
                           "--digest", "sha256", "--sign", "key", "--manifest", "m", "--rate", "3M",
                           "--timeout", "7", "--threads", "2", "--no-context", "--swap")
        self.assertEqual(asked, {"to": "x", "as": "kdump", "pages": "zstd", "codec": "gzip",
                                 "level": "3", "digests": "2", "key": "key", "manifest": "m",
                                 "rate": "3145728", "timeout": "7", "threads": "2", "context": "0",
                                 "swap": "1", "kernel": "0", "text": ""})
        self.assertEqual(self.asked("acquire", "-o", "x", "--digest", "none")["digests"], "0")
        self.assertEqual(self.asked("acquire", "-o", "x", "--compress", "none")["codec"], "none")
        self.assertEqual(self.asked("acquire", "-o", "x", "--low-priority")["to"], "x")

    def test_refused_options(self):
        for wrong in (["--as", "raw2"], ["--as", "lime:zstd"], ["--compress", "xz"],
                      ["--compress", "zstd:"], ["--compress", "zstd:x"], ["--compress", "none:1"],
                      ["--digest", "sha1"], ["--digest", ""], ["--digest", "md5,none"],
                      ["--rate", "0"], ["--rate", "-1"], ["--rate", "1X"], ["--timeout", "x"],
                      ["--threads", "2000"], ["--context", "--no-context"], ["--sign", ""],
                      ["--page-codec", "zstd"], ["--format", "json"]):
            with self.subTest(wrong):
                self.refused("acquire", "-o", "x", *wrong)
        self.refused("acquire", "-o", "-", "--swap")
        self.refused("acquire", "-o", "-", "--context")
        self.refused("acquire", "-o", "-", "--sign", "key")
        self.refused("acquire", "image", "-o", "x", "--swap")
        self.refused("acquire", "image", "-o", "x", "--context")
        self.refused("convert", "image", "x", "--swap")

    def test_names_in_a_folder(self):
        host = re.sub("[^A-Za-z0-9._-]", "_", os.uname().nodename)[:64]
        with tempfile.TemporaryDirectory() as folder:
            for arguments, extension in (([], "lime"), (["--compress", "zstd"], "lime.zst"),
                                         (["--as", "kdump", "--compress", "lz4"], "kdump.lz4"),
                                         (["--compress", "gzip"], "lime.gz")):
                asked = self.asked("acquire", "-o", folder, *arguments)
                expected = f"^{folder}/{host}_[0-9]{{8}}-[0-9]{{6}}[.]{extension}$"
                self.assertRegex(asked["to"], expected)
                self.assertEqual(asked["text"], asked["to"] + "\n")
            self.assertIn(folder + "/" + host, self.asked("acquire", "-o", folder + "/")["to"])

    def test_stream(self):
        done = run("acquire", "-o", "-")
        self.assertIn("as lime", done.errors)
        self.assertIn("context 0", done.errors)
        self.assertTrue(done.errors.endswith("d41d8cd98f00b204e9800998ecf8427e  -\ne3b0c442  -\n"))
        done = run("acquire", "-o", "-", "--manifest", "m")
        self.assertIn("context 1", done.errors)
        self.assertNotIn("  -\n", done.errors)
        ours, theirs = pty.openpty()
        self.assertIn("terminal", self.refused("acquire", "-o", "-", stdout=theirs))
        os.close(ours)
        os.close(theirs)

    def test_status(self):
        for source, status in (("image", 0), ("lossy", 3), ("exists", 2), ("full", 1)):
            with self.subTest(source):
                self.assertEqual(run("convert", source, "x").returncode, status)

    def test_signals(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with subprocess.Popen([TOOL, "convert", "slow", "x"], stderr=subprocess.PIPE) as tool:
                tool.stderr.readline()
                tool.send_signal(number)
                errors = tool.stderr.read().decode()
            self.assertEqual(tool.returncode, 3)
            self.assertIn(f"gap: stopped by {number.name}", errors)
        with subprocess.Popen(["nohup", TOOL, "convert", "slow", "x"], stderr=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as tool:
            while b"note: to" not in tool.stderr.readline():
                pass
            tool.send_signal(signal.SIGHUP)
            time.sleep(0.1)
            tool.send_signal(signal.SIGINT)
            self.assertIn(b"SIGINT", tool.stderr.read())

    def test_progress(self):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 70, 0, 0))
        with subprocess.Popen([TOOL, "convert", "slow", "x"], stderr=theirs) as tool:
            os.close(theirs)
            time.sleep(1.5)
            tool.send_signal(signal.SIGINT)
            seen = b""
            try:
                while block := os.read(ours, 4096):
                    seen += block
            except OSError:
                pass
        os.close(ours)
        lines = seen.decode().split("\r\n")
        self.assertRegex(lines[1], r"%.* of 1[.]0 GiB, [0-9.]+ MiB/s, [0-9:]+ left.* lost")
        self.assertEqual(len(lines), 5)
        self.assertRegex(lines[1], "\r\x1b\\[Kkioku: warning: aside$")
        for line in lines[2].split("\r"):
            self.assertLess(len(line.replace("\x1b[K", "")), 70)
        self.assertIn("stopped by SIGINT", lines[3])

    def test_help(self):
        text = run("help", "acquire").text
        self.assertIn("\n  lime ", text)
        self.assertIn("codecs: zstd lz4 gzip none", text)


class Receive(unittest.TestCase):
    def test_lines(self):
        done = run("receive")
        self.assertEqual(done.returncode, 3)
        self.assertEqual(done.text, "kioku acquire --to 'kioku://127.0.0.1:7633/#KEY'\n")
        self.assertNotRegex(done.errors, HOSTILE)
        for line in ("listening at 127.0.0.1:7633", "started from 192.0.2.1:4000, into out/evil",
                     "the link is lost after 1.5 KiB: why\\x1b]0;",
                     "goes on from 192.0.2.1:4000, after 2.0 KiB",
                     "evil\\x1b[31m\\x0a: failed after 3.0 KiB, in out/evil: why",
                     "gap: failed transfers: 1"):
            self.assertIn(line, done.errors)

    def test_token_file(self):
        done = run("receive", "--token-file", "it's here")
        self.assertEqual(done.text, "kioku acquire --to 'kioku://127.0.0.1:7633/#KEY' "
                                    "--token-file 'it'\\''s here'\n")

    def test_json(self):
        lines = [json.loads(line) for line in run("receive", "--json").text.splitlines()]
        self.assertEqual([line["event"] for line in lines],
                         ["listening", "url", "started", "progress", "broken", "resumed", "done",
                          "failed"])
        for line in lines:
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(lines[0]["address"], "127.0.0.1:7633")
        self.assertEqual(lines[1]["command"], "kioku acquire --to 'kioku://127.0.0.1:7633/#KEY'")
        self.assertEqual(lines[4]["message"], "why\x1b]0;")
        self.assertEqual((lines[6]["complete"], lines[6]["seconds"], lines[6]["received"]),
                         (False, 1.5, 2560))
        self.assertEqual(lines[7]["status"], "ok")

    def test_table(self):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        with subprocess.Popen([TOOL, "receive"], env=UTF8, stderr=theirs,
                              stdout=subprocess.DEVNULL):
            os.close(theirs)
            seen = b""
            try:
                while block := os.read(ours, 4096):
                    seen += block
            except OSError:
                pass
        os.close(ours)
        self.assertRegex(seen, rb"  evil\\x1b\[31m\\x0a +512 B +12 % +0 B/s  receiving\x1b\[K\r\n")
        self.assertIn(b"link lost\x1b[K\r\n", seen)
        self.assertIn(b"\x1b[1A\r\x1b[J", seen)
        kept = re.sub(rb"\r  evil[^\n]*\n\x1b\[1A\r\x1b\[J", b"", seen).decode()
        self.assertNotIn("receiving", kept)
        self.assertNotRegex(kept.replace("\r\n", "\n"), HOSTILE)

    def test_refused(self):
        for option, value in (("--tokens", "0"), ("--tokens", "2000"), ("--quota", "x"),
                              ("--count", "0"), ("--connections", "-1"), ("--out", "")):
            done = run("receive", option, value)
            self.assertEqual(done.returncode, 2, (option, value))
            self.assertIn(option, done.errors)
        self.assertEqual(run("receive", "elsewhere").returncode, 2)
        done = run("receive", "--out", "absent")
        self.assertEqual((done.returncode, done.errors),
                         (1, "kioku: error: cannot open the folder absent\n"))


class Serve(unittest.TestCase):
    def test_defaults(self):
        done = run("serve", "image", "--nettlp", "127.0.0.2")
        self.assertEqual((done.returncode, done.text), (0, ""))
        for line in ("note: ready at 127.0.0.2, UDP ports 0x3000 to 0x30ff, messages at 0x2fff",
                     "tags 0 id 0 0 mps 0 rcb 0 iommu 0 seed 0 split 0",
                     "0+0 ns loss 0 duplicate 0 reorder 0", "late 0 by 0 error 0 of 0 corrupt 0 of 0",
                     "client  ranges  clock 1 messages 1", " 3  requests\n", " 4  completions\n",
                     " 0  bytes of memory\n", " 1  requests outside of RAM\n"):
            self.assertIn(line, done.errors)
        self.assertNotIn("refused", done.errors)

    def test_options(self):
        done = run("serve", "image", "--nettlp", "127.0.0.2", "--tags", "0x10", "--requester",
                   "0b:1c", "--completer", "FF:08", "--mps", "4096", "--rcb", "128", "--iommu",
                   "abort", "--seed", "18446744073709551615", "--split", "--latency", "12us",
                   "--jitter", "1.5ms", "--loss", "0.5", "--duplicate", "100", "--reorder", "1.25",
                   "--late", "0.1:2s", "--error", "3:ur,poison", "--corrupt", "4:tag,short,count",
                   "--client", "127.0.0.1", "--ranges", "iomem", "--no-clock", "--no-messages")
        for line in ("ready at 127.0.0.2, UDP ports 0x3000 to 0x300f\n",
                     "tags 16 id b1c ff08 mps 4096 rcb 128 iommu 2 seed 18446744073709551615 split 1",
                     "12000+1500000 ns loss 0.5 duplicate 100 reorder 1.25",
                     "late 0.1 by 2000000000 error 3 of 9 corrupt 4 of c2",
                     "client 127.0.0.1 ranges iomem clock 0 messages 0"):
            self.assertIn(line, done.errors)

    def test_json(self):
        done = run("serve", "image", "--nettlp", "127.0.0.2", "--json")
        ready, summary = (json.loads(line) for line in done.text.splitlines())
        self.assertEqual((ready["event"], ready["address"], ready["tags"], ready["messages"]),
                         ("ready", "127.0.0.2", 256, True))
        self.assertEqual((summary["event"], summary["requests"], summary["writes"]),
                         ("summary", 3, 0))

    def test_refused(self):
        wrong = {"--tags": ("0", "257", "x"), "--mps": ("64", "300", "8192"), "--rcb": ("32", "96"),
                 "--requester": ("1:0", "00:00", "01:000", "0100"), "--completer": ("xx:00",),
                 "--iommu": ("on", ""), "--seed": ("-1", "1.5"),
                 "--latency": ("12", "1.us2", "us", "-1us", "9999999s", "1..2us", ".5us", "1e3us"),
                 "--jitter": ("1m",), "--loss": ("101", "-1", "nan", "1%", "", "0x1"),
                 "--duplicate": ("x",), "--reorder": ("1.2.3", "1."),
                 "--late": ("1", "1:", "1:5", ":5us"), "--error": ("1", "1:", "1:ur,", "1:xx"),
                 "--corrupt": ("1:tags", "200:tag"), "--nettlp": ("",), "--client": ("",)}
        for option, values in wrong.items():
            for value in values:
                done = run("serve", "image", "--nettlp", "127.0.0.2", option, value)
                self.assertEqual((done.returncode, done.text), (2, ""), (option, value))
                self.assertIn(f"kioku: error: serve: {option} cannot be", done.errors)
        self.assertEqual(run("serve", "image").returncode, 2)
        self.assertEqual(run("serve", "image", "--nettlp", "nowhere").returncode, 2)
        self.assertEqual(run("serve", "image", "--nettlp", "192.0.2.1").returncode, 1)
        # Only serve has them.
        self.assertIn("no such option", run("ps", "image", "--nettlp", "127.0.0.2").errors)


class Snapshot(unittest.TestCase):
    def test_one(self):
        done = run("snapshot", "7", "-o", "a.core")
        self.assertEqual((done.returncode, done.text), (0, ""))
        self.assertIn("snapshot: method 0 allow_stop 0 max_stop 0 rate 0 exclude 0\n", done.errors)
        self.assertIn("process 7, method fork: 2 threads stopped for 40 us", done.errors)
        self.assertIn("one thread was stopped for 1 us at the end", done.errors)

    def test_options(self):
        done = run("snapshot", "7", "-o", "a.core", "--method", "stop", "--allow-stop",
                   "--max-stop", "250us", "--rate", "1M", "--exclude", "file-backed", "--area", "heap", "--area",
                   "0x1000-0x1fff", "--area", "a-b.so")
        self.assertEqual(done.returncode, 0)
        for line in ("method 3 allow_stop 1 max_stop 250000 rate 1048576 exclude 1", "area heap 0 0",
                     "area - 1000 2000", "area a-b.so 0 0"):
            self.assertIn(f"snapshot: {line}\n", done.errors)

    def test_max_stop(self):
        """What is promised is held against the stop at the end, too."""
        for limit, is_broken in (("41us", False), ("40us", True)):
            done = run("snapshot", "7", "-o", "a.core", "--max-stop", limit)
            self.assertEqual(done.returncode, 0)
            self.assertEqual("stopped for 41 us, longer than the 40 us allowed" in done.errors, is_broken)

    def test_folder(self):
        """A process can be called anything."""
        with tempfile.TemporaryDirectory() as folder:
            done = run("snapshot", "--process", "odd", "--tree", "7", "-o", folder, "-f", "json")
        self.assertEqual(done.returncode, 0, done.errors)
        self.assertNotRegex(done.text, HOSTILE)
        rows = [json.loads(line) for line in done.text.splitlines()]
        self.assertEqual([row["pid"] for row in rows], [7, 8])
        for row in rows:
            self.assertRegex(row["path"],
                             rf"^{folder}/o__d-{row['pid']}_\d{{8}}-\d{{6}}\.core$")
            self.assertEqual(row["stops"], [{"what": "duplicate", "nanoseconds": 40000},
                                            {"what": "reap", "nanoseconds": 1000}])

    def test_series(self):
        """Cores are numbered, as several may be of one second."""
        with tempfile.TemporaryDirectory() as folder:
            done = run("snapshot", "7", "-o", folder, "-f", "json", "--repeat", "1us", "--count", "3")
        self.assertEqual(done.returncode, 0, done.errors)
        rows = [json.loads(line) for line in done.text.splitlines()]
        for number, row in enumerate(rows):
            self.assertRegex(row["path"], rf"^{folder}/o__d-7-00000{number}_\d{{8}}-\d{{6}}\.core$")
        self.assertEqual(len(rows), 3)
        self.assertIn("kioku: note: 3 moments\n", done.errors)

    def test_rebuild(self):
        done = run("snapshot", "--rebuild", "a.core", "-o", "b.core")
        self.assertEqual((done.returncode, done.text), (1, ""))
        self.assertIn("kioku: error: a.core: it is no core of a series\n", done.errors)

    def test_dry_run(self):
        done = run("snapshot", "7", "--dry-run")
        self.assertEqual((done.returncode, done.errors), (0, ""))
        self.assertEqual(done.text, "process 7\ntrack  stopped for 250 us, one thread for 100 us "
                                    "before; each page's first write takes 700 ns longer; at most "
                                    "4 KiB of memory more\nfork   impossible: it has no code\n"
                                    "stop   stopped for 1500 us\n")
        rows = [json.loads(line)
                for line in run("snapshot", "7", "--dry-run", "-f", "json").text.splitlines()]
        self.assertEqual([row["possible"] for row in rows], [True, False, True])

    def test_refused(self):
        for words in ((), ("0",), ("x",), ("-1",), ("7", "8"), ("7", "--max-stop", "0us"),
                      ("7", "--method", "none"), ("7", "--exclude", "heap"), ("7", "--area", ""),
                      ("7", "--area", "0x2-0x1"), ("7", "--as", "elf"),
                      ("7", "--format", "json", "-o", "-"), ("7", "--repeat", "1s"),
                      ("7", "--repeat", "0s", "-o", "."), ("7", "--count", "2"),
                      ("7", "--repeat", "1s", "--count", "0", "-o", "."),
                      ("7", "--rebuild", "core"), ("--rebuild", "")):
            more = () if "-o" in words else ("-o", "a.core")
            done = run("snapshot", *words, *more)
            self.assertEqual((done.returncode, done.text), (2, ""), words)
        self.assertEqual(run("snapshot", "7").returncode, 2)
        self.assertEqual(run("snapshot", "404", "-o", "a.core").returncode, 1)
        self.assertEqual(run("snapshot", "--process", "nobody", "-o", "a.core").returncode, 1)


class Verify(unittest.TestCase):
    def test_verdicts(self):
        for image, status, verdict in (("intact", 0, "intact"), ("prefix", 3, "valid prefix"),
                                       ("damaged", 1, "damaged")):
            done = run("verify", image)
            self.assertEqual((done.returncode, done.errors), (status, "kioku: note: a note\n"))
            self.assertIn(f"{image}: {verdict}: ", done.text.splitlines()[-1])
            self.assertNotRegex(done.text, HOSTILE)
            done = run("verify", image, "--format", "json")
            self.assertEqual(done.returncode, status)
            self.assertEqual(json.loads(done.text)["verdict"], image)

    def test_damage(self):
        done = run("verify", "damaged", "--range", "0x10-0x2fffff")
        self.assertEqual(done.text.splitlines()[:-1], [
            "evil \\x1b[2J signature",
            "0x000000300000-0x0000003fffff  megabyte 3                segment differs",
            "0x000000000010-0x0000002fffff  megabytes 0-2             run"])
        done = run("verify", "damaged", "--range", "1+2M", "--format", "json", "--key", "k")
        found = json.loads(done.text)
        self.assertEqual(found["damage"][0], {"what": "evil \x1b[2J signature"})
        self.assertEqual(found["damage"][1], {"offset": 0x300000, "size": 0x100000, "megabyte": 3,
                                              "what": "segment differs"})
        self.assertEqual(found["damage"][2]["size"], 2 << 20)
        self.assertTrue(found["signature_checked"])

    def test_refused(self):
        done = run("verify", "unproven", "--format", "json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nothing to check it against", done.errors)
        self.assertIsNone(json.loads(done.text)["verdict"])
        self.assertEqual(run("verify", "wrong").returncode, 2)
        for wrong in ("", "1", "-", "+", "1-", "1+", "1+0", "2-1", "x-y", "0-18446744073709551615",
                      "2+18446744073709551615", "1-2-3", "-1"):
            self.assertEqual(run("verify", "intact", f"--range={wrong}").returncode, 2, wrong)
        self.assertEqual(run("verify", "intact", "--key=").returncode, 2)


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
