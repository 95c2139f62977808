# SPDX-License-Identifier: LGPL-2.1-or-later
"""An S3 server for tests, and a proxy before it that checks what is sent, and spoils it on demand."""

import fcntl
import hashlib
import http.client
import http.server
import os
import pathlib
import shutil
import socket
import ssl
import struct
import subprocess
import threading

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE.parent / "cache" / "npm"
ACCESS_KEY = SECRET_KEY = "S3RVER"  # as in server.js
TOKEN = "the/session+token="
REGION = "test-region-1"
FILES = ("package.json", "package-lock.json")


class Missing(Exception):
    """Why there is no server."""


def install():
    """Makes sure that CACHE has what package-lock.json names."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise Missing(f"no {program}")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = b"".join((HERE / name).read_bytes() for name in FILES)
        done = CACHE / "installed"
        if done.exists() and done.read_bytes() == wanted:
            return
        for name in FILES:
            shutil.copyfile(HERE / name, CACHE / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            ran = subprocess.run(command, cwd=CACHE, capture_output=True, text=True, check=False,
                                 timeout=240)
        except subprocess.TimeoutExpired:
            raise Missing("npm ci takes too long") from None
        if ran.returncode:
            raise Missing("npm ci failed: " + " ".join(ran.stderr.split())[:200])
        done.write_bytes(wanted)


class Server:
    """The S3 server, on loopback; its bucket is "bucket"."""

    def __init__(self, folder):
        install()
        self.folder = pathlib.Path(folder)
        command = ["node", HERE / "server.js", CACHE / "node_modules", folder]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split()
        if words[:1] != ["listening"]:
            self.close()
            raise RuntimeError("the S3 server did not start")
        self.port = int(words[1])

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def objects(self):
        """What is stored: bytes by key."""
        bucket, suffix = self.folder / "bucket", "._S3rver_object"
        return {str(path.relative_to(bucket))[:-len(suffix)]: path.read_bytes()
                for path in bucket.rglob("*" + suffix)}


class Fault:
    """Spoils the requests that match(method, path) says, so many times, by an action of Handler."""

    def __init__(self, match, action, times=1):
        self.match, self.action, self.times = match, action, times


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection to the proxy."""

    protocol_version = "HTTP/1.1"
    timeout = 120

    def log_message(self, *_):
        pass

    def handle_any(self):
        proxy, size = self.server, int(self.headers.get("content-length", 0))
        fault = proxy.take_fault(self.command, self.path)
        if fault == "cut":
            self.rfile.read(size // 2)
            return self.reset()
        body = self.rfile.read(size)
        proxy.requests.append((self.command, self.path, size))
        if hashlib.sha256(body).hexdigest() != self.headers["x-amz-content-sha256"]:
            return self.answer(400, error("XAmzContentSHA256Mismatch"))
        return getattr(self, "act_" + (fault or "forward").replace("-", "_"))(body)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET = handle_any

    def ask(self, body):
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=60)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("expect", "connection"):
                upstream.putheader(name, value)
        upstream.endheaders(body)
        reply = upstream.getresponse()
        data = reply.read()
        upstream.close()
        return reply.status, data, {name: value for name, value in reply.getheaders()
                                    if name.lower() not in ("connection", "transfer-encoding",
                                                            "keep-alive", "date")}

    def answer(self, status, data, headers=None):
        headers = {"Content-Length": str(len(data)), **(headers or {})}
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def reset(self):
        """Ends the connection with a RST."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def act_forward(self, body):
        self.answer(*self.ask(body))

    def act_goodbye(self, body):
        """Does not say that it will close the connection."""
        self.act_forward(body)
        self.close_connection = True

    def act_busy(self, _):
        self.answer(503, error("SlowDown"))

    def act_unavailable(self, _):
        self.answer(500, b"")

    def act_timeout(self, _):
        self.answer(400, error("RequestTimeout"))

    def act_denied(self, _):
        self.answer(403, error("AccessDenied"))

    def act_error_in_200(self, _):
        self.answer(200, b'<?xml version="1.0"?>\n   ' + error("InternalError"))

    def act_nonsense(self, _):
        self.answer(200, b"<html>Welcome to the hotel's network</html>")

    def act_flood(self, _):
        self.answer(200, b"<" * (1 << 20))

    def act_redirect(self, _):
        self.answer(307, error("TemporaryRedirect"), {"Location": self.server.elsewhere})

    def act_lost_answer(self, body):
        self.ask(body)
        self.reset()

    def act_spoilt(self, body):
        """Another byte arrives, and the server does not see it by itself."""
        self.answer(*self.ask(b"?" + body[1:]))

    def act_stall(self, _):
        self.server.stalled.set()
        self.server.closing.wait(60)
        self.close_connection = True


def error(code):
    return f"<Error><Code>{code}</Code><Message>So says the proxy.</Message></Error>".encode()


class Proxy(http.server.ThreadingHTTPServer):
    """Between the client and the server. certificate: a PEM file with a key, for https."""

    daemon_threads = True

    def __init__(self, upstream, certificate=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream, self.elsewhere = upstream, ""
        self.requests, self.faults = [], []
        self.lock = threading.Lock()
        self.stalled, self.closing = threading.Event(), threading.Event()
        scheme = "http"
        if certificate:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True,
                                              do_handshake_on_connect=False)
        self.url = f"{scheme}://127.0.0.1:{self.server_address[1]}"
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.closing.set()
        self.shutdown()
        self.thread.join()
        self.server_close()

    def handle_error(self, *_):
        pass  # the other side went away

    def fail(self, method, part, action, times=1):
        """Plans a fault for requests of that method whose path and query have a part."""
        self.faults.append(Fault(lambda m, p: m == method and part in p, action, times))

    def take_fault(self, method, path):
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.match(method, path):
                    fault.times -= 1
                    return fault.action
        return None

    def sent(self, method, part=""):
        return [r for r in self.requests if r[0] == method and part in r[1]]


def make_certificate(path, address="127.0.0.1"):
    """A key and a certificate that trusts itself, in one PEM file."""
    if not shutil.which("openssl"):
        raise Missing("no openssl")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=store",
                    "-addext", f"subjectAltName=IP:{address}", "-keyout", path, "-out",
                    f"{path}.crt"], check=True, capture_output=True)
    with open(path, "a", encoding="ascii") as out:
        out.write(pathlib.Path(f"{path}.crt").read_text(encoding="ascii"))
