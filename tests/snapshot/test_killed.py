# SPDX-License-Identifier: LGPL-2.1-or-later
"""kioku is killed in the middle: the target runs on, and nothing of kioku is left."""

import contextlib
import os
import re
import signal
import subprocess
import time

from case import ToolCase, count
from targets import LIMIT, children, live_children, mentioning, traced_threads, wait_until

TARGETS = (("harm", "signals", "futex", "registers", "rseq", "timers"), ("harm", "blocking"),
           ("counters", "--pad", 16))
SOON = 10  # seconds, until what is left behind has undone itself

# What nobody is there to undo: a call says that it was interrupted, as it does when anybody else stops
# the process, and the dead clone stays until the process asks for it, or ends.
OF_DEAD_GUARDIAN = "Interrupted system call|EINTR|unknown child|a child that this process never had"


def front_end(process, number):
    process.send_signal(number)


def guardian(process, number):
    for pid in children(process.pid):
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, number)


def whole_group(process, number):
    os.killpg(process.pid, number)


class Killed(ToolCase):
    def kill_at_random(self, who, number, times):
        for words in TARGETS:
            for method in self.methods:
                with self.subTest(target=words, method=method):
                    target = self.start(*words)
                    duration = self.duration(target, method)
                    for _ in range(times):
                        self.kill_once(target, method, who, number, duration)
                    _, problems = target.end()
                    if who == guardian:
                        problems = [problem for problem in problems
                                    if not re.search(OF_DEAD_GUARDIAN, problem)]
                    self.assertEqual(problems, [])

    def duration(self, target, method):
        started = time.monotonic()
        self.forget(self.snapshot(target, "--method", method, statuses=(0, 3)))
        return time.monotonic() - started

    def kill_once(self, target, method, who, number, duration):
        path = self.new_path()
        running = subprocess.Popen(self.words(target.pid, "--method", method, "-o", path),
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            running.wait(self.random.uniform(0, duration))
        except subprocess.TimeoutExpired:
            who(running, number)
        running.wait(LIMIT)
        wait_until(lambda: not traced_threads(target.pid), "let go of", SOON)
        # What the target itself has started ends soon.
        those = live_children if who == guardian else children
        seen = set(those(target.pid))
        wait_until(lambda: not seen.intersection(those(target.pid)), "rid of the clone", SOON)
        wait_until(lambda: not mentioning(str(path)), "rid of what kioku had started", SOON)
        self.forget_path(path)

    def forget_path(self, path):
        for name in os.listdir(self.folder):
            if name.startswith(path.name):
                os.remove(self.folder / name)

    def test_guardian_killed(self):
        """What was injected comes back by itself."""
        self.kill_at_random(guardian, signal.SIGKILL, count(3, 42))

    # 3 targets, each method
    def test_front_end_killed(self):
        self.kill_at_random(front_end, signal.SIGKILL, count(2, 42))

    def test_front_end_terminated(self):
        self.kill_at_random(front_end, signal.SIGTERM, count(1, 21))

    def test_group_killed(self):
        """As by a shell's kill -9 %1."""
        self.kill_at_random(whole_group, signal.SIGKILL, count(2, 21))

    def test_terminal_gone(self):
        self.kill_at_random(whole_group, signal.SIGHUP, count(1, 5))


class Leftover(ToolCase):
    def test_is_told_of(self):
        """The clone that nobody can take off the target's table any more."""
        target = self.start("counters", "--pad", 16)
        running = subprocess.Popen(self.words(target.pid, "--method", "fork", "--rate", "8M", "-o",
                                              self.new_path()), stderr=subprocess.PIPE, text=True)
        wait_until(lambda: children(target.pid), "duplicated")
        time.sleep(0.2)
        guardian(running, signal.SIGKILL)
        text = running.communicate(timeout=LIMIT)[1]
        self.assertIn(running.returncode, (1, 3), text)
        self.assertRegex(text, f"warning: process {target.pid} keeps the dead duplicate")
        self.assertEqual((len(children(target.pid)), live_children(target.pid)), (1, []))
        self.check_unharmed(target)


class Terminated(ToolCase):
    def test_while_copying(self):
        """Whatever is left to copy of a running target, and as slowly as was asked for."""
        if "track" not in self.methods:
            self.skipTest("there is no method track here")
        target = self.start("counters", "--pad", 64)
        folder = self.new_path("folder")
        folder.mkdir()
        for words, status, said in (((), 1, "stopped by SIGTERM: nothing was written"),
                                    (("--repeat", "1s"), 0, "0 moments")):
            running = subprocess.Popen(self.words(target.pid, "--method", "track", "--rate", "256K", "-o",
                                                  f"{folder}/", *words), stderr=subprocess.PIPE, text=True)
            time.sleep(1)
            self.assertIsNone(running.poll())
            running.send_signal(signal.SIGTERM)
            text = running.communicate(timeout=LIMIT)[1]
            self.assertEqual((running.returncode, os.listdir(folder)), (status, []), text)
            self.assertIn(said, text)
            self.assertEqual(traced_threads(target.pid), [])
        self.check_unharmed(target)

    def test_says_so(self):
        """Told to stop early, the tool leaves a core of what it has, or none."""
        target = self.start("counters", "--pad", 512)
        path = self.new_path()
        running = subprocess.Popen(self.words(target.pid, "-o", path), stderr=subprocess.PIPE,
                                   text=True)
        time.sleep(0.15)
        running.send_signal(signal.SIGINT)
        text = running.communicate(timeout=LIMIT)[1]
        # Before it has begun there is nothing to be told of.
        self.assertIn(running.returncode, (-signal.SIGINT, 0, 1, 3), text)
        self.check_unharmed(target)
