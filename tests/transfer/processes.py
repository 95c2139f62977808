# SPDX-License-Identifier: LGPL-2.1-or-later
"""kioku as a receiver and as a sender, each a process that can be killed, and other programs."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

SANITIZERS = re.compile(r"ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")
PATIENCE = 120  # seconds until something counts as hanging


class Failure(Exception):
    """A process did not do what it must; the message says which and what it said."""


def environment():
    kept = {key: os.environ[key] for key in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")
            if key in os.environ}
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"} | kept


class Process:
    """A program whose stderr is a file, and stdout, too, unless it is given a place.

    namespace: of the network, by ip-netns(8)."""

    def __init__(self, command, log, namespace=None, **how):
        self.command = [str(word) for word in command]
        self.log = Path(log)
        self.peak = None  # bytes of memory, once it has ended
        self.status = None
        inside = ["ip", "netns", "exec", namespace] if namespace else []
        with open(self.log, "ab") as errors:
            how = {"stdin": subprocess.DEVNULL, "stdout": errors} | how
            self.process = subprocess.Popen([*inside, *self.command], env=environment(),
                                            stderr=errors, **how)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def said(self):
        return self.log.read_text(errors="replace")

    def describe(self):
        return f"{' '.join(self.command[:2])}: exit status {self.status}: {self.said()[-400:]}"

    def running(self):
        if self.status is None:
            number, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if number:
                self.status = self.process.returncode = os.waitstatus_to_exitcode(status)
                self.peak = usage.ru_maxrss << 10
        return self.status is None

    def wait(self, timeout=PATIENCE):
        """The exit status."""
        deadline = time.monotonic() + timeout
        while self.running():
            if time.monotonic() > deadline:
                self.kill()
                raise Failure(f"still running after {timeout} s: {self.describe()}")
            time.sleep(0.01)
        if SANITIZERS.search(self.said()):
            raise Failure(self.describe())
        return self.status

    def expect(self, status=0, timeout=PATIENCE):
        if self.wait(timeout) != status:
            raise Failure(self.describe())

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        while self.running():
            time.sleep(0.001)

    def resident(self):
        """The most memory that it has had so far, in bytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
        return 0


class Receiver:
    """`kioku receive` on a port of its own. It can be killed and started again."""

    def __init__(self, kioku, folder, *options, address="127.0.0.1", namespace=None, port=None):
        self.kioku, self.options, self.namespace = kioku, options, namespace
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder.with_name(self.folder.name + ".receiver.log")
        self.address, self.port = address, port or free_port()
        self.target = (address, self.port)
        self.events = []
        self.changed = threading.Condition()
        self.lock = threading.Lock()  # of the process
        self.start()
        self.key = self.expect_event("url")["url"].split("#")[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        with self.lock:
            # A pipe as stdout, so that lines are seen when they are printed.
            self.process = Process(
                [self.kioku, "receive", "--listen", f"{self.address}:{self.port}", "--out",
                 self.folder, "--json", *self.options], self.log, self.namespace,
                stdout=subprocess.PIPE)
            self.reader = threading.Thread(target=self.read, args=(self.process.process.stdout,),
                                           daemon=True)
            self.reader.start()

    def read(self, stream):
        for line in stream:
            event = json.loads(line)
            with self.changed:
                self.events.append(event)
                self.changed.notify_all()

    def of(self, kind):
        with self.changed:
            return [event for event in self.events if event["event"] == kind]

    def expect_event(self, kind, count=1, timeout=PATIENCE):
        """The latest event of a kind, once there are so many."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                found = [event for event in self.events if event["event"] == kind]
                if len(found) >= count:
                    return found[-1]
                if time.monotonic() > deadline or not self.process.running():
                    kinds = [event["event"] for event in self.events if event["event"] != "progress"]
                    raise Failure(f"{len(found)} and not {count} {kind} within {timeout} s, but "
                                  f"{kinds[-20:]}: {self.process.describe()}")
                self.changed.wait(0.1)

    def url(self, name="", port=None, address=None):
        """For a sender; port: of a relay in between."""
        return f"kioku://{address or self.address}:{port or self.port}/{name}#{self.key}"

    def kill(self):
        with self.lock:
            self.process.kill()
            self.reader.join(10)

    def restart(self, pause=0.0):
        self.kill()
        time.sleep(pause)
        self.start()

    def stop(self, timeout=PATIENCE):
        """Ask it to end; the exit status."""
        self.process.signal(signal.SIGTERM)
        status = self.process.wait(timeout)
        self.reader.join(10)
        return status

    def transfers(self):
        """The folders that it has made."""
        return sorted(path for path in self.folder.iterdir() if not path.name.startswith("."))


def free_port(address="127.0.0.1"):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, 0))
        return probe.getsockname()[1]


def send(kioku, source, url, log, *options, retry=60, namespace=None):
    """A sender that has been started."""
    again = ["--retry", retry] if url.startswith("kioku:") else []
    return Process([kioku, "convert", source, "--to", url, *again, *options], log, namespace)


def convert(kioku, source, target, *options):
    """The same on this machine alone."""
    done = subprocess.run([str(word) for word in (kioku, "convert", source, target, *options)],
                          env=environment(), capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode:
        raise Failure(f"convert {source}: exit status {done.returncode}: {done.stderr[-300:]}")


def verified(kioku, image):
    """Yields what kioku verify has against an image."""
    done = subprocess.run([str(kioku), "verify", str(image)], env=environment(),
                          capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode:
        yield f"verify {image.name}: exit status {done.returncode}: {done.stdout}{done.stderr}"


def missing(*programs):
    """Why a test cannot run; None if it can."""
    absent = [program for program in programs if not shutil.which(program)]
    return f"{absent[0]} is not installed" if absent else None
