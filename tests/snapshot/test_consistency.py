# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images are of one instant."""

from case import ToolCase, count
from core_file import CoreFile
from counters import Checker


class Consistency(ToolCase):
    def check_images(self, target, method, times):
        checker = Checker(int(target.values["header"], 0))
        for number in range(times):
            done = self.snapshot(target, "--method", method)
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

    def test_many_in_a_row(self):
        target = self.start("counters")
        result = self.duplicate(target, count(100, 10000), header=target.values["header"])
        self.assertEqual(result["torn"], 0, result["first"])
        self.check_unharmed(target)

    def test_series(self):
        """Each of a series, those that are of changes only put together again."""
        self.need("--repeat")
        target = self.start("counters")
        folder = self.new_path("series")
        times = count(4, 50)
        done = self.run_tool(target.pid, "-o", f"{folder}/", "--repeat", "100ms", "--count", times,
                             "--format", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), times)
        self.check_unharmed(target)
