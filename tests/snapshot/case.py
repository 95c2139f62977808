# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of snapshots share: the tool, or what stands in for it, and targets."""

import collections
import functools
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from core_file import CoreFile
from targets import LIMIT, Target

METHODS = ("fork", "track")  # those that are to do no harm; methods() are those that there are

# Parts of the target "harm" that go together; the first one's work is also that of the main thread,
# and its system calls and its registers are those that an injection meets.
HARM = (
    ("signals", "futex", "registers", "rseq", "timers"),
    ("blocking",),
    ("registers", "futex"),
    ("rseq",),
    ("children",),
    ("storm",),
    ("vfork",),
    ("maps",),
)

Settings = collections.namedtuple("Settings", "kioku targets duplicates full seed cache")
settings = None  # set by run()

Done = collections.namedtuple("Done", "status core out text")


def count(ordinary, full):
    """How many times something is done."""
    return full if settings.full else ordinary


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(dir=settings.cache, prefix="snapshot-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.random = random.Random(f"{settings.seed} {self.id()}")
        self.number = 0

    def start(self, *words):
        target = Target(settings.targets, *words)
        self.addCleanup(target.kill)
        return target

    def program(self, name):
        return settings.targets / name

    def new_path(self, name="core"):
        self.number += 1
        return self.folder / f"{name}-{self.number}"

    def check_unharmed(self, target):
        """Ends a target, which must have noticed nothing; what it has seen."""
        seen, problems = target.end()
        self.assertEqual(problems, [])
        return seen

    def duplicate(self, target, times, maker="auto", header=None):
        """Many images by the library, checked in C; what the program says. Without a header no
        image is checked. One of much memory takes seconds where its process keeps all CPUs busy."""
        done = subprocess.run([settings.duplicates, str(target.pid), header or "0", str(times), maker],
                              capture_output=True, text=True, timeout=LIMIT + 5 * times, check=False)
        self.assertTrue(done.stdout, done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual(result["snapshots"], times, done.stderr)
        self.assertEqual(result["descriptors"], 0)
        return result

    def gcore(self, pid):
        """What gdb makes of a process, beside which kioku is put."""
        if shutil.which("gcore") is None:
            self.skipTest("gdb is not installed")
        prefix = self.new_path("gcore")
        done = subprocess.run(["gcore", "-o", prefix, str(pid)], capture_output=True, text=True,
                              timeout=LIMIT, check=False)
        path = Path(f"{prefix}.{pid}")
        self.assertTrue(path.exists(), done.stderr)
        return path

    def open_core(self, path):
        core = CoreFile(path)
        self.addCleanup(core.file.close)
        return core


class ToolCase(Case):
    """Tests of kioku itself."""

    def setUp(self):
        super().setUp()
        self.methods = methods()

    def need(self, option):
        if option not in tool_help():
            self.skipTest(f"this kioku has no {option}")

    def words(self, *options):
        return [settings.kioku, "snapshot", *(str(option) for option in options)]

    def run_tool(self, *options, limit=LIMIT):
        with (tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors):
            # No pipes, whose end a process that is left behind would keep from being seen.
            running = subprocess.Popen(self.words(*options), stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=errors, cwd=self.folder)
            try:
                status = running.wait(limit)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
                status = None
            out.seek(0)
            errors.seek(0)
            done = subprocess.CompletedProcess(running.args, status, out.read(), errors.read())
        self.assertIsNotNone(status, f"{options}: no end after {limit} s: {done.stderr}")
        self.assertNotIn("Sanitizer", done.stderr)
        return done

    def snapshot(self, target, *options, statuses=(0,)):
        """One snapshot; core is None if there is none."""
        path = self.new_path()
        done = self.run_tool(target.pid, "-o", path, *options)
        self.assertIn(done.returncode, statuses, done.stdout + done.stderr)
        return Done(done.returncode, path if path.exists() else None, done.stdout, done.stderr)

    def forget(self, done):
        """Removes an image that was looked at: thousands would fill the disk."""
        for name in os.listdir(self.folder):
            if done.core and name.startswith(done.core.name):
                os.remove(self.folder / name)


@functools.cache
def tool_help():
    return subprocess.run([settings.kioku, "snapshot", "--help"], capture_output=True, text=True,
                          check=True).stdout


def methods():
    """Those that do no harm, of which this kioku has some."""
    offered = re.search(r"--method (\S+)", tool_help())[1].split("|")
    return [method for method in METHODS if method in offered]
