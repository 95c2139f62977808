# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the kioku tool, bounded in time and memory, and reads what it prints."""

import calendar
import json
import os
import re
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

MEMORY_LIMIT = 4 << 30      # bytes of private memory; mapped images do not count
WITHOUT_CACHE = ("acquire", "convert", "layout", "verify")  # commands that look for no kernel
SANITIZER_STATUS = 99
SANITIZER_REPORT = re.compile(
    r"ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer|Sanitizer:DEADLYSIGNAL")


class ToolError(Exception):
    """The tool did what no input may make it do, or not what this test needs."""


@dataclass
class Result:
    command: list
    status: int
    stdout: bytes
    stderr: str

    def rows(self):
        return [dict(row) for row in json.loads(self.stdout)]

    def document(self):
        return json.loads(self.stdout)

    def stats(self):
        """The numbers of the line that --stats prints: bytes, requests, rounds, ms."""
        line = re.findall(r"^stats: (.*)$", self.stderr, re.M)[-1]
        return {unit: int(number) for number, unit in re.findall(r"(\d+) (\w+)", line)}

    def describe(self):
        arguments = " ".join(str(item) for item in self.command[1:])
        return f"kioku {arguments}: exit status {self.status}: {self.first_words()}"

    def first_words(self):
        return " / ".join(self.stderr.strip().splitlines()[:3])[:300]


class Tool:
    """One build of kioku. Without a cache folder every run is told not to use one."""

    def __init__(self, path, cache=None):
        self.path = Path(path).resolve()
        self.cache = cache
        self.sanitized = b"__asan_init" in self.path.read_bytes()

    def run(self, command, source, *arguments, timeout=120, options=()):
        """Run to the end, whatever the exit status; a signal, a hang or a sanitizer's report is
        a ToolError. options come last; arguments are numbers, texts or paths."""
        words = [str(self.path), command, str(source), *map(str, arguments), *map(str, options)]
        if not self.cache and command not in WITHOUT_CACHE:
            words.append("--no-cache")
        try:
            done = subprocess.run(words, env=self.environment(), stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=timeout, preexec_fn=self.limit)
        except subprocess.TimeoutExpired:
            raise ToolError(f"{' '.join(words)}: still running after {timeout} s") from None
        result = Result(words, done.returncode, done.stdout,
                        done.stderr.decode(errors="replace"))
        if result.status not in (0, 1, 2, 3) or SANITIZER_REPORT.search(result.stderr):
            raise ToolError(result.describe())
        return result

    def rows(self, command, source, *arguments, status=0, **how):
        """The rows of a run that must end with an exit status, complete by default."""
        result = self.run(command, source, *arguments, "--format", "json", **how)
        if result.status != status:
            raise ToolError(f"{result.describe()} (expected exit status {status})")
        return result.rows()

    def ending_with(self, status):
        """The same where all runs end with an exit status."""
        other = Tool(self.path, self.cache)
        other.rows = lambda *words, **how: self.rows(*words, status=status, **how)
        other.info = lambda *words, **how: self.info(*words, status=status, **how)
        return other

    def torn(self):
        """The same for images of machines that ran meanwhile: lists that changed while they were
        taken may show gaps, and a cell that kioku itself calls contradictory is not in its row, if
        only all others are right."""
        other = Tool(self.path, self.cache)

        def rows(command, source, *arguments, **how):
            found = other.run(command, source, *arguments, "--format", "json", **how).rows()
            return [{field: value for field, value in row.items()
                     if row.get("absent", {}).get(field) != "corrupt"} for row in found]

        other.rows = rows
        return other

    def info(self, source, *arguments, status=0, **how):
        result = self.run("info", source, *arguments, "--format", "json", **how)
        if result.status != status:
            raise ToolError(f"{result.describe()} (expected exit status {status})")
        return result.document()

    def environment(self):
        home = str(self.cache or "/dev/null/none")  # where no folder can be made
        return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "HOME": home,
                "XDG_CACHE_HOME": home,
                "ASAN_OPTIONS": f"exitcode={SANITIZER_STATUS}:detect_leaks=1",
                "UBSAN_OPTIONS": f"halt_on_error=1:exitcode={SANITIZER_STATUS}"}

    def limit(self):
        if not self.sanitized:  # a sanitizer reserves terabytes
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def unmarked(tool, basis, view, image, *options):
    """Problems of a view whose rows must all say what they rest on, asked for it or not."""
    for words in ((), ("--columns", "basis"), ("--columns", "all")):
        result = tool.run(view, image, "--format", "jsonl", *words, *options)
        bases = {json.loads(line).get("basis", "unmarked") for line in result.stdout.splitlines()}
        if bases - {basis}:
            yield f"rows of {basis} types are {bases}: {result.describe()}"


def text_bytes(row, column):
    """The bytes behind a text cell; None where it is absent. kioku(1), section ESCAPES."""
    text = row[column]
    if text is None or column not in row.get("escaped", ()):
        return None if text is None else text.encode()
    return re.sub(rb"\\(\\|x[0-9a-f]{2})", unescape, text.encode())


def unescape(match):
    return b"\\" if match[1] == b"\\" else bytes.fromhex(match[1][1:].decode())


def nanoseconds(text):
    """A time as kioku prints it, in nanoseconds since 1970."""
    day, fraction = re.fullmatch(r"(.*T\d\d:\d\d:\d\d)\.(\d{9})Z", text).groups()
    return calendar.timegm(time.strptime(day, "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(fraction)
