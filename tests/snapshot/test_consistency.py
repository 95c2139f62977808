# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images are of one instant."""

import json
import os
import time
from pathlib import Path

from case import ToolCase, count
from core_file import CoreFile
from counters import Checker
from targets import LIMIT, children


class Consistency(ToolCase):
    def check_images(self, target, method, times, *options):
        checker = Checker(int(target.values["header"], 0))
        for number in range(times):
            done = self.snapshot(target, "--method", method, *options)
            with CoreFile(done.core) as core:
                self.assertEqual(list(checker.problems(core)), [], f"snapshot {number}")
            self.forget(done)

    def test_methods(self):
        for method in (*self.methods, "stop"):
            with self.subTest(method=method):
                target = self.start("counters")
                self.check_images(target, method, count(5, 200))
                self.check_unharmed(target)

    def test_hot(self):
        """Much is written all the time: what is dirty is never little."""
        for method in self.methods:
            with self.subTest(method=method):
                target = self.start("counters", "--threads", 4, "--pages", 2048, "--rate", 200000,
                                    "--rolled", 8192)
                self.check_images(target, method, count(1, 20))
                self.check_unharmed(target)

    def test_large(self):
        """Copying takes long, and much changes meanwhile."""
        for method in self.methods:
            with self.subTest(method=method):
                target = self.start("counters", "--pad", 256)
                self.check_images(target, method, count(1, 20))
                self.check_unharmed(target)

    def test_rate(self):
        """Copying takes as long as it was asked to."""
        if "track" not in self.methods:
            self.skipTest("there is no method track here")
        target = self.start("counters", "--pad", 8)
        started = time.monotonic()
        self.check_images(target, "track", 1, "--rate", "8M")
        # The copy, and then the image.
        self.assertGreater(time.monotonic() - started, 1.8)
        self.check_unharmed(target)

    def test_many_in_a_row(self):
        for method in self.methods:
            with self.subTest(method=method):
                target = self.start("counters")
                result = self.duplicate(target, count(50, 10000), method, target.values["header"])
                self.assertEqual(result["torn"], 0, result["first"])
                self.check_unharmed(target)

    def test_many_in_a_row_watched(self):
        """All over so much memory that what was written is listed before the stop."""
        if "track" not in self.methods:
            self.skipTest("there is no method track here")
        target = self.start("counters", "--rolled", 32768)
        result = self.duplicate(target, count(10, 2000), "track", target.values["header"])
        self.assertEqual(result["torn"], 0, result["first"])
        self.check_unharmed(target)

    def check_read(self, target, *options, times, mentions):
        """All that it has read at rest is of one round."""
        account = int(target.values["account"], 0)
        for number in range(times):
            done = self.snapshot(target, *options)
            self.assertIn(mentions, done.text)
            with CoreFile(done.core) as core:
                at_rest, round_number, size, buffer, completions = core.words(account, 5)
                if at_rest:
                    self.assertEqual(set(core.words(buffer, size // 8)), {round_number}, number)
                if at_rest and completions:
                    self.assertEqual(int.from_bytes(core.read(completions, 4), "little"), round_number)
            self.forget(done)
        self.assertEqual(children(target.pid), [])
        self.check_unharmed(target)

    def test_written_by_devices(self):
        """No tracking sees what is written past the page tables: that is refused, and a fork done instead."""
        for kind, reason in (("pinned", "VmPin|io_uring"), ("rings", "io_uring"), ("direct", "O_DIRECT")):
            with self.subTest(kind=kind):
                target = self.start("devices", kind, self.new_path("file"))
                refused = self.snapshot(target, "--method", "track", statuses=(1,))
                self.assertRegex(refused.text, reason)
                self.check_read(target, times=count(5, 200), mentions="method fork")

    def test_kernel_workers(self):
        """Threads of the kernel's that are among a process's own: they are left alone."""
        for method in self.methods:
            with self.subTest(method=method):
                target = self.start("devices", "workers", self.new_path("file"))
                self.check_read(target, "--method", method, times=count(5, 200), mentions=f"method {method}: 1 threads")

    def series(self, target, times):
        """The cores of a series, as they are said."""
        folder = self.new_path("series")
        folder.mkdir()
        done = self.run_tool(target.pid, "-o", f"{folder}/", "--repeat", "100ms", "--count", times,
                             "--format", "json", limit=LIMIT + 5 * times)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(rows), times)
        return [Path(row["path"]) for row in rows], rows

    def rebuild(self, core, status=0):
        path = self.new_path("whole")
        done = self.run_tool("--rebuild", core, "-o", path)
        self.assertEqual(done.returncode, status, done.stderr)
        return path, done.stderr

    def test_series(self):
        """Each of a series, those that are of changes only put together again."""
        target = self.start("counters", "--pad", 16)
        cores, rows = self.series(target, count(4, 50))
        checker = Checker(int(target.values["header"], 0))
        for core, row in zip(cores, rows):
            whole, _ = self.rebuild(core)
            with CoreFile(whole) as image:
                self.assertEqual(list(checker.problems(image)), [], core.name)
                self.assertEqual(len(image.threads()), row["threads"])
            if core != cores[0]:
                self.assertLess(row["stored"], row["memory"] // 2)
                self.assertLess(core.stat().st_size, cores[0].stat().st_size // 2)
        self.check_unharmed(target)

    def test_damaged_series(self):
        """Nothing is put together of what is not as it was taken."""
        target = self.start("counters")
        cores, _ = self.series(target, 3)
        target.kill()
        last_page = cores[1].stat().st_size - 4096
        with open(cores[1], "r+b") as file:
            file.seek(last_page)
            byte = file.read(1)
            file.seek(last_page)
            file.write(bytes([byte[0] ^ 1]))
        self.rebuild(cores[0])
        _, said = self.rebuild(cores[1], 3)
        self.assertIn("4096 bytes", said)
        os.remove(cores[1])
        _, said = self.rebuild(cores[2], 1)
        self.assertIn("moment 1 of the series is not in its folder", said)
        _, said = self.rebuild(cores[0], 0)
        whole = self.snapshot(self.start("harm", "futex")).core
        _, said = self.rebuild(whole, 1)
        self.assertIn("no core of a series", said)
