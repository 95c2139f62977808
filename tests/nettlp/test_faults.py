# SPDX-License-Identifier: LGPL-2.1-or-later
"""The faults that kioku serve makes on demand: each is there, is counted, and is the only one."""

import wire
from serving import Serve, differences
from wire import Client, Read

HIGH = 0x100000


def start_all(session):
    session.start("--latency and --jitter delay and change nothing else", latency)
    session.start("--loss loses all, or some, the same ones for a seed", loss)
    session.start("--duplicate doubles requests and completions", duplicate)
    session.start("--reorder lets completions overtake each other", reorder)
    session.start("--late answers come, if late", late)
    for kind, status in (("ur", wire.UNSUPPORTED), ("ca", wire.ABORT), ("crs", wire.RETRY)):
        session.start(f"--error {kind}", error, kind, status)
    session.start("--error poison marks what it spoils", poison)
    for field in FIELDS:
        session.start(f"--corrupt {field}", corrupt, field)
    session.start("--corrupt picks one field of several", corrupt_several)
    session.start("all faults at once: every byte is right in the end", everything)


def flight(client, count, size=16):
    """Sends reads for tags 0 to count - 1, one after the other, and answers none."""
    for tag in range(count):
        client.send(wire.encode_read(Read(HIGH + tag * 4096, size, tag)), tag)


def latency(session):
    with Serve(session, session.image, "--latency", "300ms", "--jitter", "20ms") as serve, \
            Client(serve.remote, serve.local, range(16)) as client:
        flight(client, 16, 1000)
        for tag in range(16):
            read = Read(HIGH + tag * 4096, 1000, tag)
            found, order = wire.Assembly(read), []
            while not found.is_done():
                completion = wire.decode_completion(client.receive(tag))
                found.add(completion)
                order.append(completion.sequence)
            if found.memory() != session.memory.read(read.address, 1000):
                yield f"tag {tag}: the bytes are others"
            if order != sorted(order):
                yield f"tag {tag}: completions of one request overtake each other: {order}"
        summary = serve.stop()
    yield from differences(summary, requests=16, dropped=0, duplicated=0, reordered=0, late=0)
    if not 2 <= summary["at_once"] <= 16:
        yield f"at_once is {summary['at_once']}"


def answered(session, seed, percent, count):
    """Which of some reads, sent one by one, are answered, and what was counted."""
    with Serve(session, session.image, "--loss", percent, "--seed", seed) as serve, \
            Client(serve.remote, serve.local, range(count)) as client:
        flight(client, count)
        serve.settle(count)
        summary, found = serve.stop(), []
        for tag in range(count):
            client.socket(tag).setblocking(False)  # the endpoint has ended: all has come
            try:
                found.append(wire.decode_completion(client.receive(tag)).tag)
            except BlockingIOError:
                pass
    return found, summary


def loss(session):
    found, summary = answered(session, 1, 100, 20)
    if found:
        yield f"tags {found} are answered"
    yield from differences(summary, dropped=20, requests=0)
    # Whether each is lost depends on the order, so that all come to one socket.
    runs = []
    for seed in (5, 5, 6):
        with Serve(session, session.image, "--loss", 30, "--seed", seed) as serve, \
                Client(serve.remote, serve.local) as client:
            for tag in range(200):
                client.send(wire.encode_read(Read(HIGH, 16, tag)), 0)
            serve.settle(200)
            summary = serve.stop()
            client.socket(0).setblocking(False)
            runs.append([])
            try:
                while True:
                    runs[-1].append(wire.decode_completion(client.receive()).tag)
            except BlockingIOError:
                pass
        if len(runs[-1]) + summary["dropped"] != 200:
            yield f"{len(runs[-1])} came and {summary['dropped']} are counted as lost, of 200"
    if runs[0] != runs[1]:
        yield "a seed does not give the same losses again"
    if runs[0] == runs[2] or not 50 < len(runs[0]) < 150:
        yield f"{len(runs[0])} of 200 came, with one seed, and {len(runs[2])} with another"


def duplicate(session):
    with Serve(session, session.image, "--duplicate", 100) as serve, \
            Client(serve.remote, serve.local, (0,)) as client:
        client.send(wire.encode_read(Read(HIGH, 600)))
        found = [client.receive() for _ in range(2 * 2 * 3)]
        if any(found.count(datagram) != 2 for datagram in found):
            yield "copies are not alike"
        tlps = [datagram[6:] for datagram in found]
        if len(set(found)) != 6 or len(set(tlps)) != 3:
            yield f"{len(set(found))} datagrams with {len(set(tlps))} contents, and not 6 with 3"
        yield from differences(serve.stop(), requests=2, completions=6, duplicated=7)


def reorder(session):
    with Serve(session, session.image, "--reorder", 50) as serve, \
            Client(serve.remote, serve.local, (0,)) as client:
        overtaken = 0
        for _ in range(50):
            client.send(wire.encode_read(Read(HIGH, 2048)))
            found, order = wire.Assembly(Read(HIGH, 2048)), []
            while not found.is_done():
                completion = wire.decode_completion(client.receive())
                found.add(completion)
                order.append(completion.sequence)
            overtaken += order != sorted(order)
            if found.memory() != session.memory.read(HIGH, 2048):
                yield "the bytes are others"
        summary = serve.stop()
    if overtaken < 25:
        yield f"in {overtaken} of 50 answers completions were overtaken"
    if not 100 < summary["reordered"] < 300:
        yield f"{summary['reordered']} of 400 were held back"
    yield from differences(summary, completions=400, dropped=0, duplicated=0)


def late(session):
    with Serve(session, session.image, "--late", "50:200ms") as serve, \
            Client(serve.remote, serve.local, range(64)) as client:
        flight(client, 64)
        for tag in range(64):
            if wire.decode_completion(client.receive(tag)).tag != tag:
                yield "an answer is for another tag"
        summary = serve.stop()
    if not 16 < summary["late"] < 48:
        yield f"{summary['late']} of 64 were late"
    yield from differences(summary, requests=64, completions=64)


def error(session, kind, status):
    before = set()
    with Serve(session, session.image, "--error", f"100:{kind}") as serve, \
            Client(serve.remote, serve.local, (0,)) as client:
        for _ in range(50):
            found = client.answer(Read(HIGH, 1024))
            if found.status != status:
                yield f"status {found.status} and not {status}"
            before.add(len(found.parts))
        yield from differences(serve.stop(), requests=50, failed=50, bytes=0)
    if before != {0, 1, 2, 3}:
        yield f"before it fails, {before} completions came"


def poison(session):
    with Serve(session, session.image, "--error", "100:poison") as serve, \
            Client(serve.remote, serve.local, (0,)) as client:
        for _ in range(20):
            client.send(wire.encode_read(Read(HIGH, 1024)))
            found = [wire.decode_completion(client.receive()) for _ in range(4)]
            wrong = [completion.data != session.memory.read(HIGH + 1024 - completion.remaining, 256)
                     for completion in found]
            if wrong != [completion.poisoned for completion in found] or sum(wrong) != 1:
                yield f"wrong: {wrong}, marked: {[completion.poisoned for completion in found]}"
        yield from differences(serve.stop(), failed=20)


# What is wrong with an answer to Read(HIGH, 8, 0): of a datagram, whether it is that.
FIELDS = {
    "length": lambda good, bad: good[6:8] == bad[6:8] and good[10:] == bad[10:],
    "tag": lambda good, bad: good[6:16] + good[17:] == bad[6:16] + bad[17:] and good != bad,
    "status": lambda good, bad: bad[12] >> 5 != 0 and good[13:] == bad[13:],
    "address": lambda good, bad: good[6:17] == bad[6:17] and good[17] != bad[17] < 128,
    "requester": lambda good, bad: good[14:16] != bad[14:16] and good[16:] == bad[16:],
    "type": lambda good, bad: good[6] != bad[6] and good[7:] == bad[7:],
    "count": lambda good, bad: bad[12] >> 5 == 0 and good[14:] == bad[14:],
    "short": lambda good, bad: len(bad) < len(good) and good.startswith(bad),
}


def spoiled(session, fields):
    good = next(wire.complete(Read(HIGH, 8), session.memory.read(HIGH, 8)))
    with Serve(session, session.image, "--corrupt", f"100:{fields}", "--no-clock") as serve, \
            Client(serve.remote, serve.local, (0,)) as client:
        found = []
        for _ in range(100):
            client.send(wire.encode_read(Read(HIGH, 8)))
            found.append(client.receive())
        summary = serve.stop()
    return wire.encode_completion(good), found, summary


def corrupt(session, field):
    good, found, summary = spoiled(session, field)
    for bad in found:
        if bad == good or not FIELDS[field](good, bad):
            yield f"{bad.hex()} is not {good.hex()} with another {field}"
    yield from differences(summary, corrupted=100, completions=100)


def corrupt_several(session):
    good, found, _ = spoiled(session, "tag,short")
    kinds = {next((field for field in ("tag", "short") if FIELDS[field](good, bad)), None)
             for bad in found}
    if kinds != {"tag", "short"}:
        yield f"the kinds are {kinds}"


def everything(session):
    """A requester that asks again, and believes only what answers its question as it must."""
    options = ["--loss", 1, "--duplicate", 2, "--reorder", 2, "--late", "2:50ms", "--split",
               "--jitter", "100us", "--error", "2:ur,ca,crs,poison", "--seed", session.seed]
    tags = iter([number % 256 for number in range(100000)])
    with Serve(session, session.image, *options) as serve, \
            Client(serve.remote, serve.local, range(256)) as client:
        for page in range(100):
            address, found = HIGH + page * 2048, None
            while found is None:
                found = try_once(client, Read(address, 2048, next(tags), requester=0x100 + page))
            if found != session.memory.read(address, 2048):
                yield f"the bytes at {address:#x} are others"
        summary = serve.stop()
    for name in ("dropped", "duplicated", "reordered", "late", "failed"):
        if summary[name] == 0:
            yield f"{name} is 0"


def try_once(client, read):
    """The memory, or None if it has to be asked for again. Answers to others are skipped."""
    client.socket(read.tag).settimeout(0.1)
    client.send(wire.encode_read(read), read.tag)
    found = wire.Assembly(read)
    while not found.is_done():
        try:
            completion = wire.decode_completion(client.receive(read.tag))
        except TimeoutError:
            return None
        if completion.requester != read.requester:
            continue
        if completion.status != wire.SUCCESSFUL or completion.poisoned:
            return None
        found.add(completion)
    return found.memory()
