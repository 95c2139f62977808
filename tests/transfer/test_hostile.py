# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hostile peers: senders that flood our receiver, or say what no sender says, and receivers that lie
to our sender. tests/cli/test_receive.py has those that are about a single message."""

import contextlib
import random
import signal
import socket
import ssl
import struct
import threading
import time

import test_cuts
import wire
from processes import PATIENCE, Failure, Receiver, send

MIB = 1 << 20
FLOOD = 500
ESCAPE = b"\x1b[2J\r\n\x07\xff\xfe"
GIVES_UP = 90  # seconds; a connection that is silent is given up after 15


# --- receivers

def fails(session, source, behave, words=(), trusted=True, **server):
    """A sender that meets such a receiver fails, and says so, soon enough. Unless it is trusted,
    it hears nothing of the sender."""
    folder = session.new_folder()

    def heard(link):
        far.heard += bool(link.connection.recv(1))

    with wire.Server(folder, behave if trusted else heard, **server) as far:
        with send(session.kioku, source, far.url(), folder / "log", retry=2) as sender:
            status = sender.wait(GIVES_UP)
        yield from judged(sender, status, far, words)
        if far.heard:
            yield "the sender spoke to a receiver that it must not trust"
        return f"{far.connections} connections, exit status {status}"


def judged(sender, status, far, words=()):
    said = sender.said()
    if status not in (1, 2) or not said.strip():
        yield f"exit status {status}: {said[-300:]}"
    if any(word not in said.lower() for word in words):
        yield f"it does not say {words}: {said[-300:]}"
    if any(character in said for character in "\x1b\x07"):
        yield f"bytes of the peer reach the terminal: {said[-300:]!r}"
    if wire.encoded(far.token) in said:
        yield f"the token is told: {said[-300:]}"


def welcomed(link, position=0):
    link.receive()
    link.send(wire.welcome(position))


def closes_at_once(link):
    pass


def never_answers(link):
    while link.receive():
        pass


def welcomes_and_closes(link):
    welcomed(link)


def acknowledges_the_future(link):
    welcomed(link)
    link.receive()
    link.send(wire.ack(1 << 40))
    never_answers(link)


def acknowledges_within_a_message(link):
    welcomed(link)
    link.receive()
    link.send(wire.ack(3))
    never_answers(link)


def begins_in_the_future(link):
    welcomed(link, 1 << 40)
    never_answers(link)


def loses_what_it_acknowledged():
    """It acknowledges, closes, and then wants it again."""
    def behave(link):
        kind, _ = link.receive()
        link.send(wire.welcome(0))
        position = 0
        while kind == wire.HELLO and position < 3 * MIB:
            got, payload = link.receive()
            if got >= wire.CREATE:
                position += wire.HEADER.size + len(payload)
                link.send(wire.ack(position))
        if kind != wire.HELLO:
            never_answers(link)
    return behave


def done_at_once(link):
    welcomed(link)
    link.send(wire.message(wire.DONE, wire.text("folder")))
    never_answers(link)


def says(data):
    """Some bytes instead of a WELCOME, and then nothing."""
    def behave(link):
        link.receive()
        link.send(data)
        never_answers(link)
    return behave


def says_later(data):
    def behave(link):
        welcomed(link)
        link.receive()
        link.send(data)
        never_answers(link)
    return behave


def talks_on(link):
    """It reads nothing more, and says again and again that it has nothing."""
    welcomed(link)
    while True:
        link.send(wire.ack(0) * 100)
        time.sleep(0.01)


def receivers():
    """{title: (behaviour, options)}"""
    garbage = random.Random(5).randbytes(64 << 10)
    huge = wire.HEADER.pack(wire.ACK, 0xFFFFFFFF)
    found = {
        "closes at once": (closes_at_once, {}),
        "never answers": (never_answers, {}),
        "welcomes, and closes at once": (welcomes_and_closes, {}),
        "acknowledges what was never sent": (acknowledges_the_future, {}),
        "acknowledges a part of a message": (acknowledges_within_a_message, {}),
        "begins where nothing was sent": (begins_in_the_future, {}),
        "loses what it has acknowledged": (loses_what_it_acknowledged(), {}),
        "is done at once": (done_at_once, {}),
        "says garbage": (says(garbage), {}),
        "says garbage later": (says_later(garbage), {}),
        "says that 4 GiB follow": (says(huge), {}),
        "says later that 4 GiB follow": (says_later(huge), {}),
        "welcomes twice": (says(wire.welcome() * 2), {}),
        "is a sender": (says(wire.write(b"x" * 1000)), {}),
        "has a digest of a file that is not there":
            (says_later(wire.message(wire.DIGEST, struct.pack("<II", 7, 0) + bytes(48))), {}),
        "escapes in a folder's name": (says(wire.welcome(folder=ESCAPE)), {})}
    for code in (0, 1, 3, 4, 5, 6, 7, 8, 99):
        found[f"refuses with code {code}"] = (says(wire.refused(code, ESCAPE)), {})
    found["refuses with code 6 later"] = (says_later(wire.refused(6, b"No space left")),
                                          {"words": ["no space left"]})
    return found


def other_key(session, source):
    """Nothing is said to a receiver with another key, not even the token."""
    folder = session.new_folder()

    def behave(link):
        far.heard += bool(link.connection.recv(1))

    with wire.Server(folder, behave) as far:
        wrong = f"{wire.encoded(bytes(32))}.{wire.encoded(far.token)}"
        with send(session.kioku, source, far.url(key=wrong), folder / "log", retry=2) as sender:
            status = sender.wait(GIVES_UP)
        yield from judged(sender, status, far, ["key"])
        if far.heard:
            yield "the sender spoke to a receiver with another key"
        return f"{far.connections} connections"


def other_service(session, source, banner):
    """Something else listens there: it gets a ClientHello, and no more."""
    folder, heard = session.new_folder(), []

    def serve(listener):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client, contextlib.suppress(OSError):
                    client.settimeout(5)
                    client.sendall(banner)
                    while data := client.recv(4096):
                        heard.append(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        url = f"kioku://127.0.0.1:{listener.getsockname()[1]}/image.lime#" \
              f"{wire.encoded(bytes(32))}.{wire.encoded(b'0123456789abcdef')}"
        with send(session.kioku, source, url, folder / "log", retry=2) as sender:
            status = sender.wait(GIVES_UP)
        if status not in (1, 2) or not sender.said().strip():
            yield sender.describe()
        if b"0123456789abcdef" in b"".join(heard):
            yield "the token was sent in the clear"
        listener.shutdown(socket.SHUT_RDWR)


def endless(session, source):
    """A receiver that goes on saying that it is busy holds the sender up only until it is stopped."""
    folder = session.new_folder()
    with wire.Server(folder, talks_on) as far:
        with send(session.kioku, source, far.url(), folder / "log", retry=2) as sender:
            time.sleep(5)
            if not sender.running():
                return f"exit status {sender.status} by itself"
            sender.signal(signal.SIGINT)
            status = sender.wait(60)
        yield from judged(sender, 1 if status == 3 else status, far)
        return f"exit status {status}"


# --- senders

class Flood:
    """Connections to the receiver that are opened, and then do something now and then."""

    def __init__(self, receiver, count, open_one, act=lambda connection: None, pause=1.0):
        self.receiver, self.act, self.pause = receiver, act, pause
        self.connections = []
        self.ending = threading.Event()
        self.refused = 0
        for _ in range(count):
            try:
                self.connections.append(open_one())
            except OSError:  # ssl.SSLError, too
                self.refused += 1
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()
        for connection in self.connections:
            connection.close()

    def run(self):
        while not self.ending.wait(self.pause):
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    self.act(connection)

    def dropped(self):
        """How many the receiver has closed."""
        return sum(map(is_closed, self.connections))


def is_closed(connection):
    connection.setblocking(False)
    try:
        while socket.socket.recv(connection, 65536, socket.MSG_DONTWAIT):
            pass
        return True
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True


def plain(receiver):
    return socket.create_connection(receiver.target, timeout=10)


def secured(receiver):
    return wire.connect(receiver.target, timeout=10)


def trickle(data):
    """One byte after another of some data."""
    position = {}

    def act(connection):
        at = position.setdefault(connection, 0)
        connection.settimeout(0.2)
        connection.send(data[at:at + 1])
        position[connection] = (at + 1) % len(data)
    return act


CLIENT_HELLO = bytes.fromhex("160301020001") + b"\0\x01\xfc\x03\x03" + bytes(range(256)) * 2


def flooded(session, source, flood, count):
    """A transfer that is under way goes on, one that begins in the flood goes through, the flood is
    dropped and logged."""
    case = test_cuts.Case(session, "image.lime", source)
    with case.receiver("--standing", "--connections", "64") as receiver:
        slow = send(session.kioku, source, receiver.url("image.lime"), case.folder / "early.log",
                    "--rate", str(source.stat().st_size // 4))
        receiver.expect_event("started")
        with flood(receiver, count) as connections, slow:
            with case.send(receiver, receiver.port) as later:
                later.expect(0)
            slow.expect(0)
            receiver.expect_event("done", 2)
            deadline = time.monotonic() + PATIENCE
            while connections.dropped() < len(connections.connections):
                if time.monotonic() > deadline:
                    yield f"only {connections.dropped()} of {len(connections.connections)} " \
                          "connections were dropped"
                    break
                time.sleep(0.2)
        peak = receiver.process.resident()
        if not receiver.of("refused"):
            yield "nobody was logged as refused"
        for folder in receiver.transfers():
            yield from test_cuts.differences(case.local, folder)
        status = receiver.stop()
        if status:
            yield f"the receiver ended with {status}: {receiver.process.said()[-300:]}"
        return f"{len(connections.connections)} connections and {connections.refused} refused at " \
               f"once; the receiver's peak was {peak / MIB:.0f} MiB"


def silent(receiver, count):
    return Flood(receiver, count, lambda: plain(receiver))


def silent_in_tls(receiver, count):
    return Flood(receiver, count, lambda: secured(receiver))


def slow_handshakes(receiver, count):
    return Flood(receiver, count, lambda: plain(receiver), trickle(CLIENT_HELLO))


def slow_hello(receiver, count):
    key = wire.Credentials(f"{wire.encoded(bytes(32))}.{wire.encoded(bytes(16))}")
    return Flood(receiver, count, lambda: secured(receiver), trickle(key.hello()))


FLOODS = {"that never speak": silent, "that never speak in TLS": silent_in_tls,
          "that shake hands a byte a second": slow_handshakes,
          "that say HELLO a byte a second": slow_hello}


def deaf_senders(session, source, count):
    """Senders with a token that never read an answer: others are not held up."""
    case = test_cuts.Case(session, "image.lime", source)
    with case.receiver("--standing") as receiver, contextlib.ExitStack() as stack:
        senders = []
        for _ in range(count):
            connection = stack.enter_context(secured(receiver))
            connection.sendall(wire.Credentials(receiver.key).hello(host="deaf"))
            connection.settimeout(0.5)
            senders.append(connection)
        ending = threading.Event()

        def ask():
            while not ending.is_set():
                for connection in senders:
                    with contextlib.suppress(OSError):
                        connection.send(wire.message(wire.PING) * 2000)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            with case.send(receiver, receiver.port) as sender:
                sender.expect(0)
            receiver.expect_event("done")
        finally:
            ending.set()
            asking.join()
        whole = [folder for folder in receiver.transfers() if not folder.name.startswith("deaf")]
        yield from test_cuts.differences(case.local, whole[0])
        peak = receiver.process.resident()
        if peak > 256 * MIB:
            yield f"the receiver has taken {peak / MIB:.0f} MiB"
        return f"the receiver's peak was {peak / MIB:.0f} MiB"


def stream(data):
    """What an honest sender says after HELLO."""
    return [wire.create("image.lime"), wire.write(data[:1000]), wire.write(data[1000:], 1000),
            wire.close(data), wire.create("image.lime.manifest.partial", 1),
            wire.write(b"{}\n", 0, 1), wire.hole(3, 5000, 1),
            wire.message(wire.CLOSE, struct.pack("<IIQ", 1, wire.ANSWER, 5003) + bytes(32)),
            wire.message(wire.REPLACE, wire.text("image.lime.manifest.partial") +
                         wire.text("image.lime.manifest.json")), wire.end()]


def mutated(generator, messages):
    """A message or two that are damaged, repeated, left out, moved, or that lie about their size."""
    messages = list(messages)
    for _ in range(generator.randrange(1, 3)):
        at = generator.randrange(len(messages))
        how, victim = generator.randrange(6), bytearray(messages[at])
        if how == 0:
            victim[generator.randrange(len(victim))] ^= 1 << generator.randrange(8)
        elif how == 1:
            where = generator.randrange(0, max(1, min(len(victim), 40) - 7))
            victim[where:where + 8] = generator.choice(
                (b"\xff" * 8, bytes(8), b"\x7f" + b"\xff" * 7, generator.randbytes(8)))
        elif how == 2:
            victim *= 2
        elif how == 3:
            victim = victim[:generator.randrange(len(victim))]
        elif how == 4:
            victim = bytearray(messages[generator.randrange(len(messages))])
        else:
            size = generator.randrange(1 << 18)
            victim = bytearray(wire.message(victim[0], generator.randbytes(size)))
        messages[at] = bytes(victim)
    return messages


def mutations(session, source, count):
    """Whatever senders with a token say: the receiver lives, and writes into its folder only."""
    case = test_cuts.Case(session, "image.lime", source)
    generator = random.Random(session.seed)
    outcomes = {}
    with case.receiver("--standing") as receiver:
        beside = {path.name for path in receiver.folder.parent.iterdir()}
        for number in range(count):
            data = generator.randbytes(3000)
            what = one_mutation(receiver, mutated(generator, stream(data)))
            outcomes[what] = outcomes.get(what, 0) + 1
            if not receiver.process.running():
                yield f"mutation {number} of seed {session.seed}: {receiver.process.describe()}"
                return
        with case.send(receiver, receiver.port) as sender:
            sender.expect(0)
        stray = {path.name for path in receiver.folder.parent.iterdir()} - beside - {"sender.log"}
        if stray:
            yield f"there are new files outside the receiver's folder: {stray}"
        for folder in receiver.transfers():
            for path in folder.rglob("*"):
                if path.is_symlink() or not path.is_file() or path.parent != folder:
                    yield f"{path.relative_to(receiver.folder)} is no plain file of a transfer"
        if receiver.stop() not in (0, 1, 3):
            yield receiver.process.describe()
    return ", ".join(f"{number} {what}" for what, number in sorted(outcomes.items()))


def one_mutation(receiver, messages):
    """What became of one sender: the last message of the receiver's that it saw."""
    names = {wire.DONE: "done", wire.REFUSED: "refused"}
    try:
        with secured(receiver) as connection:
            link = wire.Link(connection)
            connection.settimeout(1)
            connection.sendall(wire.Credentials(receiver.key).hello(host="mutant"))
            link.receive()
            with contextlib.suppress(OSError):
                connection.sendall(b"".join(messages))
            while got := link.receive():
                if got[0] in names:
                    return names[got[0]]
        return "closed"
    except TimeoutError:
        return "waited"
    except OSError:
        return "reset"


# --- all of them

def start_all(session):
    small, count = session.image(4 * MIB), FLOOD if session.full else 200
    for title, (behave, options) in receivers().items():
        session.start(f"a receiver that {title}", fails_as, small, behave, options)
    session.start("a receiver with another key", other_key, small)
    session.start("a receiver of TLS 1.2", fails_as, small, never_answers,
                  {"highest": ssl.TLSVersion.TLSv1_2, "trusted": False})
    session.start("a receiver of another protocol", fails_as, small, never_answers,
                  {"alpn": None, "trusted": False})
    for name, banner in {"ssh": b"SSH-2.0-OpenSSH_9.2\r\n", "http": b"HTTP/1.0 400 Bad\r\n\r\n",
                         "silence": b"", "noise": random.Random(6).randbytes(5000)}.items():
        session.start(f"not a receiver, but {name}", other_service, small, banner)
    session.start("a receiver that is always busy", endless, session.image(16 * MIB))
    for title, flood in FLOODS.items():
        session.start(f"{count} connections {title}", flooded, session.image(16 * MIB), flood,
                      count)
    session.start("senders that never read", deaf_senders, session.image(16 * MIB), 20)
    session.start("mutated streams", mutations, small, 1000 if session.full else 60)


def fails_as(session, source, behave, options):
    return (yield from fails(session, source, behave, **options))
