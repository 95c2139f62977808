# SPDX-License-Identifier: LGPL-2.1-or-later
"""Results of tests: a TAP line for each, and the counts that scripts/check adds up."""

import re
import sys
import time
import traceback

SHOWN = 10  # problems of one test


class Results:
    def __init__(self, only=None, out=sys.stdout):
        self.passed = self.failed = self.skipped = 0
        self.only = re.compile(only) if only else None
        self.out = out

    def wants(self, name):
        return not self.only or bool(self.only.search(name))

    def check(self, name, test, *arguments):
        """Run a test: a function that yields sentences, one for each problem. True if it passed.

        What it returns, if anything, is a remark for the line.
        """
        if not self.wants(name):
            return True
        started = time.monotonic()
        problems, remark = collect(test, arguments)
        seconds = f"{time.monotonic() - started:.1f} s"
        details = f"{remark}, {seconds}" if remark else seconds
        if problems:
            self.failed += 1
        else:
            self.passed += 1
        self.line(f"{'not ok' if problems else 'ok'} {self.count()} - {name} ({details})")
        for problem in problems[:SHOWN]:
            self.note(problem)
        if len(problems) > SHOWN:
            self.note(f"and {len(problems) - SHOWN} more")
        return not problems

    def fail(self, name, problem):
        """What could not even be begun."""
        self.check(name, lambda: iter([str(problem)]))

    def skip(self, name, reason):
        if self.wants(name):
            self.skipped += 1
            self.line(f"ok {self.count()} - {name} # SKIP {reason}")

    def count(self):
        return self.passed + self.failed + self.skipped

    def note(self, text):
        for line in str(text).rstrip().splitlines():
            self.line(f"#   {line}")

    def line(self, text):
        print(text, file=self.out, flush=True)

    def finish(self):
        """The last line; the exit status."""
        self.line(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed else 0


def collect(test, arguments):
    """The problems that a test yields and the remark that it returns. An exception is a problem."""
    problems, remark = [], None

    def run():
        nonlocal remark
        remark = yield from test(*arguments)

    try:
        problems.extend(run())
    except Exception as error:  # the other tests go on
        where = traceback.extract_tb(error.__traceback__)[-1]
        problems.append(f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})")
    return problems, remark
