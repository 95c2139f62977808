# SPDX-License-Identifier: LGPL-2.1-or-later
"""`kioku serve` as a process, at an address that no other test has."""

import json
import signal
import subprocess

from processes import PATIENCE, Failure, Process
from wire import Client


class Serve:
    """Ready when it is made; stop() returns what it says in the end."""

    def __init__(self, session, image, *options, kioku=None):
        self.remote, self.local = session.new_addresses()
        self.session = session
        self.process = Process(
            [kioku or session.kioku, "serve", image, "--nettlp", self.remote, "--json", *options],
            session.new_folder() / "serve.log", stdout=subprocess.PIPE)
        self.output = self.process.process.stdout
        line = self.output.readline()
        if not line:
            self.process.wait(PATIENCE)
            raise Failure(self.process.describe())
        self.ready = json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.output.close()

    def settle(self, count):
        """Waits until so many datagrams that were sent to it are looked at. It looks at some of all
        that came, then at messages that came, and then at what is left."""
        with Client(self.remote, self.local) as client:
            for _ in range(2 + count // 8):
                client.message(2, self.local)

    def stop(self, number=signal.SIGTERM):
        self.process.signal(number)
        lines = [json.loads(line) for line in self.output]
        self.process.expect(0)
        if [line["event"] for line in lines] != ["summary"]:
            raise Failure(f"the last lines are {lines}")
        return lines[0]


def differences(summary, **expected):
    """Yields which of the counts are not as expected."""
    for name, value in expected.items():
        if summary[name] != value:
            yield f"{name} is {summary[name]} and not {value}"
