#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""acquire and convert as a whole, on a small image: what they write, refuse, and leave behind when
something fails. Other programs judge the results. usage: test_acquire.py KIOKU OLD_KERNEL FAULTS.SO
[TEST]..."""

import errno
import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

TOOL = OLD_KERNEL = FAULTS = None
ENV = {"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"}
ENV |= {key: os.environ[key] for key in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if key in os.environ}
LIME = struct.Struct("<IIQQ8x")
PAGE, MIB = 4096, 1 << 20
RANGES = ((0x1000, 0x9FC00), (0x100000, 0x180000), (0x200000, 0x200000 + 20 * MIB))
SIDECARS = (".manifest.json", ".manifest.partial", ".md5", ".sha256")
UNPACK = {"zstd": ("zst", "zstd"), "lz4": ("lz4", "lz4"), "gzip": ("gz", "gzip")}


def make_memory(start, end):
    """Zero pages, noise and text, in turn."""
    source = random.Random(start)
    pages = []
    for at in range(start, end, PAGE):
        kind = at // PAGE % 3
        pages.append(bytes(PAGE) if kind == 0 else source.randbytes(PAGE) if kind == 1
                     else b"page %16x " % at * 200)
    return b"".join(page[:PAGE] for page in pages)[:end - start].ljust(end - start, b".")


MEMORY = {start: make_memory(start, end) for start, end in RANGES}


def write_image(path):
    with open(path, "wb") as file:
        for start, end in RANGES:
            file.write(LIME.pack(0x4C694D45, 1, start, end - 1) + MEMORY[start])


def read_image(data):
    """The memory in a LiME file, as far as it goes: [(address, bytes)]."""
    found, at = [], 0
    while at + LIME.size <= len(data):
        magic, version, start, last = LIME.unpack_from(data, at)
        assert (magic, version) == (0x4C694D45, 1), hex(magic)
        found.append((start, data[at + LIME.size:at + LIME.size + last + 1 - start]))
        at += LIME.size + last + 1 - start
    return found


def contents(path):
    with open(path, "rb") as file:
        return file.read()


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kioku-acquire-")
        self.addCleanup(shutil.rmtree, self.folder)
        write_image(self.at("image.lime"))

    def at(self, name):
        return os.path.join(self.folder, name)

    def run_tool(self, *arguments, status=0, env=None, **more):
        more = {"stdout": subprocess.PIPE, "cwd": self.folder, "timeout": 120} | more
        done = subprocess.run([TOOL, *arguments], env=ENV | (env or {}), stderr=subprocess.PIPE,
                              check=False, **more)
        done.errors = done.stderr.decode(errors="replace")
        self.assertEqual(done.returncode, status, done.errors)
        return done

    def command(self, *words, **more):
        done = subprocess.run(words, cwd=self.folder, env=ENV, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, timeout=120, **more)
        self.assertEqual(done.returncode, 0, (words, done.stdout))
        return done.stdout

    def manifest(self, name):
        return json.loads(contents(self.at(name + ".manifest.json")))

    def verify(self, name, status):
        if "verify" not in self.run_tool("help", "--list").stdout.decode().split():
            self.skipTest("this build has no verify")
        return self.run_tool("verify", name, status=status)

    def check_memory(self, data, whole=True):
        """Every byte that is there is that of the memory, and with whole all of them are there."""
        seen = 0
        for start, got in read_image(data):
            base = max(base for base in MEMORY if base <= start)
            expected = MEMORY[base][start - base:start - base + len(got)]
            self.assertTrue(got == expected, f"memory from {start:#x} on differs")
            seen += len(got)
        if whole:
            self.assertEqual(seen, sum(map(len, MEMORY.values())))
        return seen

    def check_sidecars(self, name):
        self.command("md5sum", "-c", name + ".md5")
        self.command("sha256sum", "-c", name + ".sha256")
        self.assertTrue(self.manifest(name)["complete"])
        self.assertFalse(os.path.exists(self.at(name + ".manifest.partial")))
        for suffix in ("", ".md5", ".sha256", ".manifest.json"):
            mode = os.stat(self.at(name + suffix)).st_mode & 0o7777
            self.assertEqual(mode, 0o600, name + suffix)


class Refusals(Case):
    def refused(self, *arguments, **more):
        before = {name: contents(self.at(name)) for name in os.listdir(self.folder)}
        done = self.run_tool(*arguments, status=2, **more)
        after = {name: contents(self.at(name)) for name in os.listdir(self.folder)}
        self.assertEqual(before, after)
        return done.errors

    def test_no_destination(self):
        self.assertIn("-o DIR/", self.refused("acquire", "image.lime"))
        self.assertIn("-o DIR/", self.refused("acquire"))

    def test_overwriting(self):
        for suffix in ("", *SIDECARS):
            with self.subTest(suffix):
                with open(self.at("out.lime" + suffix), "w", encoding="ascii") as file:
                    file.write("evidence")
                for command in (["acquire", "image.lime", "-o", "out.lime"],
                                ["convert", "image.lime", "out.lime"]):
                    self.assertIn("out.lime" + suffix, self.refused(*command))
                os.unlink(self.at("out.lime" + suffix))
        self.refused("convert", "image.lime", "image.lime")
        os.symlink("nowhere", self.at("link.lime"))
        done = self.run_tool("convert", "image.lime", "link.lime", status=2)
        self.assertFalse(os.path.exists(self.at("nowhere")), done.errors)

    def test_manifest_is_there(self):
        with open(self.at("m"), "w", encoding="ascii") as file:
            file.write("evidence")
        self.refused("convert", "image.lime", "-", "--manifest", "m")
        self.refused("convert", "image.lime", "out.lime", "--manifest", "m")

    def test_formats(self):
        self.refused("convert", "image.lime", "out", "--as", "nothing")
        self.refused("convert", "image.lime", "out", "--as", "kdump:nothing")

    def test_no_key(self):
        self.run_tool("convert", "image.lime", "out.lime", "--sign", "nokey", status=1)
        self.assertEqual(os.listdir(self.folder), ["image.lime"])

    def test_no_folder(self):
        self.run_tool("convert", "image.lime", "none/out.lime", status=1)
        self.run_tool("acquire", "image.lime", "-o", "none/", status=1)
        self.assertEqual(os.listdir(self.folder), ["image.lime"])


class Images(Case):
    def test_nothing_is_open(self):
        """No message ends in an image that has taken stderr's place."""
        with open(self.at("short.lime"), "wb") as short:
            short.write(contents(self.at("image.lime"))[:-5000])
        for target, closed in (("one.elf", ""), ("other.elf", "<&- >&- 2>&-")):
            done = subprocess.run(["sh", "-c", f'exec "$0" "$@" {closed}', TOOL, "convert",
                                   self.at("short.lime"), self.at(target), "--digest", "none"],
                                  capture_output=True, check=False)
            self.assertIn(done.returncode, (1, 3))
        self.assertEqual(contents(self.at("one.elf")), contents(self.at("other.elf")))

    def test_formats(self):
        text = self.run_tool("help", "convert").stdout.decode()
        lines = text[text.index("formats, "):text.index("codecs:")].splitlines()[1:]
        formats = [line.split()[0] for line in lines if line]
        self.assertGreaterEqual(len(formats), 3)
        for name in formats:
            with self.subTest(name):
                self.run_tool("convert", "image.lime", f"as.{name}", "--as", name)
                self.check_sidecars(f"as.{name}")
                self.run_tool("convert", f"as.{name}", f"{name}.lime")
                self.check_same(contents(self.at(f"{name}.lime")))

    def check_same(self, data):
        """All the memory is there; between its ranges a format may have more, as zeros."""
        have = read_image(data)
        for base, expected in MEMORY.items():
            got = bytearray(len(expected))
            for start, part in have:
                low, high = max(start, base), min(start + len(part), base + len(expected))
                if low < high:
                    got[low - base:high - base] = part[low - start:high - start]
            self.assertTrue(got == expected, f"the range at {base:#x} differs")

    def test_codecs(self):
        self.run_tool("convert", "image.lime", "plain.lime")
        plain = contents(self.at("plain.lime"))
        self.check_memory(plain)
        for codec, (extension, program) in UNPACK.items():
            with self.subTest(codec):
                if not shutil.which(program):
                    continue
                name = f"x.lime.{extension}"
                self.run_tool("convert", "image.lime", name)
                self.check_sidecars(name)
                self.command(program, "-t", name)
                self.assertTrue(self.command(program, "-dc", name) == plain)
                self.assertLess(os.path.getsize(self.at(name)), len(plain) * 0.6)
                self.run_tool("convert", name, f"{codec}.lime")
                self.assertTrue(contents(self.at(f"{codec}.lime")) == plain)
                self.run_tool("convert", "image.lime", f"{codec}.1", "--as", "lime", "--compress",
                              f"{codec}:1")
                self.assertTrue(self.command(program, "-dc", input=contents(self.at(f"{codec}.1")))
                                == plain)

    def test_digests(self):
        for digest, there in (("none", ()), ("md5", (".md5",)), ("sha256", (".sha256",))):
            name = digest + ".lime"
            self.run_tool("convert", "image.lime", name, "--digest", digest)
            for suffix in (".md5", ".sha256"):
                self.assertEqual(os.path.exists(self.at(name + suffix)), suffix in there)

    def test_folder(self):
        done = self.run_tool("acquire", "image.lime", "-o", self.folder + "/")
        path = done.stdout.decode().rstrip("\n")
        self.assertRegex(os.path.basename(path), r"^[A-Za-z0-9_.-]+_\d{8}-\d{6}\.lime$")
        self.check_memory(contents(path))
        self.check_sidecars(os.path.basename(path))

    def test_manifest_elsewhere(self):
        os.mkdir(self.at("there"))
        self.run_tool("convert", "image.lime", "out.lime", "--manifest", "there/m.json")
        self.assertTrue(json.loads(contents(self.at("there/m.json")))["complete"])
        self.assertFalse(os.path.exists(self.at("out.lime.manifest.json")))

    def test_stats_and_priority(self):
        done = self.run_tool("convert", "image.lime", "out.lime", "--stats", "--low-priority",
                             "--threads", "1")
        self.assertRegex(done.errors, r"stats: \d+ bytes, \d+ requests, \d+ rounds, \d+ ms\n$")


class Streams(Case):
    def test_digests(self):
        done = self.run_tool("convert", "image.lime", "-")
        self.check_memory(done.stdout)
        md5, sha256 = [line for line in done.errors.splitlines() if line.endswith("  -")]
        with open(self.at("sums"), "w", encoding="ascii") as file:
            file.write(md5 + "\n")
        self.command("md5sum", "-c", "sums", input=done.stdout)
        with open(self.at("sums"), "w", encoding="ascii") as file:
            file.write(sha256 + "\n")
        self.command("sha256sum", "-c", "sums", input=done.stdout)
        self.assertEqual(sorted(os.listdir(self.folder)), ["image.lime", "sums"])

    def test_manifest(self):
        done = self.run_tool("convert", "image.lime", "-", "--manifest", "out.lime.manifest.json")
        self.assertNotIn("  -\n", done.errors)
        with open(self.at("out.lime"), "wb") as file:
            file.write(done.stdout)
        self.verify("out.lime", 0)

    def test_every_format(self):
        for arguments in (["--as", "kdump"], ["--as", "elf"], ["--compress", "zstd"]):
            with self.subTest(arguments):
                done = self.run_tool("convert", "image.lime", "-", *arguments)
                with open(self.at("stream"), "wb") as file:
                    file.write(done.stdout)
                again = self.run_tool("convert", "stream", "-", "--as", "lime")
                Images.check_same(self, again.stdout)

    def test_closed_pipe(self):
        with subprocess.Popen([TOOL, "convert", "image.lime", "-"], env=ENV, cwd=self.folder,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tool:
            tool.stdout.read(MIB)
            tool.stdout.close()
            errors = tool.stderr.read().decode()
        self.assertEqual(tool.returncode, 1, errors)
        self.assertIn("Broken pipe", errors)

    def test_full_device(self):
        with open("/dev/full", "wb") as full:
            done = self.run_tool("convert", "image.lime", "-", stdout=full, status=1)
        self.assertIn("No space left", done.errors)


class Stops(Case):
    def start(self, *arguments, **more):
        return subprocess.Popen([TOOL, *arguments], env=ENV, cwd=self.folder, bufsize=0,
                                stderr=subprocess.PIPE, **more)

    def wait_for(self, name, size):
        end = time.monotonic() + 60
        while not os.path.exists(self.at(name)) or os.path.getsize(self.at(name)) < size:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def test_rate(self):
        begin = time.monotonic()
        self.run_tool("convert", "image.lime", "out.lime", "--rate", "10M")
        self.assertTrue(1.5 < time.monotonic() - begin < 20)
        self.check_sidecars("out.lime")

    def test_signals(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            name = f"{number.name}.lime"
            with self.start("convert", "image.lime", name, "--rate", "4M") as tool:
                self.wait_for(name, 2 * MIB)
                tool.send_signal(number)
                errors = tool.stderr.read().decode()
            self.assertEqual(tool.returncode, 3, errors)
            self.assertIn(number.name, errors)
            self.assertFalse(self.manifest(name)["complete"])
            seen = self.check_memory(contents(self.at(name)), whole=False)
            self.assertTrue(MIB <= seen < 20 * MIB)
            self.verify(name, 3)

    def test_signal_to_a_stream(self):
        with self.start("convert", "image.lime", "-", "--rate", "4M", "--compress", "zstd",
                        stdout=subprocess.PIPE) as tool:
            begun = tool.stdout.read(1000)
            tool.send_signal(signal.SIGINT)
            rest, errors = tool.communicate()
        self.assertEqual(tool.returncode, 3, errors)
        data = self.command("zstd", "-dc", input=begun + rest)
        self.check_memory(data, whole=False)

    def test_kill(self):
        """SIGKILL at any moment leaves something that says what it is."""
        moments = random.Random(int(os.environ.get("KIOKU_SEED", "1")))
        for i in range(int(os.environ.get("KIOKU_KILLS", "8"))):
            name = f"{i}.lime" + moments.choice(("", ".zst"))
            with self.start("convert", "image.lime", name, "--rate", "40M") as tool:
                time.sleep(moments.random() * 0.6)
                tool.kill()
                tool.wait()
            if not os.path.exists(self.at(name)):
                continue
            if not name.endswith(".zst"):
                self.check_memory(contents(self.at(name)), whole=False)
            there = [s for s in SIDECARS if os.path.exists(self.at(name + s))]
            if ".manifest.json" in there:
                self.verify(name, 0)
            elif ".manifest.partial" in there:
                self.verify(name, 3)

    def test_second_signal(self):
        with self.start("convert", "image.lime", "-", "--rate", "100K",
                        stdout=subprocess.PIPE) as tool:
            time.sleep(0.3)
            tool.send_signal(signal.SIGINT)
            tool.send_signal(signal.SIGINT)
            begin = time.monotonic()
            tool.communicate()
        self.assertLess(time.monotonic() - begin, 10)
        self.assertIn(tool.returncode, (3, -signal.SIGINT))


class Full(Case):
    def check_prefix(self, name, errors, reason):
        self.assertIn(reason, errors)
        if os.path.exists(self.at(name)):
            self.check_memory(contents(self.at(name)), whole=False)
        self.assertFalse(os.path.exists(self.at(name + ".md5")))
        journal = self.at(name + ".manifest.partial")
        if os.path.exists(journal):  # without its first line it proves nothing
            self.verify(name, 3 if b"\n" in contents(journal) else 1)
        elif os.path.exists(self.at(name + ".manifest.json")):
            self.verify(name, 3)

    def test_limit(self):
        """A limit on the size of files, which works like a full disk at an exact offset."""
        for size in (0, 16, 32, 4096, 100000, MIB, MIB + 1, 5 * MIB + 4097, 20 * MIB):
            name = f"{size}.lime"
            limit = (size, size)
            done = self.run_tool("convert", "image.lime", name, status=1, preexec_fn=lambda:
                                 resource.setrlimit(resource.RLIMIT_FSIZE, limit))
            self.check_prefix(name, done.errors, "File too large")

    def test_disk(self):
        """A disk that really fills up, with journal and all."""
        os.mkdir(self.at("disk"))
        script = ("mount -t tmpfs -o size=4m none disk && $0 convert image.lime disk/x.lime;"
                  " status=$?; cp disk/* . 2>/dev/null; exit $status")
        done = subprocess.run(["unshare", "-m", "sh", "-c", script, TOOL], cwd=self.folder, env=ENV,
                              stderr=subprocess.PIPE, stdout=subprocess.PIPE, check=False)
        errors = done.stderr.decode()
        if "unshare" in errors or "mount:" in errors:
            self.skipTest("may not mount a tmpfs")
        self.assertEqual(done.returncode, 1, errors)
        self.check_prefix("x.lime", errors, "No space left")


class Faults(Case):
    def setUp(self):
        super().setUp()
        if not FAULTS:
            self.skipTest("a static program cannot be preloaded")

    def with_fault(self, *arguments, status, **faults):
        env = {"LD_PRELOAD": FAULTS} | {f"FAULT_{k.upper()}": str(v) for k, v in faults.items()}
        if "ASAN_OPTIONS" in ENV:
            env["ASAN_OPTIONS"] = ENV["ASAN_OPTIONS"] + ":verify_asan_link_order=0"
        return self.run_tool(*arguments, status=status, env=env)

    def lost_in(self, data):
        """The bytes that differ from the memory, which all have to be zero: {address of a page}."""
        pages = set()
        for start, got in read_image(data):
            expected = MEMORY[start]
            for at in range(0, len(got), PAGE):
                if got[at:at + PAGE] != expected[at:at + PAGE]:
                    self.assertEqual(got[at:at + PAGE].strip(b"\0"), b"")
                    pages.add(start + at)
        return pages

    def file_offset(self, physical):
        base, at = 0, 0
        for start, end in RANGES:
            at += LIME.size
            if start <= physical < end:
                base = at + physical - start
            at += end - start
        return base

    def test_bad_block(self):
        """An error of the disk costs the pages that it lies in, and the manifest names them."""
        page = 0x200000 + 301 * PAGE
        start = self.file_offset(page) + 100
        done = self.with_fault("convert", "image.lime", "out.lime", status=3, read="EIO",
                               file=self.at("image.lime"), start=start, end=start + 4200)
        self.assertIn("gap", done.errors)
        self.assertEqual(self.lost_in(contents(self.at("out.lime"))), {page + PAGE})
        text = json.dumps(self.manifest("out.lime"))
        self.assertIn("f2", text)
        self.check_sidecars("out.lime")
        self.run_tool("convert", "out.lime", "again.lime", status=3)
        self.assertIn("f2", json.dumps(self.manifest("again.lime")["memory"]["ranges"]))

    def test_hanging_block(self):
        page = 0x200000 + 305 * PAGE
        start = self.file_offset(page)
        begin = time.monotonic()
        done = self.with_fault("convert", "image.lime", "out.lime", "--timeout", "300", status=3,
                               read="hang", file=self.at("image.lime"), start=start, end=start + 1)
        self.assertLess(time.monotonic() - begin, 60)
        self.assertIn("gap", done.errors)
        self.assertEqual(self.lost_in(contents(self.at("out.lime"))), {page})
        self.assertIn("t1", json.dumps(self.manifest("out.lime")))
        self.check_sidecars("out.lime")

    def test_write_errors(self):
        for offset in (0, 1, 31, 32, 4096, 262144, 3 * MIB + 17):
            for number in (errno.EIO, errno.ENOSPC):
                name = f"{offset}-{number}.lime"
                done = self.with_fault("convert", "image.lime", name, status=1, write=number,
                                       file=self.at(name), start=offset)
                self.assertIn(os.strerror(number), done.errors)
                if os.path.exists(self.at(name)):
                    self.assertLessEqual(os.path.getsize(self.at(name)), offset)
                    self.check_memory(contents(self.at(name)), whole=False)
                if any(os.path.exists(self.at(name + s)) for s in SIDECARS):
                    self.verify(name, 3)
        self.assertFalse([name for name in os.listdir(self.folder) if name.endswith(".md5")])


class OldKernel(Case):
    def old(self, *arguments, status=0):
        done = subprocess.run([OLD_KERNEL, TOOL, *arguments], env=ENV, cwd=self.folder, timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if done.returncode == 77:
            self.skipTest("system call filters are not permitted: " + done.stderr.decode())
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def test_no_new_system_calls(self):
        self.old("acquire", "image.lime", "-o", "out.lime", "--low-priority")
        self.check_memory(contents(self.at("out.lime")))
        self.check_sidecars("out.lime")
        self.old("acquire", "image.lime", "-o", "out.lime.zst")
        self.old("acquire", "image.lime", "-o", "out.kdump")
        self.check_memory(self.old("acquire", "image.lime", "-o", "-").stdout)
        self.old("info", "out.lime.zst", status=1)  # there is no kernel in it
        self.old("read", "out.kdump", "0x100000", "4K", "--physical")
        if "verify" in self.run_tool("help", "--list").stdout.decode().split():
            self.old("verify", "out.lime")


if __name__ == "__main__":
    TOOL, OLD_KERNEL = (os.path.abspath(sys.argv.pop(1)) for _ in range(2))
    FAULTS = os.path.abspath(sys.argv.pop(1))
    if b"statically linked" in subprocess.run(["ldd", TOOL], stderr=subprocess.STDOUT, check=False,
                                              stdout=subprocess.PIPE).stdout or \
            subprocess.run(["ldd", TOOL], capture_output=True, check=False).returncode != 0:
        FAULTS = None
    unittest.main()
