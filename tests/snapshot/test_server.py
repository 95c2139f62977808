# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real server under load: no request fails, none is answered wrongly."""

import shutil
import socket
import subprocess
import threading

from case import ToolCase, count
from targets import LIMIT, children, traced_threads, wait_until

SERVER = shutil.which("redis-server")
CLIENTS = 4


class Client(threading.Thread):
    """Counts in redis, and sees to it that each number comes once and in its turn."""

    def __init__(self, path, name, ended):
        super().__init__()
        self.path, self.name, self.ended = path, name, ended
        self.requests, self.problem = 0, None

    def run(self):
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(LIMIT)
                connection.connect(self.path)
                self.count(connection, connection.makefile("rb"))
        except (OSError, ValueError) as error:
            self.problem = f"request {self.requests}: {error!r}"

    def count(self, connection, answers):
        while not self.ended.is_set():
            connection.sendall(f"INCR {self.name}\r\nSET x{self.name} {self.requests}\r\n"
                               f"GET x{self.name}\r\n".encode())
            got = [answers.readline() for _ in range(4)]
            wanted = [f":{self.requests + 1}\r\n", "+OK\r\n", f"${len(str(self.requests))}\r\n",
                      f"{self.requests}\r\n"]
            if got != [line.encode() for line in wanted]:
                raise ValueError(got)
            self.requests += 1


class Server(ToolCase):
    def setUp(self):
        super().setUp()
        if SERVER is None:
            self.skipTest("redis-server is not installed")
        self.socket = str(self.folder / "redis")
        self.log = open(self.folder / "log", "w+", encoding="utf-8")
        self.addCleanup(self.log.close)
        self.process = subprocess.Popen(
            [SERVER, "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no",
             "--dir", self.folder, "--io-threads", "2"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.pid = self.process.pid
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        wait_until(lambda: self.ask("PING") == b"+PONG\r\n", "answering")

    def ask(self, text):
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(LIMIT)
                connection.connect(self.socket)
                connection.sendall(f"{text}\r\n".encode())
                return connection.makefile("rb").readline()
        except OSError:
            return None

    def test_under_load(self):
        ended = threading.Event()
        clients = [Client(self.socket, f"counter{number}", ended) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            for method in self.methods:
                for _ in range(count(5, 250)):
                    self.forget(self.snapshot(self, "--method", method))
            self.duplicate(self, count(50, 10000))
        finally:
            ended.set()
            for client in clients:
                client.join()
        self.assertEqual([client.problem for client in clients], [None] * CLIENTS)
        self.assertGreater(min(client.requests for client in clients), 100)
        self.check_quiet()

    def check_quiet(self):
        self.assertEqual(self.ask("PING"), b"+PONG\r\n")
        self.assertEqual(traced_threads(self.pid), [])
        self.assertEqual(children(self.pid), [])
        self.process.terminate()
        self.assertEqual(self.process.wait(LIMIT), 0)
        self.log.seek(0)
        self.assertNotRegex(self.log.read(), "(?i)crash|assert|EINTR|interrupted")
