# SPDX-License-Identifier: LGPL-2.1-or-later
"""kioku as the requester, against an endpoint that is written from the specification, keeps to it or
does not, and remembers what it was asked."""

import heapq
import itertools
import random
import selectors
import socket
import struct
import subprocess
import threading
import time
from dataclasses import replace

import wire
from processes import environment
from wire import ABORT, DEVICE_PORT, MESSAGE_PORT, PAGE, UNSUPPORTED, Broken, Completion

RAM = [(0x1000, 0x9FC00), (0x100000, 0x500000), (0x100000000, 0x100100000)]
REQUESTER = 0x0100
LIMIT = 90  # seconds, after which something hangs


def memory(address, size):
    """What the target has there: every 8 bytes are a function of their address."""
    first = address & ~7
    words = range(first, address + size + 7 & ~7, 8)
    data = b"".join(struct.pack("<Q", word * 0x9E3779B97F4A7C15 & (1 << 64) - 1) for word in words)
    return data[address - first:][:size]


class Endpoint:
    """Answers by answer(read), a list of (seconds from now, datagram, how it is sent)."""

    def __init__(self, session, answer=None, tags=32, messages=True, port=DEVICE_PORT):
        self.remote, self.local = session.new_addresses()
        self.session, self.answer = session, answer or self.honest
        self.reads, self.problems = [], []
        self.queue, self.numbers = [], itertools.count()
        self.selector = selectors.DefaultSelector()
        self.sockets = {}
        for tag in range(tags):
            self.sockets[tag] = self.open(port + tag, tag)
        if messages:
            self.open(MESSAGE_PORT, None)
        self.folder = session.new_folder()
        self.ranges = self.folder / "ranges"
        self.ranges.write_text("".join(f"{start:08x}-{end - 1:08x} : System RAM\n"
                                       for start, end in RAM))
        self.stopped = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def open(self, port, tag):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        made.bind((self.remote, port))
        self.selector.register(made, selectors.EVENT_READ, tag)
        return made

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopped = True
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()

    # --- what it does

    def run(self):
        while not self.stopped:
            due = self.queue[0][0] - time.monotonic() if self.queue else 0.05
            for key, _ in self.selector.select(min(max(due, 0), 0.05)):
                self.take(key.fileobj, key.data)
            while self.queue and self.queue[0][0] <= time.monotonic():
                _, _, datagram, made, peer = heapq.heappop(self.queue)
                made.sendto(datagram, peer)

    def take(self, made, tag):
        datagram, peer = made.recvfrom(65536)
        if tag is None:
            if datagram == struct.pack("=i", 2):
                made.sendto(struct.pack("<H", REQUESTER), peer)
            return
        try:
            read = wire.decode_read(datagram)
            self.check(read, tag, peer)
        except Broken as problem:
            self.problems.append(str(problem))
            return
        self.reads.append((time.monotonic(), read))
        for delay, answer in self.answer(read):
            heapq.heappush(self.queue, (time.monotonic() + delay, next(self.numbers), answer, made,
                                        peer))

    def check(self, read, tag, peer):
        """What a target, or its bus, would not forgive."""
        if read.address_type:
            raise Broken(f"address type {read.address_type}")
        if read.size < 1 or read.address // PAGE != (read.address + read.size - 1) // PAGE:
            raise Broken(f"{read.size} bytes at {read.address:#x} cross a page")
        if not any(start <= read.address and read.address + read.size <= end for start, end in RAM):
            raise Broken(f"{read.size} bytes at {read.address:#x} are no RAM")
        if read.requester != REQUESTER:
            raise Broken(f"a request of {read.requester:#06x}")
        if (read.tag, peer) != (tag, (self.local, DEVICE_PORT + tag)):
            raise Broken(f"tag {read.tag} from {peer} to the port of tag {tag}")

    @staticmethod
    def honest(read, payload=256):
        return [(0, wire.encode_completion(completion)) for completion in
                wire.complete(read, memory(read.address, read.size), payload)]

    # --- and who asks it

    def url(self, **parameters):
        given = {"local": self.local, "ranges": self.ranges, **parameters}
        return f"nettlp://{self.remote}?" + "&".join(f"{name}={value}"
                                                     for name, value in given.items())

    def kioku(self, *words, limit=LIMIT, **parameters):
        command, *rest = words
        done = subprocess.run([self.session.kioku, command, self.url(**parameters),
                               *map(str, rest)], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=limit, env=environment())
        if done.returncode not in (0, 1, 2, 3) or b"Sanitizer" in done.stderr:
            raise Broken(f"exit status {done.returncode}: {done.stderr.decode()[-500:]}")
        return done

    def read(self, address, size, *words, **parameters):
        return self.kioku("read", hex(address), size, "--physical", "--format", "raw", *words,
                          **parameters)

    def whole(self, address, size, **parameters):
        """Yields why what it reads is not the target's memory."""
        done = self.read(address, size, **parameters)
        if done.returncode or done.stdout != memory(address, size):
            got, wanted = done.stdout, memory(address, size)
            wrong = next((at for at in range(min(len(got), size)) if got[at] != wanted[at]),
                         len(got))
            yield (f"{size} bytes at {address:#x}: exit status {done.returncode}, wrong at "
                   f"{address + wrong:#x}: {done.stderr.decode()[-200:]}")
        yield from self.problems


# --- keeping to the rules

def honest(session):
    """Offsets and sizes, both header forms, every Max_Read_Request_Size."""
    generator = random.Random(session.seed)
    with Endpoint(session) as endpoint:
        for size in (1, 2, 3, 5, 64, 4095, 4096, 4097, 70000):
            start = generator.choice(RAM[1:])[0] + generator.randrange(3 * PAGE)
            yield from endpoint.whole(start, size)
        for limit in (128, 512, 4096):
            endpoint.reads.clear()
            yield from endpoint.whole(RAM[2][0] + 4093, 40000, mrrs=limit)
            largest = max(read.size for _, read in endpoint.reads)
            if not limit // 2 <= largest <= limit:
                yield f"mrrs={limit}: the largest request is of {largest} bytes"


def many_tags(session):
    with Endpoint(session, lambda read: [(0.02, datagram) for _, datagram in
                                         Endpoint.honest(read)], tags=256) as endpoint:
        yield from endpoint.whole(RAM[1][0], 256 << 10, tags=256)
        used = {read.tag for _, read in endpoint.reads}
        if len(used) < 200:
            yield f"only {len(used)} tags of 256 were used"


def only_ram(session):
    """What nobody said to be RAM is not asked for, and said to be missing."""
    with Endpoint(session) as endpoint:
        done = endpoint.read(0xA0000, 64)
        if done.returncode != 1 or b"not in the image" not in done.stderr:
            yield f"a hole: exit status {done.returncode}: {done.stderr.decode()}"
        done = endpoint.read(0x9E000, 0x63000, "--pad")
        if done.returncode != 3 or any(done.stdout[PAGE:-PAGE]) or \
                done.stdout[:PAGE] + done.stdout[-PAGE:] != \
                memory(0x9E000, PAGE) + memory(0x100000, PAGE):
            yield f"around a hole: exit status {done.returncode}: {done.stderr.decode()}"
        yield from endpoint.problems


def found_by_probing(session):
    """Only if it is asked for, and with a warning."""
    def answer(read):
        inside = any(start <= read.address and read.address + read.size <= end
                     for start, end in RAM)
        return Endpoint.honest(read) if inside else [(0, wire.encode_completion(Completion(
            read.tag, remaining=read.size, lower=read.address & 0x7F, status=UNSUPPORTED)))]

    class Probed(Endpoint):
        def check(self, read, tag, peer):
            pass

    RAM_OF_PROBE = (0x200000, 0x400000)
    with Probed(session, answer) as endpoint:
        done = endpoint.read(RAM_OF_PROBE[0], 4096, ranges="probe")
    if done.returncode or done.stdout != memory(RAM_OF_PROBE[0], 4096) or b"guess" not in done.stderr:
        yield f"exit status {done.returncode}: {done.stderr.decode()}"


def identity(session):
    """The id comes from the message service, from the URL, or nothing is sent."""
    with Endpoint(session, messages=False) as endpoint:
        done = endpoint.read(RAM[1][0], 64)
        if done.returncode != 1 or b"requester=" not in done.stderr or endpoint.reads:
            yield f"exit status {done.returncode}, {len(endpoint.reads)} requests: {done.stderr}"
        yield from endpoint.whole(RAM[1][0], 64, requester="01:00")
        yield from endpoint.whole(RAM[1][0], 64, requester="01:00.0")


# --- links and targets that do not keep to them

def shuffled(session):
    """Completions in any order, some twice, requests too."""
    generator = random.Random(session.seed)

    def answer(read):
        datagrams = [datagram for _, datagram in Endpoint.honest(read, 64)]
        if generator.random() < 0.1:
            datagrams += datagrams
        generator.shuffle(datagrams)
        return [(generator.random() * 0.002, datagram) for datagram in datagrams]

    with Endpoint(session, answer) as endpoint:
        yield from endpoint.whole(RAM[1][0] + 12, 300000)


def losing(session):
    generator = random.Random(session.seed)
    with Endpoint(session, lambda read: [] if generator.random() < 0.05 else
                  [part for part in Endpoint.honest(read) if generator.random() > 0.02]) as endpoint:
        yield from endpoint.whole(RAM[1][0], 300000)


def late(session):
    """An answer that comes long after it was given up, when its tag means something else."""
    generator = random.Random(session.seed)
    stale = []

    def answer(read):
        if generator.random() < 0.02:
            stale.append(read)
            return [(generator.uniform(0.05, 1.2), datagram) for _, datagram in
                    Endpoint.honest(read)]
        return Endpoint.honest(read)

    with Endpoint(session, answer, tags=8) as endpoint:
        yield from endpoint.whole(RAM[1][0], 300000, tags=8, timeout=30)
    return f"{len(stale)} late"


def standing_still(session):
    """A target that is busy elsewhere for longer than anyone waits loses nothing for it."""
    stops = list(range(RAM[1][0] + 20000, RAM[1][0] + 300000, 20000))

    def answer(read):
        if stops and read.address >= stops[0]:
            stops.pop(0)
            time.sleep(0.25)
        return Endpoint.honest(read)

    with Endpoint(session, answer, tags=8) as endpoint:
        yield from endpoint.whole(RAM[1][0], 300000, tags=8, timeout=20)


def quarantined(session):
    """What was not answered is asked for by another tag, or by the same with another end."""
    silent = set()

    def answer(read):
        if len(silent) < 12 and read.tag not in {tag for tag, _ in silent}:
            silent.add((read.tag, (read.address + read.size) % 128))
            return []
        return Endpoint.honest(read)

    with Endpoint(session, answer, tags=16) as endpoint:
        yield from endpoint.whole(RAM[1][0], 200000, tags=16, timeout=20, quarantine=600000)
        counts = [(read.tag, (read.address + read.size) % 128) for _, read in endpoint.reads]
    for key in silent:
        if counts.count(key) > 1:
            yield f"tag {key[0]} was asked again for what ends at {key[1]} of 128"


LIES = {
    "length": lambda c: wire.encode_completion(c, words=len(c.data) // 4 + 1),
    "less than it says": lambda c: wire.encode_completion(c)[:-4],
    "tag": lambda c: wire.encode_completion(replace(c, tag=(c.tag + 1) % 256)),
    "lower address": lambda c: wire.encode_completion(replace(c, lower=(c.lower + 4) % 128)),
    "byte count": lambda c: wire.encode_completion(replace(c, remaining=c.remaining + 64)),
    "requester": lambda c: wire.encode_completion(replace(c, requester=0x0200)),
    "type": lambda c: wire.encode_completion(c, kind=0x40),
    "no data": lambda c: wire.encode_completion(replace(c, data=b"")),
    "too much": lambda c: wire.encode_completion(replace(c, data=c.data + bytes(4096))),
}


def lies(session, how):
    """A wrong answer before the right one is not taken, and does not keep that one out."""
    def answer(read):
        datagrams = []
        for completion in wire.complete(read, memory(read.address, read.size), 256):
            wrong = replace(completion, data=bytes(byte ^ 255 for byte in completion.data))
            datagrams += [LIES[how](wrong), wire.encode_completion(completion)]
        return [(0, datagram) for datagram in datagrams]

    with Endpoint(session, answer, tags=32) as endpoint:
        yield from endpoint.whole(RAM[1][0], 40000, tags=32)


def only_lies(session):
    """Nothing of a target that always lies is believed, and it does not take for ever."""
    generator = random.Random(session.seed)

    def answer(read):
        how = generator.choice(list(LIES))
        return [(0, LIES[how](completion)) for completion in
                wire.complete(read, bytes(read.size), 256)]

    with Endpoint(session, answer) as endpoint:
        done = endpoint.read(RAM[1][0], 4096, timeout=20)
    if done.returncode != 1 or done.stdout:
        yield f"exit status {done.returncode}, {len(done.stdout)} bytes"


def noise(session):
    """Random bytes, at random times, beside right answers."""
    generator = random.Random(session.seed)

    def answer(read):
        junk = [(generator.random() * 0.001, generator.randbytes(generator.randrange(300)))
                for _ in range(3)]
        return junk + Endpoint.honest(read)

    with Endpoint(session, answer) as endpoint:
        yield from endpoint.whole(RAM[1][0], 100000)


def refused(session, status, word):
    """All of it: something is in the way. Some of it: that is missing, and nothing else."""
    def answer(read):
        return [(0, wire.encode_completion(Completion(
            read.tag, remaining=read.size, lower=read.address & 0x7F, status=status)))]

    with Endpoint(session, answer) as endpoint:
        done = endpoint.read(RAM[1][0], 4096)
    if done.returncode != 1 or b"IOMMU" not in done.stderr or word not in done.stderr:
        yield f"exit status {done.returncode}: {done.stderr.decode()}"
    hole = range(RAM[1][0] + 3 * PAGE, RAM[1][0] + 5 * PAGE)
    with Endpoint(session, lambda read: answer(read) if read.address in hole
                  else Endpoint.honest(read)) as endpoint:
        done = endpoint.read(RAM[1][0], 8 * PAGE, "--pad")
        wanted = bytearray(memory(RAM[1][0], 8 * PAGE))
        wanted[3 * PAGE:5 * PAGE] = bytes(2 * PAGE)
        if done.returncode != 3 or done.stdout != wanted:
            yield f"a hole: exit status {done.returncode}: {done.stderr.decode()}"
        yield from endpoint.problems


def poisoned(session):
    bad = RAM[1][0] + 2 * PAGE

    def answer(read):
        is_bad = read.address <= bad < read.address + read.size
        return [(0, wire.encode_completion(replace(completion, poisoned=is_bad)))
                for completion in wire.complete(read, memory(read.address, read.size), 256)]

    with Endpoint(session, answer) as endpoint:
        done = endpoint.read(RAM[1][0], 4 * PAGE, "--pad")
    if done.returncode != 3 or any(done.stdout[2 * PAGE:3 * PAGE]):
        yield f"exit status {done.returncode}: {done.stderr.decode()}"


def silent(session):
    """Nobody; somebody who never answers; and one place that never answers."""
    with Endpoint(session, lambda read: []) as endpoint:
        done = endpoint.read(RAM[1][0], 64)
        if done.returncode != 1 or b"does not answer" not in done.stderr:
            yield f"silence: exit status {done.returncode}: {done.stderr.decode()}"
    with Endpoint(session, tags=0) as endpoint:
        done = endpoint.read(RAM[1][0], 64)
        if done.returncode != 1 or b"nobody listens" not in done.stderr:
            yield f"nobody: exit status {done.returncode}: {done.stderr.decode()}"
    hole = range(RAM[1][0] + 2 * PAGE, RAM[1][0] + 3 * PAGE)
    with Endpoint(session, lambda read: [] if read.address in hole
                  else Endpoint.honest(read)) as endpoint:
        done = endpoint.read(RAM[1][0], 4 * PAGE, "--pad", timeout=20)
        if done.returncode != 3 or done.stdout[3 * PAGE:] != memory(hole[-1] + 1, PAGE):
            yield f"one place: exit status {done.returncode}: {done.stderr.decode()}"


def usage(session):
    """Mistakes in a URL are said before anything is sent."""
    with Endpoint(session) as endpoint:
        for parameters, word in (({"tags": 0}, b"tags"), ({"tags": 257}, b"tags"),
                                 ({"mrrs": 500}, b"mrrs"), ({"mps": 8192}, b"mps"),
                                 ({"local": "host"}, b"local"), ({"requester": "1"}, b"requester"),
                                 ({"ranges": "/nowhere"}, b"/nowhere"), ({"speed": 1}, b"speed"),
                                 ({"timeout": "soon"}, b"timeout"), ({"port": 80}, b"port"),
                                 ({"local": endpoint.remote}, b"own address")):
            done = endpoint.read(RAM[1][0], 64, **parameters)
            if done.returncode != 1 or word not in done.stderr:
                yield f"{parameters}: exit status {done.returncode}: {done.stderr.decode()}"
        if endpoint.reads:
            yield f"{len(endpoint.reads)} requests were sent"
    for where in ("nettlp:", "nettlp://", "nettlp://host?local=127.0.0.1", "nettlp://::1"):
        done = subprocess.run([session.kioku, "info", where], capture_output=True, env=environment())
        if done.returncode != 1 or not done.stderr.startswith(b"kioku: error: cannot open"):
            yield f"{where}: exit status {done.returncode}: {done.stderr.decode()}"


def start_all(session):
    session.start("requester: offsets, sizes and headers", honest)
    session.start("requester: 256 tags at once", many_tags)
    session.start("requester: nothing but RAM", only_ram)
    session.start("requester: ranges=probe", found_by_probing)
    session.start("requester: its id", identity)
    session.start("requester: answers in any order, and twice", shuffled)
    session.start("requester: answers are lost", losing)
    session.start("requester: answers are late", late)
    session.start("requester: a target that stands still", standing_still)
    session.start("requester: quarantine", quarantined)
    for how in LIES:
        session.start(f"requester: a wrong {how}", lies, how)
    session.start("requester: nothing but lies", only_lies)
    session.start("requester: noise", noise)
    session.start("requester: Unsupported Request", refused, UNSUPPORTED, b"Unsupported Request")
    session.start("requester: Completer Abort", refused, ABORT, b"Completer Abort")
    session.start("requester: poisoned data", poisoned)
    session.start("requester: silence", silent)
    session.start("requester: mistakes", usage)
