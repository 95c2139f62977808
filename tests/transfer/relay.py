# SPDX-License-Identifier: LGPL-2.1-or-later
"""A TCP relay between a sender and a receiver that treats each connection as badly as a plan says."""

import random
import select
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Callable, Optional

CHUNK = 64 << 10
# What the relay's own sockets hold back is small, so that what it counts is what was sent.
BUFFER = 64 << 10
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 seconds
DRIBBLE = 3000  # bytes that go one by one

# What may befall a connection. Those of QUICK are over at once, or in some hundred milliseconds.
QUICK = ("reset",    # RST to both sides
         "close",    # FIN to both, and nothing arrives any more
         "swallow",  # nothing arrives for a while, on either side, and then RST
         "deaf",     # the same for answers only
         "flip",     # a bit changes on its way
         "stall",    # for a while nothing moves; this breaks no connection
         "dribble",  # some bytes go one by one; this does not, either
         "call")     # something else happens: a function is called
SLOW = ("hang",      # nothing moves any more, and nobody is told
        "mute")      # the same for answers only
UNBROKEN = ("stall", "dribble")


@dataclass
class Fault:
    kind: str
    sent: int               # it befalls after so many bytes of this connection,
    answered: int = 1 << 62  # or so many of answers
    seconds: float = 0.3   # how long swallow, deaf and stall last
    call: Optional[Callable] = None  # when it befalls; when swallow and deaf end


class Way:
    """One direction of a connection."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.read = 0       # bytes so far
        self.waiting = b""  # read, and not yet written
        self.ended = self.closed = False
        self.discarded = False
        self.flip = 0       # of the next byte
        self.single = 0     # bytes that are still to go one by one

    def chunk(self):
        return 1 if self.single or self.flip else CHUNK


class Relay:
    """Forwards each connection to target, (host, port). A fault befalls each; one that breaks nothing
    is followed by the next one. When there are none left, connections are left alone."""

    def __init__(self, target, faults=(), host="127.0.0.1"):
        self.target = target
        self.faults = list(faults)
        self.read = Counter()     # bytes by "sent" and "answered", over all connections
        self.befell = Counter()   # faults by kind
        self.connections = 0      # that came about
        self._lock = threading.Lock()
        self._ending = False
        self._listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._listener.bind((host, 0))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._ending = True
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def broken(self):
        """How many connections a fault has cut."""
        return sum(count for kind, count in self.befell.items() if kind not in UNBROKEN)

    def _accept(self):
        while not self._ending:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client):
        server = socket.socket(self._listener.family if ":" not in self.target[0]
                               else socket.AF_INET6)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            server.setsockopt(socket.SOL_SOCKET, option, BUFFER)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        try:
            server.connect(self.target)
        except OSError:
            reset(client, server)  # as if nobody listened
            return
        with self._lock:
            self.connections += 1
        for end in (client, server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        Connection(self, client, server).run()

    def next_fault(self):
        with self._lock:
            return self.faults.pop(0) if self.faults else None

    def count(self, kind, number=1):
        with self._lock:
            self.read[kind] += number

    def befalls(self, kind):
        with self._lock:
            self.befell[kind] += 1

    @property
    def ending(self):
        return self._ending


class Connection:
    """One connection, in a thread of its own."""

    def __init__(self, relay, client, server):
        self.relay, self.fault = relay, relay.next_fault()
        self.ways = {"sent": Way(client, server), "answered": Way(server, client)}
        self.ends = (client, server)
        self.held_until = 0.0  # nothing is read before
        self.reset_at = None
        self.at_reset = lambda: None
        self.over = False

    def run(self):
        try:
            while not self.over and not self.relay.ending:
                self.judge()
                if not self.over:
                    self.move()
        except OSError:
            reset(*self.ends)
        for end in self.ends:
            end.close()

    def left(self, name):
        """How many bytes may be read of a way before the fault."""
        way = self.ways[name]
        if self.fault:
            return min(way.chunk(), getattr(self.fault, name) - way.read)
        return way.chunk()

    def judge(self):
        """Whether it is time for the fault, or for what follows from it."""
        now = time.monotonic()
        if self.reset_at and now >= self.reset_at:
            self.at_reset()
            reset(*self.ends)
            self.over = True
            return
        for name, way in self.ways.items():
            if self.fault and not self.left(name) and not way.waiting:
                fault, self.fault = self.fault, None
                self.relay.befalls(fault.kind)
                self.befall(fault, way, now)

    def befall(self, fault, way, now):
        if fault.kind == "reset":
            reset(*self.ends)
            self.over = True
        elif fault.kind == "close":
            for end in self.ends:
                end.shutdown(socket.SHUT_WR)
        elif fault.kind in ("swallow", "deaf"):
            self.reset_at, self.at_reset = now + fault.seconds, fault.call or self.at_reset
        elif fault.kind == "stall":
            self.held_until = now + fault.seconds
        elif fault.kind == "hang":
            self.held_until = float("inf")
        elif fault.kind == "flip":
            way.flip = 1 << random.randrange(8)
        elif fault.kind == "dribble":
            way.single = DRIBBLE
        elif fault.call:
            fault.call()
        if fault.kind in ("close", "swallow"):
            self.ways["sent"].discarded = True
        if fault.kind in ("close", "swallow", "deaf", "mute"):
            self.ways["answered"].discarded = True
        if fault.kind in UNBROKEN:
            self.fault = self.relay.next_fault()
            if self.fault:
                self.fault.sent += self.ways["sent"].read
                self.fault.answered += self.ways["answered"].read

    def move(self):
        poll, names = select.poll(), {}
        held = time.monotonic() < self.held_until
        for name, way in self.ways.items():
            for end, event, wanted in (
                    (way.source, select.POLLIN, not (held or way.waiting or way.ended)),
                    (way.sink, select.POLLOUT, bool(way.waiting))):
                if wanted:
                    number = end.fileno()
                    names.setdefault(number, []).append((name, event))
                    poll.register(number, sum(event for _, event in names[number]))
        for number, happened in poll.poll(50):
            for name, event in names[number]:
                if happened & (event | select.POLLHUP | select.POLLERR):
                    (self.take if event == select.POLLIN else self.give)(name)
        if all(way.closed for way in self.ways.values()):
            self.over = True

    def take(self, name):
        way = self.ways[name]
        try:
            data = way.source.recv(self.left(name))
        except BlockingIOError:
            return
        self.relay.count(name, len(data))
        way.read += len(data)
        if not data:
            way.ended = True
        elif way.flip:
            data, way.flip = bytes([data[0] ^ way.flip]), 0
        way.single = max(0, way.single - len(data))
        if not way.discarded:
            way.waiting = data
        self.give(name)

    def give(self, name):
        way = self.ways[name]
        if way.waiting:
            try:
                way.waiting = way.waiting[way.sink.send(way.waiting):]
            except BlockingIOError:
                return
        if way.ended and not way.waiting and not way.closed:
            way.closed = True
            way.sink.shutdown(socket.SHUT_WR)


def reset(*ends):
    for end in ends:
        try:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        except OSError:
            pass
        end.close()


def random_faults(generator, count, kinds, span, call=None):
    """A plan: so many faults of these kinds, each after up to span bytes, some of them in the
    handshake, some while an answer is on its way; call is for those of that kind."""
    for number in range(count):
        kind = kinds[number] if number < len(kinds) else generator.choice(kinds)
        fault = Fault(kind, generator.randrange(span), call=call if kind == "call" else None)
        where = generator.random()
        if kind not in UNBROKEN and where < 0.15:
            fault.sent = generator.randrange(1500)  # in TLS's handshake, or soon after
        elif kind not in UNBROKEN and where < 0.3:
            # The handshake has some 1,000 bytes of answers, an acknowledgement 38.
            fault.answered = generator.randrange(2000)
        yield fault
