# SPDX-License-Identifier: LGPL-2.1-or-later
"""That the tests find what they are to find: a torn image, and a target that was harmed. gcore stands
for what is known to be consistent and known to do harm."""

import os
import re
import signal
import time

from case import HARM, Case
from core_file import CoreFile, LiveMemory
from counters import Checker


class Tests(Case):
    def test_stopped_copy_is_consistent(self):
        target = self.start("counters")
        checker = Checker(int(target.values["header"], 0))
        for _ in range(2):
            with CoreFile(self.gcore(target.pid)) as core:
                self.assertEqual(list(checker.problems(core)), [])
        self.check_unharmed(target)

    def test_torn_copy_is_found(self):
        target = self.start("counters")
        checker = Checker(int(target.values["header"], 0))
        with LiveMemory(target.pid) as memory:
            # On a machine with other work, a target may not have run during one or the other.
            self.assertTrue(any(list(checker.problems(memory)) for _ in range(20)))
        self.check_unharmed(target)

    def test_checker_in_c(self):
        target = self.start("counters")
        header = target.values["header"]
        self.assertEqual(self.duplicate(target, 20, "stopped", header)["torn"], 0)
        torn = self.duplicate(target, 20, "torn", header)
        self.assertGreater(torn["torn"], 15, torn)
        self.check_unharmed(target)

    def test_targets_left_alone(self):
        """Nothing is found where nothing is done."""
        targets = [self.start("harm", *words) for words in HARM]
        time.sleep(1)
        for target in targets:
            with self.subTest(target=str(target)):
                self.check_unharmed(target)

    def test_interrupted_calls_are_found(self):
        target = self.start("harm", "blocking")
        self.gcore(target.pid)
        problems = " ".join(target.end()[1])
        found = re.findall(r"(\w+): -1, Interrupted system call", problems)
        # Each could have been between two calls just then.
        self.assertGreater(len({"epoll_wait", "epoll_pwait", "recv", "sigtimedwait",
                                "semtimedop"}.intersection(found)), 2, problems)

    def test_strays_are_found(self):
        """A signal that nobody else sends."""
        target = self.start("harm", "timers")
        os.kill(target.pid, signal.SIGTRAP)
        self.assertIn("harm timers: signal 5 came 1 times", target.end()[1])

    def test_lost_signals_are_found(self):
        """One more than was sent."""
        target = self.start("harm", "signals")
        os.kill(target.pid, signal.SIGRTMIN)
        self.assertRegex(" ".join(target.end()[1]), "queued signals came")
