#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots of processes that notice what is done to them.
usage: test_snapshot.py KIOKU VICTIM HAMMER [TEST]...; $KIOKU_SNAPSHOTS: how many of each, by default 20"""

import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

TOOL = VICTIM = HAMMER = None
COUNT = int(os.environ.get("KIOKU_SNAPSHOTS", "20"))
LIMIT = 120  # seconds, after which something hangs
GDB = shutil.which("gdb")
PT_LOAD, PT_NOTE, NT_PRSTATUS = 1, 4, 1


class Core:
    """The ELF core of a process."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        offset, count = struct.unpack_from("<Q", self.data, 32)[0], struct.unpack_from(
            "<H", self.data, 56)[0]
        headers = [struct.unpack_from("<IIQQQQQQ", self.data, offset + i * 56)
                   for i in range(count)]
        self.segments = [(virtual, place, stored, size)
                         for kind, _, place, virtual, _, stored, size, _ in headers
                         if kind == PT_LOAD]
        self.notes = [self.data[place:place + stored]
                      for kind, _, place, _, _, stored, _, _ in headers if kind == PT_NOTE][0]

    def read(self, address, size):
        """None where nothing is."""
        for virtual, place, stored, length in self.segments:
            skipped = address - virtual
            if 0 <= skipped and skipped + size <= length:
                return self.data[place + skipped:place + min(skipped + size, stored)].ljust(
                    size, b"\0") if skipped < stored else bytes(size)
        return None

    def threads(self):
        """Their numbers."""
        found, offset = [], 0
        while offset + 12 <= len(self.notes):
            name, size, kind = struct.unpack_from("<III", self.notes, offset)
            start = offset + 12 + (name + 3 & ~3)
            if kind == NT_PRSTATUS:
                found.append(struct.unpack_from("<i", self.notes, start + 32)[0])
            offset = start + (size + 3 & ~3)
        return found

    def content(self):
        """{address: bytes} of all that is stored."""
        return {virtual: self.data[place:place + stored]
                for virtual, place, stored, _ in self.segments}


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kioku-snapshot-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.number = 0

    def start(self, mode):
        """A victim that is ready, and what it said before."""
        victim = subprocess.Popen([VICTIM, mode], stdout=subprocess.PIPE, text=True)
        self.addCleanup(victim.stdout.close)
        self.addCleanup(victim.wait)
        self.addCleanup(victim.kill)
        lines = []
        for line in victim.stdout:
            if line == "ready\n":
                break
            lines.append(line)
        time.sleep(0.1)
        return victim, json.loads(lines[0]) if lines else None

    def end(self, victim):
        """What it has seen."""
        victim.send_signal(signal.SIGTERM)
        text, _ = victim.communicate(timeout=LIMIT)
        self.assertEqual(victim.returncode, 0)
        return json.loads(text)

    def snapshot(self, victim, *more, status=0):
        """(path of the core, its row)"""
        self.number += 1
        path = os.path.join(self.folder, f"{self.number}.core")
        done = subprocess.run([TOOL, "snapshot", str(victim.pid), "-o", path, "--format", "json",
                               *more], capture_output=True, text=True, timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        self.said = done.stderr
        return (path, json.loads(done.stdout)) if status in (0, 3) else (None, None)

    def assert_left_alone(self, victim):
        """Nobody traces it, and it has no child of ours."""
        for task in os.listdir(f"/proc/{victim.pid}/task"):
            try:
                with open(f"/proc/{victim.pid}/task/{task}/status", encoding="utf-8") as file:
                    self.assertIn("\nTracerPid:\t0\n", file.read())
            except (FileNotFoundError, ProcessLookupError):
                pass  # a thread that has ended meanwhile
        self.assertEqual(children(victim.pid), [])


def children(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True,
                           text=True, check=False)
    return found.stdout.split()


class Content(Case):
    def test_kinds_of_memory(self):
        """Also what a duplicate does not get; of what was never touched, no byte is stored."""
        victim, places = self.start("memory")
        for method in ("fork", "stop"):
            path, row = self.snapshot(victim, "--method", method)
            core = Core(path)
            for letter in "ABCDE":
                self.assertEqual(core.read(places[letter], 4 * 4096),
                                 letter.encode() * 4 * 4096, (method, letter))
            self.assertEqual(core.read(places["F"], 2), b"F\0")
            self.assertEqual(core.read(places["F"] + (1 << 30), 4096), bytes(4096))
            self.assertLess(len(core.data), 32 << 20)
            self.assertEqual((row["threads"], row["inconsistent"]), (1, 0))
            verified = subprocess.run([TOOL, "verify", path], capture_output=True, check=False)
            self.assertEqual(verified.returncode, 0, verified.stdout)
        self.assert_left_alone(victim)
        self.end(victim)

    def test_equal(self):
        """Of a process that waits, every method has the same bytes."""
        victim, _ = self.start("memory")
        one, two = (Core(self.snapshot(victim, "--method", method)[0]).content()
                    for method in ("fork", "stop"))
        self.assertEqual(sorted(one), sorted(two))
        for address, data in one.items():
            changed = [address + i for i in range(len(data)) if data[i] != two[address][i]]
            # The kernel notes in struct rseq on which CPU a thread runs.
            self.assertTrue(not changed or changed[-1] - changed[0] < 32,
                            [hex(place) for place in changed[:64]])
        self.end(victim)

    def test_manifest(self):
        victim, _ = self.start("blocked")
        path, row = self.snapshot(victim)
        with open(path + ".manifest.json", encoding="utf-8") as file:
            process = json.load(file)["process"]
        self.assertEqual((process["pid"], process["name"], process["method"]),
                         (victim.pid, "victim", "fork"))
        self.assertEqual(process["command_line"], [VICTIM, "blocked"])
        self.assertEqual(process["stops"][0]["nanoseconds"], row["stops"][0]["nanoseconds"])
        self.assertEqual(len(process["threads"]), row["threads"])
        self.assertTrue({"open_files", "environment", "executable"} <= set(process))
        tasks = {int(task) for task in os.listdir(f"/proc/{victim.pid}/task")}
        core = Core(path)
        self.assertEqual(set(core.threads()), tasks)
        self.assertEqual(core.threads()[0], victim.pid)
        self.end(victim)

    def test_areas(self):
        victim, places = self.start("memory")
        area = f"{places['A']:#x}-{places['A'] + 4095:#x}"
        core = Core(self.snapshot(victim, "--area", area)[0])
        self.assertEqual(core.content(), {places["A"]: b"A" * 4096})
        core = Core(self.snapshot(victim, "--area", "stack")[0])
        with open(f"/proc/{victim.pid}/maps", encoding="utf-8") as file:
            start, end = re.search(r"^(\w+)-(\w+) .*\[stack\]$", file.read(), re.M).groups()
        self.assertEqual((core.segments[0][0], sum(segment[3] for segment in core.segments)),
                         (int(start, 16), int(end, 16) - int(start, 16)))
        self.assertIsNone(core.read(places["A"], 1))
        whole = Core(self.snapshot(victim)[0])
        core = Core(self.snapshot(victim, "--exclude", "file-backed")[0])
        self.assertEqual(core.read(places["A"], 4096), b"A" * 4096)
        self.assertLess(len(core.data), len(whole.data))
        self.end(victim)

    @unittest.skipUnless(GDB, "gdb is not installed")
    def test_gdb(self):
        """Frames of all threads, as gdb sees them in the process itself."""
        victim, _ = self.start("blocked")
        command = [GDB, "-batch", "-nx", "-ex", "set pagination off", "-ex",
                   "thread apply all -q bt", VICTIM]
        path, _ = self.snapshot(victim)

        def frames(target):
            text = subprocess.run([*command, target], capture_output=True, text=True,
                                  check=False).stdout
            return sorted(re.findall(r"\bin (call_\w+) \(", text))
        self.assertEqual(frames(path), frames(str(victim.pid)))
        self.assertGreater(len(frames(path)), 12)
        self.end(victim)


class Harm(Case):
    def test_consistent(self):
        victim, place = self.start("torn")
        done = subprocess.run([HAMMER, str(victim.pid), str(place["pages"]), str(place["count"]),
                               str(COUNT)], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(json.loads(done.stdout)["torn"], 0)
        self.assert_left_alone(victim)
        self.end(victim)

    def repeat(self, mode, count=COUNT):
        victim, _ = self.start(mode)
        for _ in range(count):
            done = subprocess.run([TOOL, "snapshot", str(victim.pid), "--digest", "none", "-o",
                                   "-"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                  text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_left_alone(victim)
        return self.end(victim)

    def test_blocked_calls(self):
        """None returns, though several do when anybody else stops the process."""
        self.assertEqual(self.repeat("blocked"), {"interrupted": 0, "early": 0, "calls": 0})

    def test_busy(self):
        seen = self.repeat("busy")
        self.assertGreater(seen["ticks"], 0)
        self.assertEqual(seen["received"], seen["sent"])
        for name in ("lost", "rseq", "registers", "children", "unknown"):
            self.assertEqual(seen[name], 0, name)
        for name in ("mask", "pending", "stack", "trap", "files"):
            self.assertEqual(seen[name], 1, name)

    def test_thread_storm(self):
        self.repeat("storm")

    def kill_at_random(self, mode, who):
        """Whoever is killed, the process goes on, and nobody traces it."""
        victim, _ = self.start(mode)
        chance = random.Random(7)
        for _ in range(COUNT):
            running = subprocess.Popen([TOOL, "snapshot", str(victim.pid), "--digest", "none",
                                        "-o", "-"], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            time.sleep(chance.uniform(0, 0.06))
            for pid in who(running.pid):
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            running.wait()
        time.sleep(0.5)
        return victim

    def test_front_end_killed(self):
        victim = self.kill_at_random("blocked", lambda pid: [pid])
        self.assert_left_alone(victim)
        self.assertEqual(self.end(victim)["calls"], 0)

    def test_guardian_killed(self):
        """What is injected comes back by itself. The dead duplicate stays, and a call that the stop has
        interrupted may say so, as it does when anybody else stops the process."""
        victim = self.kill_at_random("blocked", children)
        self.assertEqual(self.end(victim)["early"], 0)


class Odd(Case):
    def test_filtered(self):
        """A filter that would kill it for what is injected."""
        victim, _ = self.start("filtered")
        self.snapshot(victim)
        self.assert_left_alone(victim)
        self.end(victim)

    def test_leaderless(self):
        victim, _ = self.start("leaderless")
        path, row = self.snapshot(victim)
        self.assertEqual(row["threads"], 1)
        self.assertNotEqual(Core(path).threads(), [victim.pid])
        self.end(victim)

    def test_vforked(self):
        victim, _ = self.start("vforked")
        for child in children(victim.pid):
            self.addCleanup(os.kill, int(child), signal.SIGKILL)
        self.snapshot(victim, status=1)
        self.assertIn("vforked child", self.said)
        self.snapshot(victim, "--method", "stop")
        self.assertEqual(len(children(victim.pid)), 1)

    def test_stopped(self):
        victim, _ = self.start("memory")
        victim.send_signal(signal.SIGSTOP)
        os.waitpid(victim.pid, os.WUNTRACED)
        self.snapshot(victim)
        with open(f"/proc/{victim.pid}/stat", encoding="utf-8") as file:
            self.assertEqual(file.read().rpartition(")")[2].split()[0], "T")
        victim.send_signal(signal.SIGCONT)
        self.end(victim)

    def test_several(self):
        """At one instant, into a folder."""
        victims = [self.start("memory")[0] for _ in range(3)]
        done = subprocess.run([TOOL, "snapshot", *(str(victim.pid) for victim in victims), "-o",
                               self.folder + "/", "--format", "json"], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([row["pid"] for row in rows], [victim.pid for victim in victims])
        for row in rows:
            self.assertRegex(row["path"], rf"/victim-{row['pid']}_[-0-9]+\.core$")
            Core(row["path"])
        for victim in victims:
            self.assert_left_alone(victim)
            self.end(victim)

    def test_refused(self):
        victim, _ = self.start("memory")
        for words, text in (((str(victim.pid), "--max-stop", "1us"), "is to be expected"),
                            (("4194305",), "there is no process"), (("2",), "kernel")):
            done = subprocess.run([TOOL, "snapshot", *words, "-o",
                                   os.path.join(self.folder, "x.core")], capture_output=True,
                                  text=True, check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(text, done.stderr)
        self.assertEqual(os.listdir(self.folder), [])
        self.end(victim)

    @unittest.skipUnless(shutil.which("strace"), "strace is not installed")
    def test_traced(self):
        victim, _ = self.start("memory")
        tracer = subprocess.Popen(["strace", "-qq", "-o", os.devnull, "-p", str(victim.pid)])
        time.sleep(0.5)
        self.snapshot(victim, status=1)
        self.assertIn("traced by process", self.said)
        tracer.terminate()
        tracer.wait()
        self.end(victim)

    def test_predicted(self):
        victim, _ = self.start("memory")
        done = subprocess.run([TOOL, "snapshot", "--dry-run", "--format", "json",
                               str(victim.pid)], capture_output=True, text=True, check=True)
        fork, stop = (json.loads(line) for line in done.stdout.splitlines())
        self.assertTrue(fork["possible"] and stop["possible"])
        self.assertLess(0, fork["stop_nanoseconds"])
        self.end(victim)


if __name__ == "__main__":
    TOOL, VICTIM, HAMMER = sys.argv[1:4]
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
