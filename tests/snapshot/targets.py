# SPDX-License-Identifier: LGPL-2.1-or-later
"""Starts the programs of tests/snapshot/targets, and looks at processes."""

import json
import os
import re
import select
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

LIMIT = 60  # seconds, after which something hangs
SKIPPED = 77


def wait_until(condition, what, limit=LIMIT):
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never {what}")
        time.sleep(0.02)


class Target:
    """A running target. values is what it said that it is ready with: {name: text}, and regions
    those of them that are ADDRESS+SIZE, as (name, address, size)."""

    def __init__(self, folder, *words):
        self.errors = tempfile.TemporaryFile("w+")
        self.words = [str(word) for word in words]
        path = Path(folder) / self.words[0]
        if not path.exists():
            raise unittest.SkipTest(f"the target {self.words[0]} could not be built here")
        try:
            self.process = subprocess.Popen([path, *self.words[1:]], text=True,
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=self.errors, start_new_session=True)
        except OSError as error:  # a 32-bit program, on a kernel that has none
            raise unittest.SkipTest(f"{self.words[0]}: {error.strerror}") from error
        line = self.read_line()
        if not line.startswith("ready"):
            self.kill()
            if self.process.returncode == SKIPPED:
                raise unittest.SkipTest(line.removeprefix("skip").strip())
            raise AssertionError(f"{self}: {line}{self.complaints()}")
        pairs = [pair.partition("=") for pair in line.split()[1:]]
        self.values = {name: value for name, _, value in pairs}
        self.regions = [(name, *(int(number, 0) for number in value.split("+")))
                        for name, _, value in pairs if "+" in value]
        self.pid = int(self.values.get("pid", self.process.pid))

    def __str__(self):
        return " ".join(self.words)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def read_line(self):
        if not select.select([self.process.stdout], [], [], LIMIT)[0]:
            self.kill()
            raise AssertionError(f"{self}: never ready")
        return self.process.stdout.readline()

    def complaints(self):
        self.errors.seek(0)
        return self.errors.read()

    def kill(self):
        """At the latest when a test is over; without effect after end()."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process.stdout.close()

    def end(self):
        """What the target has seen, and problems: sentences, none if nothing was done to it."""
        self.process.terminate()
        try:
            out, _ = self.process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            states = thread_states(self.pid)
            self.kill()
            return {}, [f"{self} does not end: {states}"]
        try:
            seen = json.loads(out.splitlines()[-1])
        except (IndexError, ValueError):
            return {}, [f"{self} ended with {self.process.returncode}: {out}{self.complaints()}"]
        problems = [f"{self}: {fault}" for fault in seen["faults"]]
        if self.process.returncode != 0 and not problems:
            problems = [f"{self} ended with {self.process.returncode}"]
        return seen, problems


def status(pid, key, tid=None):
    """A line of /proc/PID/status, or of a thread's; None if it is gone."""
    try:
        text = Path(f"/proc/{pid}/task/{tid or pid}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(rf"^{key}:\s*(.*)$", text, re.MULTILINE)
    return found and found[1]


def threads(pid):
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def thread_states(pid):
    return {tid: status(pid, "State", tid) for tid in threads(pid)}


def live_threads(pid):
    """Without a first one that has ended."""
    return [tid for tid, state in thread_states(pid).items() if state and state[0] != "Z"]


def traced_threads(pid):
    return [tid for tid in threads(pid) if status(pid, "TracerPid", tid) not in ("0", None)]


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children(pid):
    """Those that are zombies, and those that an ordinary wait() does not see, too."""
    return [child for child in processes() if status(child, "PPid") == str(pid)]


def live_children(pid):
    return [child for child in children(pid) if not (status(child, "State") or "Z").startswith("Z")]


def mentioning(text):
    """Processes with a text in their command line."""
    found = []
    for pid in processes():
        try:
            if text.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            pass
    return found
