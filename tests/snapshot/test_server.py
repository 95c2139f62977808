# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real servers under load: no request fails, none is answered wrongly."""

import re
import shutil
import signal
import socket
import subprocess
import threading

from case import ToolCase, count
from targets import LIMIT, children, traced_threads, wait_until

CLIENTS = 4

NGINX_CONFIGURATION = """
daemon off;
worker_processes 2;
user {user};
pid {folder}/pid;
error_log {folder}/log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "{answer}"; }}
    }}
}}
"""


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


class ServerCase(ToolCase):
    """One server, which snapshots take by its pid."""

    def serve(self, *words):
        for name in words[0], self.load:
            if shutil.which(name) is None:
                self.skipTest(f"{name} is not installed")
        self.log = open(self.folder / "log", "w+", encoding="utf-8")
        self.addCleanup(self.log.close)
        self.process = self.launch(*words, stdout=self.log, stderr=self.log)
        self.pid = self.process.pid

    def launch(self, *words, **options):
        process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL,
                                   **options)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def ask(self, family, address, question):
        """What is answered until the other end has no more to say, or None."""
        try:
            with socket.socket(family) as connection:
                connection.settimeout(LIMIT)
                connection.connect(address)
                connection.sendall(question)
                return connection.recv(4096)
        except OSError:
            return None

    def check_quiet(self, pids, ending=signal.SIGTERM):
        for pid in pids:
            self.assertEqual((traced_threads(pid), children(pid)), ([], []))
        self.process.send_signal(ending)
        self.assertEqual(self.process.wait(LIMIT), 0)
        self.log.seek(0)
        self.assertNotRegex(self.log.read(), "(?i)crash|assert|EINTR|interrupted|alert|exited on")


class Redis(ServerCase):
    load = "redis-benchmark"

    def setUp(self):
        super().setUp()
        self.socket = str(self.folder / "redis")
        self.serve("redis-server", "--port", 0, "--unixsocket", self.socket, "--save", "",
                   "--appendonly", "no", "--dir", self.folder, "--io-threads", 2)
        wait_until(lambda: self.ping() == b"+PONG\r\n", "answering")

    def ping(self):
        return self.ask(socket.AF_UNIX, self.socket, b"PING\r\n")

    def test_redis(self):
        ended = threading.Event()
        clients = [Client(self.socket, f"counter{number}", ended) for number in range(CLIENTS)]
        load = self.launch(self.load, "-s", self.socket, "-t", "set,lpush,lrange_100", "-l", "-q",
                           stdout=subprocess.DEVNULL)
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
        self.assertIsNone(load.poll(), "the benchmark has given up")
        load.kill()
        self.assertEqual([client.problem for client in clients], [None] * CLIENTS)
        self.assertGreater(min(client.requests for client in clients), 100)
        self.assertEqual(self.ping(), b"+PONG\r\n")
        self.check_quiet([self.pid])


class Nginx(ServerCase):
    load = "ab"

    def setUp(self):
        super().setUp()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (self.folder / "configuration").write_text(NGINX_CONFIGURATION.format(
            folder=self.folder, port=self.port, answer="x" * 1000, user="root"), encoding="utf-8")
        self.serve("nginx", "-p", self.folder, "-c", self.folder / "configuration")
        wait_until(lambda: (self.get() or b"").endswith(b"x" * 1000), "answering")

    def get(self):
        return self.ask(socket.AF_INET, ("127.0.0.1", self.port), b"GET / HTTP/1.0\r\n\r\n")

    def test_nginx(self):
        """Its workers wait in epoll_wait(), and are taken one by one, and all at one instant."""
        load = self.launch(self.load, "-n", 100000000, "-c", 8, "-s", LIMIT,
                           f"http://127.0.0.1:{self.port}/", stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
        workers = children(self.pid)
        self.assertEqual(len(workers), 2)
        for method in self.methods:
            for number in range(count(6, 250)):
                self.pid = workers[number % 2]
                self.forget(self.snapshot(self, "--method", method))
        for number in range(count(3, 100)):
            folder = self.folder / f"tree-{number}"
            folder.mkdir()
            done = self.run_tool(self.process.pid, "--tree", "-o", f"{folder}/")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(len(list(folder.glob("*.core"))), 3)
            shutil.rmtree(folder)
        self.assertIsNone(load.poll(), "ab has given up")
        load.send_signal(signal.SIGINT)
        text = load.communicate(timeout=LIMIT)[0]
        self.assertRegex(text, r"Failed requests: +0\n")
        self.assertNotIn("Non-2xx", text)
        self.assertGreater(int(re.search(r"Complete requests: +(\d+)", text)[1]), 100)
        self.assertEqual((traced_threads(self.process.pid), children(self.process.pid)),
                         ([], workers))
        self.check_quiet(workers, signal.SIGQUIT)
