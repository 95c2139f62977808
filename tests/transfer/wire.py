# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/transfer.md in Python, for peers that do not keep to it: TLS on both sides, and messages."""

import base64
import hashlib
import secrets
import socket
import ssl
import struct
import subprocess
import threading

(HELLO, RESUME, PING, BYE) = range(1, 5)
(CREATE, WRITE, HOLE, CLOSE, REPLACE, REMOVE, END) = range(16, 23)
(WELCOME, ACK, DIGEST, DONE, REFUSED) = range(32, 37)
VERSION, ALPN = 1, "kioku/1"
HEADER = struct.Struct("<II")
COMPARE, ANSWER, COMPLETE = 1, 2, 1


def message(kind, payload=b""):
    return HEADER.pack(kind, len(payload)) + payload


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<H", len(value)) + value


def hello(token, session, secret, host="host", image="image.lime", expected=0, version=VERSION):
    return message(HELLO, struct.pack("<II", version, 0) + token + session + secret +
                   struct.pack("<Q", expected) + text(host) + text(image) + text("test"))


def welcome(position=0, folder="folder"):
    return message(WELCOME, struct.pack("<IIQ", VERSION, 0, position) + text(folder))


def ack(position):
    return message(ACK, struct.pack("<Q", position))


def refused(code, reason=b"because"):
    return message(REFUSED, struct.pack("<II", code, 0) + text(reason))


def create(name, number=0):
    return message(CREATE, struct.pack("<II", number, 0) + text(name))


def write(data, offset=0, number=0):
    return message(WRITE, struct.pack("<IIQ", number, 0, offset) + data)


def hole(offset, size, number=0):
    return message(HOLE, struct.pack("<IIQQ", number, 0, offset, size))


def close(data, number=0, flags=COMPARE):
    return message(CLOSE, struct.pack("<IIQ", number, flags, len(data)) +
                   hashlib.sha256(data).digest())


def end():
    return message(END, struct.pack("<IIQ", COMPLETE, 0, 0))


def decoded_key(key):
    """(fingerprint, token) of FINGERPRINT.TOKEN."""
    return tuple(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in key.split("."))


def encoded(part):
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


class Link:
    """One side of a connection."""

    def __init__(self, connection):
        self.connection = connection

    def send(self, data):
        self.connection.sendall(data)

    def receive(self):
        """(type, payload); None at the end of the connection."""
        header = self.exactly(HEADER.size)
        if header is None:
            return None
        kind, size = HEADER.unpack(header)
        payload = self.exactly(size)
        return None if payload is None else (kind, payload)

    def exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.connection.recv(size - len(data))
            if not part:
                return None
            data += part
        return data


# --- as a sender

def connect(target, timeout=30, alpn=ALPN):
    """TLS to a receiver, whoever it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([alpn])
    plain = socket.create_connection(target, timeout=timeout)
    try:
        return context.wrap_socket(plain)
    except BaseException:
        plain.close()
        raise


class Credentials:
    """What a session of one's own begins with."""

    def __init__(self, key):
        self.token = decoded_key(key)[1]
        self.session, self.secret = secrets.token_bytes(16), secrets.token_bytes(32)

    def hello(self, **more):
        return hello(self.token, self.session, self.secret, **more)


# --- as a receiver

class Server:
    """A TLS server that does with each connection what a function does with a Link."""

    def __init__(self, folder, behave, highest=ssl.TLSVersion.TLSv1_3, alpn=ALPN, algorithm="ed25519"):
        self.behave = behave
        self.connections = self.handshakes = self.heard = 0
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", *algorithm.split(), "-nodes", "-keyout",
                        key, "-out", certificate, "-subj", "/CN=kioku"], check=True,
                       capture_output=True)
        public = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"],
                                check=True, capture_output=True).stdout
        self.fingerprint = hashlib.sha256(public).digest()
        self.token = secrets.token_bytes(16)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.maximum_version = highest
        self.context.num_tickets = 0
        if alpn:
            self.context.set_alpn_protocols([alpn])
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def key(self):
        return f"{encoded(self.fingerprint)}.{encoded(self.token)}"

    def url(self, name="image.lime", key=None):
        return f"kioku://127.0.0.1:{self.port}/{name}#{key or self.key()}"

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            connection.settimeout(60)
            try:
                with self.context.wrap_socket(connection, server_side=True) as secured:
                    self.handshakes += 1
                    self.behave(Link(secured))
            except (OSError, ValueError):  # the sender has gone
                pass
