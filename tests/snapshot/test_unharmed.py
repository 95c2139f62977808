# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a target notices of snapshots: nothing."""

import array
import os
import signal
import subprocess
import threading
import time

from case import HARM, METHODS, ToolCase, count
from core_file import PAGE
from targets import LIMIT, children, status, thread_states, traced_threads, wait_until

BLOCKING_CALLS = 29  # those of targets/harm_blocking.c
WATCHED = 96  # MiB: more than src/snapshot/watching.h asks for

# Those that return EINTR after any stop, unless somebody sees to it (facts, and seen with gcore).
INTERRUPTED = (1, 2, 3, 4, 5, 6, 7, 17, 20)


class Unharmed(ToolCase):
    def take(self, target, method, times):
        """So many snapshots; the images are not looked at. Who waits for a vforked child may be
        refused, and is harmed as little by that."""
        statuses = (0, 1, 3) if "vfork" in target.words else (0, 3)
        for _ in range(times):
            self.forget(self.snapshot(target, "--method", method, "--area", "stack",
                                      statuses=statuses))

    def test_methods(self):
        for method in self.methods:
            for words in HARM:
                with self.subTest(method=method, parts=words):
                    target = self.start("harm", *words)
                    self.take(target, method, count(2, 100))
                    self.assertEqual(traced_threads(target.pid), [])
                    self.check_unharmed(target)

    def test_watched(self):
        """With so much memory that writes wait until they are noted, those of the kernel, too. ManyInARow has the
        rest of it."""
        if "track" not in self.methods:
            self.skipTest("there is no method track here")
        for words in count((("vfork",),), HARM):
            with self.subTest(parts=words):
                target = self.start("harm", *words, "--pad", WATCHED)
                self.take(target, "track", count(2, 100))
                self.check_unharmed(target)

    def test_each_call(self):
        """An injection into a thread that is in this call and no other."""
        calls = range(1, BLOCKING_CALLS + 1)
        if not count(False, True):
            calls = sorted({*INTERRUPTED, *self.random.sample(calls, 3)})
        for call in calls:
            with self.subTest(call=call):
                target = self.start("harm", "blocking", "--call", call)
                for method in self.methods:
                    self.take(target, method, count(1, 10))
                self.check_unharmed(target)

    def test_series(self):
        self.need("--repeat")
        target = self.start("harm", *HARM[0])
        folder = self.new_path("series")
        folder.mkdir()
        times = count(5, 100)
        done = self.run_tool(target.pid, "-o", f"{folder}/", "--repeat", "200ms", "--count", times,
                             limit=LIMIT + 5 * times)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_unharmed(target)

    def test_kernel_workers(self):
        """What a thread of the kernel's does for a target ends as it would: nobody interrupts it."""
        for method in (*self.methods, "stop"):
            with self.subTest(method=method):
                target = self.start("devices", "waiting", self.new_path("fifo"))
                self.take(target, method, count(10, 200))
                self.assertEqual(children(target.pid), [])
                self.check_unharmed(target)

    def test_stop(self):
        target = self.start("harm", *HARM[0])
        self.take(target, "stop", count(3, 100))
        self.check_unharmed(target)

    def test_mappings(self):
        """Two that touch, as what was one mapping may be for a moment, are never tracked one without
        the other: mremap() would refuse both."""
        if "track" not in self.methods:
            self.skipTest("there is no method track here")
        target = self.start("harm", "maps")
        self.take(target, "track", count(40, 1000))
        self.check_unharmed(target)

    def test_stopped_stays_stopped(self):
        """By SIGSTOP, before and after; and goes on when it is told to, not before."""
        for method in self.methods:
            with self.subTest(method=method):
                target = self.start("harm", "futex")
                os.kill(target.pid, signal.SIGSTOP)
                wait_until(lambda pid=target.pid: all_stopped(pid), "stopped")
                self.snapshot(target, "--method", method)
                self.assertTrue(all_stopped(target.pid), thread_states(target.pid))
                os.kill(target.pid, signal.SIGCONT)
                time.sleep(0.1)
                self.check_unharmed(target)

    def test_ignored_signals(self):
        """They end no call, though they wait while the target is traced: SIGUSR1 is ignored, the others
        by default."""
        numbers = (signal.SIGUSR1, signal.SIGCHLD, signal.SIGCONT, signal.SIGWINCH, signal.SIGURG)
        for method in self.methods:
            for number in numbers:
                with self.subTest(method=method, signal=number.name):
                    target = self.start("harm", "blocking")
                    ended = threading.Event()
                    sender = threading.Thread(target=send_often, args=(target.pid, number, ended))
                    sender.start()
                    try:
                        self.take(target, method, count(1, 20))
                    finally:
                        ended.set()
                        sender.join()
                    self.check_unharmed(target)

    def test_pending_stop_signal(self):
        """SIGSTOP that comes while a snapshot is made is not lost, nor is the SIGCONT after it."""
        target = self.start("harm", "futex")
        for number in range(count(6, 200)):
            self.stop_meanwhile(target, self.methods[number % len(self.methods)])
        self.check_unharmed(target)

    def stop_meanwhile(self, target, method):
        running = subprocess.Popen(self.words(target.pid, "--method", method, "-o",
                                              self.new_path()), stderr=subprocess.DEVNULL)
        time.sleep(self.random.uniform(0, 0.1))
        os.kill(target.pid, signal.SIGSTOP)
        self.assertIn(running.wait(LIMIT), (0, 3))
        wait_until(lambda: all_stopped(target.pid), "stopped")
        os.kill(target.pid, signal.SIGCONT)

    def test_nothing_left(self):
        """No child that is reaped by nobody, and not even a trace of memory that was mapped."""
        target = self.start("harm", *HARM[0])
        size = status(target.pid, "VmSize")
        self.take(target, "fork", 3)
        self.assertEqual(children(target.pid), [])
        self.assertEqual(status(target.pid, "VmSize"), size)
        self.check_unharmed(target)

    def test_guards_stay_untouched(self):
        """To read the guards of stacks would have pages appear there."""
        target = self.start("harm", "blocking")
        before = pages_there(target.pid, "---p")
        for method in (*self.methods, "stop"):
            self.snapshot(target, "--method", method)
        self.assertEqual(pages_there(target.pid, "---p"), before)


def pages_there(pid, permissions):
    """How many pages there are in mappings of these permissions."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/pagemap", "rb") as pagemap:
        found = 0
        for line in maps:
            words = line.split()
            if words[1] == permissions:
                first, last = (int(address, 16) // PAGE for address in words[0].split("-"))
                pagemap.seek(first * 8)
                found += sum(entry >> 62 != 0 for entry in
                             array.array("Q", pagemap.read((last - first) * 8)))
        return found


def send_often(pid, number, ended):
    while not ended.wait(0.0002):
        os.kill(pid, number)


def all_stopped(pid):
    return all(state and state.startswith("T") for state in thread_states(pid).values())


class ManyInARow(ToolCase):
    """By the library, one after the other: a test for each set of parts and each method, since one takes up to an
    hour with --full."""


def in_a_row(words, method, pad=0):
    # Who takes the duplicate off the table is chosen among threads that end at once.
    ordinary = 3 if pad else 100 if words == ("storm",) else 13
    full = 5000 if words in (HARM[0], ("blocking",)) and not pad else 1000

    def test(self):
        if method not in self.methods:
            self.skipTest(f"there is no method {method} here")
        target = self.start("harm", *words, "--pad", pad)
        self.duplicate(target, count(ordinary, full), method)
        self.check_unharmed(target)

    return test


for parts in HARM:
    if parts != ("vfork",):  # mostly refused
        for maker in METHODS:
            setattr(ManyInARow, f"test_many_in_a_row_{parts[0]}_{maker}", in_a_row(parts, maker))
        setattr(ManyInARow, f"test_many_in_a_row_{parts[0]}_watched",
                in_a_row(parts, "track", WATCHED))
