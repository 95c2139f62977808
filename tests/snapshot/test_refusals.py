# SPDX-License-Identifier: LGPL-2.1-or-later
"""What cannot be imaged, or not as asked: refused with the reason, and left as it was."""

import os
import subprocess
import unittest

from case import ToolCase
from targets import children, live_threads, status, traced_threads, wait_until

# A fork of these is to be had all the same.
ODD = ("seccomp", "undumpable", "setuid", "zombie", "blocked")
# These are imaged, or refused.
ODDER = (("odd", "strict"), ("thirtytwo",), ("harm", "vfork"), ("harm", "storm"))


class Refusals(ToolCase):
    def refuse(self, *options, status_wanted=1, mentions="."):
        """Nothing is made then, and one line says why."""
        path = self.new_path()
        done = self.run_tool(*options, "-o", path)
        self.assertEqual(done.returncode, status_wanted, done.stdout + done.stderr)
        self.assertRegex(done.stderr, "kioku: error: .")
        self.assertRegex(done.stderr, mentions)
        self.assertEqual([name for name in os.listdir(self.folder)
                          if name.startswith(path.name)], [])
        return done

    def test_odd_processes(self):
        for kind in ODD:
            for method in ("auto", *self.methods):
                with self.subTest(kind=kind, method=method):
                    self.check_odd(("odd", kind), method, (0,) if method != "track" else (0, 1))

    def test_odder_processes(self):
        """Imaged, or refused with a reason; in any case they run on."""
        for words in ODDER:
            for method in ("auto", *self.methods):
                with self.subTest(words=words, method=method):
                    self.check_odd(words, method, (0, 1, 3))

    def check_odd(self, words, method, statuses):
        try:
            target = self.start(*words)
        except unittest.SkipTest as reason:
            print(f"# {' '.join(words)}: {reason}")
            return
        done = self.snapshot(target, "--method", method, statuses=statuses)
        if done.status == 1:
            self.assertRegex(done.text, "kioku: error: .")
        else:
            there = [thread.tid for thread in self.open_core(done.core).threads()]
            if words[0] == "odd":
                self.assertEqual(sorted(there), sorted(live_threads(target.pid)))
        self.assertEqual(traced_threads(target.pid), [])
        self.check_unharmed(target)

    def test_vforked(self):
        """Only stopping needs nobody to make a call."""
        target = self.start("odd", "vforked")
        for method in ("auto", *self.methods):
            self.refuse(target.pid, "--method", method, mentions="vforked child")
        self.snapshot(target, "--method", "stop")
        self.assertEqual(len(children(target.pid)), 1)
        self.check_unharmed(target)

    def test_traced(self):
        target = self.start("odd", "traced")
        wait_until(lambda: traced_threads(target.pid), "traced")
        tracer = status(target.pid, "TracerPid")
        for method in ("auto", *self.methods):
            self.refuse(target.pid, "--method", method, mentions=rf"\b{tracer}\b")
        self.assertEqual(status(target.pid, "TracerPid"), tracer)
        self.check_unharmed(target)

    def test_place_comes_first(self):
        """Nobody is stopped for what cannot be written: here, whether he could be does not come up."""
        target = self.start("odd", "traced")
        wait_until(lambda: traced_threads(target.pid), "traced")
        there = self.new_path()
        there.touch()
        missing = self.folder / "missing"
        for words, exit_status, reason in (
                (("-o", f"{missing}/"), 1, "cannot create files in .*missing/: No such file"),
                (("-o", missing / "core"), 1, "cannot create files in .*missing/: No such file"),
                (("--repeat", "1s", "--count", "2", "-o", f"{missing}/"), 1, "No such file"),
                (("-o", there), 2, f"{there} exists already"),
                (("--to", "kioku://127.0.0.1:1/core"), 2, "fingerprint is missing"),
                (("--to", "gopher://127.0.0.1:1/core"), 2, "no kind of destination"),
                (("-o", self.new_path(), "--sign", missing), 1, "cannot open the key")):
            with self.subTest(words=words):
                done = self.run_tool(target.pid, *words)
                self.assertEqual(done.returncode, exit_status, done.stderr)
                self.assertRegex(done.stderr, reason)
        self.check_unharmed(target)

    def test_stop_too_long(self):
        """A promise that cannot be kept is not tried."""
        target = self.start("counters", "--pad", 64)
        for method in self.methods:
            self.refuse(target.pid, "--method", method, "--max-stop", "1us", mentions="1 ?us")
        self.check_unharmed(target)

    def test_no_such_process(self):
        ended = subprocess.Popen(["true"])
        ended.wait()
        self.refuse(ended.pid, mentions=str(ended.pid))

    def test_zombie(self):
        """A process that has ended, and that nobody has asked for yet."""
        ended = subprocess.Popen(["true"])
        self.addCleanup(ended.wait)
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        self.refuse(ended.pid, mentions=str(ended.pid))

    def test_kernel_thread(self):
        if status(2, "Name") != "kthreadd":
            self.skipTest("no kernel threads are to be seen here")
        self.refuse(2, mentions="kernel")

    def test_not_ours(self):
        """Somebody who may not trace it is told so."""
        if os.geteuid() != 0:
            self.skipTest("only root can become nobody")
        target = self.start("harm", "futex")
        os.chmod(self.folder, 0o777)
        done = subprocess.run(self.words(target.pid, "-o", self.new_path()), user=65534,
                              group=65534, extra_groups=[], capture_output=True, text=True,
                              cwd="/", check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, "kioku: error: .*(not permitted|denied|root|CAP_SYS_PTRACE)")
        self.check_unharmed(target)

    def test_usage(self):
        target = self.start("harm", "futex")
        for options in ((), ("0",), ("-5",), ("x",), (target.pid, "--method", "magic"),
                        (target.pid, "--max-stop", "soon"), (target.pid, "--area", "0x9-0x1"),
                        (target.pid, "--exclude", "everything"), (target.pid, "--count", "3"),
                        (target.pid, "--repeat", "0s", "--count", "2")):
            with self.subTest(options=options):
                self.refuse(*options, status_wanted=2)
        self.check_unharmed(target)

    def test_nothing_is_overwritten(self):
        target = self.start("harm", "futex")
        done = self.snapshot(target)
        before = done.core.read_bytes()
        again = self.run_tool(target.pid, "-o", done.core)
        self.assertEqual(again.returncode, 2, again.stderr)
        self.assertTrue(done.core.read_bytes() == before)
        self.check_unharmed(target)

    def test_disk_full(self):
        """The target is let go of when nothing more can be written."""
        target = self.start("counters", "--pad", 16)
        with open("/dev/full", "wb") as full:
            done = subprocess.run(self.words(target.pid, "-o", "-"), stdout=full, stderr=subprocess.PIPE,
                                  text=True, cwd=self.folder, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("No space left", done.stderr)
        self.assertEqual(traced_threads(target.pid), [])
        self.assertEqual(children(target.pid), [])
        self.check_unharmed(target)

    def test_ends_meanwhile(self):
        """The target is killed in the middle: no hang, no crash."""
        for method in self.methods:
            for _ in range(5):
                with self.start("counters", "--pad", "16") as target:
                    running = subprocess.Popen(self.words(target.pid, "--method", method, "-o",
                                                          self.new_path()),
                                               stderr=subprocess.PIPE, text=True)
                    try:
                        running.wait(self.random.uniform(0, 0.2))
                    except subprocess.TimeoutExpired:
                        pass
                    target.kill()
                    text = running.communicate(timeout=60)[1]
                self.assertIn(running.returncode, (0, 1, 3), text)
