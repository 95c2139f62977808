# SPDX-License-Identifier: LGPL-2.1-or-later
"""A sender of docs/transfer.md, message by message, so that tests can say what no good sender would.
Written from the document alone; nothing of kioku is used."""

import contextlib
import hashlib
import re
import secrets
import socket
import ssl
import struct

from wire import (ACK, ANSWER, BYE, CLOSE, COMPARE, COMPLETE, CREATE, DIGEST, DONE, END, HELLO, HOLE,
                  PING, REFUSED, REMOVE, REPLACE, RESUME, WELCOME, WRITE, connect, decoded_key,
                  encoded, hello, message, text)

BUSY, VERSION, TOKEN, NAME, QUOTA, STORAGE, DIFFERS, PROTOCOL = range(1, 9)  # codes of REFUSED
DATA_LIMIT = 128 << 10


class Refused(Exception):
    """The receiver said so; code and reason."""

    def __init__(self, code, reason):
        super().__init__(f"refused with {code}: {reason}")
        self.code, self.reason = code, reason


class Broken(Exception):
    """The link ended."""


def create(file, name):
    return message(CREATE, struct.pack("<II", file, 0) + text(name))


def write(file, offset, data):
    return message(WRITE, struct.pack("<IIQ", file, 0, offset) + data)


def hole(file, offset, size):
    return message(HOLE, struct.pack("<IIQQ", file, 0, offset, size))


def close(file, size, digest=None, flags=None):
    if flags is None:
        flags = COMPARE if digest else 0
    return message(CLOSE, struct.pack("<IIQ", file, flags, size) + (digest or bytes(32)))


def replace(source, target):
    return message(REPLACE, text(source) + text(target))


def remove(name):
    return message(REMOVE, text(name))


def end(complete=True, lost=0):
    return message(END, struct.pack("<IIQ", COMPLETE if complete else 0, 0, lost))


def file_messages(file, name, data, step=DATA_LIMIT):
    """All of a file, in order."""
    yield create(file, name)
    for offset in range(0, len(data), step):
        yield write(file, offset, data[offset:offset + step])
    yield close(file, len(data), hashlib.sha256(data).digest())


class Url:
    def __init__(self, value):
        found = re.fullmatch(r"kioku://(?:\[([^\]]+)\]|([^:/]+)):(\d+)/([^#]*)#(.+)", value)
        self.host, self.port = found[1] or found[2], int(found[3])
        self.fingerprint, self.token = (*decoded_key(found[5]), None)[:2]


def fingerprint(certificate):
    """SHA-256 of the SubjectPublicKeyInfo of an Ed25519 key, which has 44 bytes."""
    start = certificate.index(bytes.fromhex("302a300506032b6570032100"))
    return hashlib.sha256(certificate[start:start + 44]).digest()


links = []  # all that were opened, for whoever cleans up


class Link:
    """One connection."""

    def __init__(self, url, timeout=30):
        self.socket = connect((url.host, url.port), timeout)
        assert fingerprint(self.socket.getpeercert(True)) == url.fingerprint, "another key"
        assert self.socket.selected_alpn_protocol() == "kioku/1"
        self.buffer = b""
        self.acknowledged = 0
        links.append(self)

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (OSError, ssl.SSLError) as error:
            self.drain()
            raise Broken(str(error)) from error

    def drain(self):
        """A receiver that refuses says why before it closes."""
        with contextlib.suppress(Broken):
            while True:
                self.receive()

    def receive(self):
        """The next answer that is no ACK: its type and payload. REFUSED is raised."""
        while True:
            kind, payload = self.receive_any()
            if kind != ACK:
                return kind, payload

    def receive_any(self):
        header = self.exactly(8)
        kind, size = struct.unpack("<II", header)
        payload = self.exactly(size)
        if kind == REFUSED:
            code, _, length = struct.unpack_from("<IIH", payload)
            raise Refused(code, payload[10:10 + length].decode())
        if kind == ACK:
            self.acknowledged, = struct.unpack("<Q", payload)
        return kind, payload

    def exactly(self, size):
        while len(self.buffer) < size:
            try:
                data = self.socket.recv(65536)
            except (OSError, ssl.SSLError) as error:
                raise Broken(str(error)) from error
            if not data:
                raise Broken("closed")
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def expect(self, kind):
        found, payload = self.receive()
        assert found == kind, f"{found} instead of {kind}"
        return payload

    def close(self):
        self.socket.close()

    def reset(self):
        """Cuts the link without a goodbye."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Sender:
    """A session: what it sends is one stream, in which a position may be gone back to."""

    def __init__(self, url, token=None, host="victim", image="memory.lime", expected=0, version=1):
        self.url = url if isinstance(url, Url) else Url(url)
        self.token = token or self.url.token
        self.host, self.image, self.expected, self.version = host, image, expected, version
        self.session, self.secret = secrets.token_bytes(16), secrets.token_bytes(32)
        self.stream = bytearray()
        self.sent = 0
        self.link = None
        self.folder = None

    def hello_message(self):
        return hello(self.token, self.session, self.secret, self.host, self.image, self.expected,
                     self.version)

    def resume_message(self):
        return message(RESUME, struct.pack("<II", self.version, 0) + self.session + self.secret)

    def greet(self, data):
        if self.link:
            self.link.close()
        self.link = Link(self.url)
        self.link.send(data)
        payload = self.link.expect(WELCOME)
        version, _, position, size = struct.unpack_from("<IIQH", payload)
        assert version == 1
        self.folder = payload[18:18 + size].decode()
        self.sent = position
        return position

    def hello(self):
        return self.greet(self.hello_message())

    def resume(self):
        return self.greet(self.resume_message())

    def add(self, *messages):
        for item in messages:
            self.stream += item

    def push(self, limit=None):
        """Sends what was not sent yet; returns how much that was."""
        data = bytes(self.stream[self.sent:limit])
        self.link.send(data)
        self.sent += len(data)
        return len(data)

    def send(self, *messages):
        self.add(*messages)
        self.push()

    def wait(self, position=None):
        """Until so much, or all, was acknowledged."""
        while self.link.acknowledged < (len(self.stream) if position is None else position):
            kind, _ = self.link.receive_any()
            assert kind == ACK, kind

    def done(self):
        """After END: DONE, and BYE."""
        payload = self.link.expect(DONE)
        self.link.send(message(BYE))
        self.link.close()
        return payload[2:].decode()
