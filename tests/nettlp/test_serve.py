# SPDX-License-Identifier: LGPL-2.1-or-later
"""What kioku serve answers, and what it does not, over a link without faults."""

import random
import signal
import struct
import subprocess

import wire
from processes import PATIENCE, environment
from serving import Serve, differences
from wire import Client, Read

LOW, LOW_END = 0x1000, 0x9FC00  # the first range of the image, see sample.py
HIGH = 0x100000  # and where the second one begins


def start_all(session):
    session.start("every kind of read gives the image's bytes", reads)
    for payload, boundary, split in ((128, 64, 0), (256, 64, 1), (512, 128, 1), (4096, 64, 0),
                                     (4096, 128, 1)):
        options = ["--mps", payload, "--rcb", boundary, *(["--split"] if split else [])]
        session.start(f"completions follow the rules: {' '.join(map(str, options))}", rules,
                      payload, boundary, split, options)
    session.start("a read as libtlp sends it for 4096 bytes is answered", address_type)
    session.start("a read of nothing is answered", nothing)
    session.start("what is no RAM is refused and counted", outside)
    session.start("--ranges says what is RAM", ranges)
    session.start("writes, broken requests and requests across a page get no answer", malformed)
    session.start("datagrams of noise do no harm", noise)
    session.start("sequence and timestamp are those of the adapter, or none", headers)
    session.start("every tag has its port, and --tags limits them", tags)
    session.start("answers go where the adapter sends them, or back", ports)
    session.start("--client, --completer and requests of any requester", identities)
    session.start("the message service tells what it must", messages)
    session.start("--iommu refuses everything", iommu)
    session.start("a file that changes is read as it is", changing)
    session.start("a raw file whose arrangement nobody knows needs --map", placements)
    session.start("it ends on signals and says what came", ends)
    session.start("what cannot be served is said", usage)


def reads(session):
    generator = random.Random(session.seed)
    with Serve(session, session.image) as serve, \
            Client(serve.remote, serve.local, range(4)) as client:
        count = 20000 if session.full else 2000
        for number in range(count):
            start = generator.choice((LOW, HIGH)) + generator.randrange(0x90000)
            size = generator.choice((1, 2, 3, 4, 5, 8, 63, 64, 65, 256, 257, 512, 4096))
            size = min(size, wire.PAGE - start % wire.PAGE)
            if client.read(start, size, number % 4) != session.memory.read(start, size):
                yield f"{size} bytes at {start:#x} are others"
        summary = serve.stop()
    yield from differences(summary, requests=count, outside=0, absent=0, translated=0, malformed=0,
                           unsent=0)


def rules(session, payload, boundary, split, options):
    generator = random.Random(session.seed)
    numbers = set()
    with Serve(session, session.image, *options) as serve, \
            Client(serve.remote, serve.local, (0,)) as client:
        for _ in range(500):
            start = HIGH + generator.randrange(0x10000)
            size = min(generator.randrange(1, 4097), wire.PAGE - start % wire.PAGE)
            found = client.answer(Read(start, size), payload, boundary)
            if found.memory() != session.memory.read(start, size):
                yield f"{size} bytes at {start:#x} are others"
            words = (start % 4 + size + 3) // 4 * 4
            if not split and words <= payload and len(found.parts) != 1:
                yield f"{size} bytes at {start:#x} are in {len(found.parts)} completions"
            numbers.add(len(client.answer(Read(HIGH, 128 * 3), payload, boundary).parts))
    if split and len(numbers) < 2:
        yield "a read is never split in another way"


def address_type(session):
    with Serve(session, session.image) as serve, Client(serve.remote, serve.local, (0,)) as client:
        found = client.answer(Read(HIGH, 4096, address_type=1))
        if found.memory() != session.memory.read(HIGH, 4096):
            yield "the bytes are others"
        yield from differences(serve.stop(), requests=1, translated=1, bytes=4096)


def nothing(session):
    with Serve(session, session.image) as serve, Client(serve.remote, serve.local, (0,)) as client:
        client.send(wire.encode_read(Read(HIGH + 0x40, 0)))
        found = wire.decode_completion(client.receive())
        if (found.status, found.data, found.remaining, found.lower) != (0, bytes(4), 1, 0x40):
            yield f"the answer is {found}"
        yield from differences(serve.stop(), requests=1, bytes=0)


def refused(client, address, size, status):
    found = client.answer(Read(address, size))
    if found.status != status or found.parts:
        yield f"{size} bytes at {address:#x}: status {found.status} and not {status}"


def outside(session):
    end = HIGH + (4 << 20) - 0x9EC00
    with Serve(session, session.image) as serve, Client(serve.remote, serve.local, (0,)) as client:
        addresses = (0, LOW - 2, LOW_END - 1, LOW_END, end - 1, end, 1 << 32, (1 << 64) - 4096)
        for address in addresses:
            yield from refused(client, address, 2, wire.UNSUPPORTED)
        for address in (LOW, LOW_END - 2, end - 2):
            if client.read(address, 2) != session.memory.read(address, 2):
                yield f"the bytes at {address:#x} are others"
        yield from differences(serve.stop(), outside=len(addresses), absent=0)


IOMEM = """00000000-00000fff : Reserved
00001000-0000f7ff : System RAM
00100000-001fffff : System RAM
  00100000-0010ffff : Kernel code
00200000-002fffff : 0000:00:02.0
100000000-1ffffffff : System RAM
"""


def ranges(session):
    listing = session.new_folder() / "iomem"
    listing.write_text(IOMEM)
    with Serve(session, session.image, "--ranges", listing) as serve, \
            Client(serve.remote, serve.local, (0,)) as client:
        for address in (0x1000, 0xF7FE, 0x100000, 0x1FFFFE):
            if client.read(address, 2) != session.memory.read(address, 2):
                yield f"the bytes at {address:#x} are others"
        for address in (0xFFE, 0xF7FF, 0xF800, 0xFFFFE, 0x200000, 0x2FFFFE):
            yield from refused(client, address, 2, wire.UNSUPPORTED)
        yield from refused(client, 1 << 32, 8, wire.UNSUPPORTED)  # RAM, that the image lacks
        yield from differences(serve.stop(), outside=6, absent=1)


def malformed(session):
    good = wire.encode_read(Read(HIGH, 8))
    bad = [good[:size] for size in range(len(good))]
    bad.append(wire.header() + wire.encode_request(Read(HIGH + 0xFFF, 2)))
    bad.append(wire.header() + wire.encode_request(Read(HIGH + 4, 4096)))
    for kind in (0x01, 0x21, 0x02, 0x42, 0x04, 0x44, 0x05, 0x0A, 0x4A, 0x34, 0x74, 0xFF):
        bad.append(wire.header() + wire.encode_request(Read(HIGH, 8), kind))
    bad.append(good[:13] + b"\x0f" + good[14:])  # two words, and nothing of the last
    writes = [wire.header() + wire.encode_request(Read(HIGH, 8), kind, b"overwrite"[:8])
              for kind in (wire.WRITE, wire.WRITE_LONG)]
    writes.append(wire.header() + wire.encode_request(Read(HIGH, 4096), wire.WRITE, bytes(4096)))
    with Serve(session, session.image) as serve, Client(serve.remote, serve.local, (0,)) as client:
        for datagram in bad + writes:
            client.send(datagram)
        # Whatever else had been answered would come before this.
        if client.read(HIGH, 64) != session.memory.read(HIGH, 64):
            yield "the bytes are others"
        yield from differences(serve.stop(), requests=1, malformed=len(bad), writes=len(writes))


def noise(session):
    generator = random.Random(session.seed)
    good = wire.encode_read(Read(HIGH + 5, 700))
    with Serve(session, session.image) as serve, \
            Client(serve.remote, serve.local) as sender, \
            Client(serve.remote, serve.local, (9,)) as client:
        for number in range(50000 if session.full else 5000):
            datagram = bytearray(good)
            if number % 2:
                datagram = bytearray(generator.randbytes(generator.randrange(1500)))
            for _ in range(generator.randrange(3)):
                if datagram:
                    datagram[generator.randrange(len(datagram))] = generator.randrange(256)
            sender.send(bytes(datagram), generator.randrange(256),
                        wire.MESSAGE_PORT if number % 50 == 0 else None)
            if number % 500 == 0 and client.read(HIGH, 64, 9) != session.memory.read(HIGH, 64):
                yield "the bytes are others"
        serve.stop()


def headers(session):
    for options in ((), ("--no-clock",)):
        with Serve(session, session.image, *options) as serve, \
                Client(serve.remote, serve.local, range(8)) as client:
            seen = []
            for tag in range(8):
                client.send(wire.encode_read(Read(HIGH, 600, tag), sequence=77, timestamp=88), tag)
                seen += [wire.decode_completion(client.receive(tag)) for _ in range(3)]
            sequences = [completion.sequence for completion in seen]
            stamps = [completion.timestamp for completion in seen]
            if sequences != ([0] * 24 if options else list(range(24))):
                yield f"{options}: sequence {sequences}"
            ticks = [(later - sooner) % 2**32 for sooner, later in zip(stamps, stamps[1:])]
            if options and any(stamps) or not options and max(ticks) > 2**31:
                yield f"{options}: timestamps {stamps}"


def tags(session):
    with Serve(session, session.image) as serve, \
            Client(serve.remote, serve.local, range(256)) as client:
        for tag in range(256):
            if client.read(HIGH + tag, 16, tag) != session.memory.read(HIGH + tag, 16):
                yield f"tag {tag}: the bytes are others"
    with Serve(session, session.image, "--tags", 3) as serve, \
            Client(serve.remote, serve.local, (0, 2)) as client:
        client.read(HIGH, 4, 0)
        client.read(HIGH, 4, 2)
        if serve.ready["tags"] != 3:
            yield f"it says that there are {serve.ready['tags']} tags"
        with wire.socket.socket(type=wire.socket.SOCK_DGRAM) as fourth:
            fourth.bind((serve.local, 0))
            fourth.settimeout(PATIENCE)
            fourth.connect((serve.remote, wire.DEVICE_PORT + 3))
            fourth.send(b"x")
            try:
                fourth.recv(1)
                yield "a port is open that is for no tag"
            except ConnectionRefusedError:
                pass


def ports(session):
    with Serve(session, session.image, "--tags", 8) as serve, \
            Client(serve.remote, serve.local, (1, 5)) as client, \
            Client(serve.remote, serve.local) as single:
        # From one tag's port, for another tag, to a third one's: only the tag counts.
        client.send(wire.encode_read(Read(HIGH, 4, 5)), 1, wire.DEVICE_PORT + 3)
        if wire.decode_completion(client.receive(5)).tag != 5:
            yield "the answer is for another tag"
        # From any other port: back to it, from where it came to.
        for port in (0, 3):
            single.send(wire.encode_read(Read(HIGH, 4, 7)), 0, wire.DEVICE_PORT + port)
            if wire.decode_completion(single.receive(0, wire.DEVICE_PORT + port)).tag != 7:
                yield "the answer is for another tag"
        # Of a tag that has no port here.
        single.send(wire.encode_read(Read(HIGH, 4, 200)), 0, wire.DEVICE_PORT + 2)
        if wire.decode_completion(single.receive(0, wire.DEVICE_PORT + 2)).tag != 200:
            yield "the answer is for another tag"
        yield from differences(serve.stop(), requests=4, completions=4)


def identities(session):
    other = ".".join([*session.new_addresses()[0].split(".")[:3], "250"])
    with Serve(session, session.image, "--client", other, "--completer", "12:34") as serve, \
            Client(serve.remote, serve.local, (3,)) as stranger, \
            Client(serve.remote, other, (3,)) as client:
        stranger.send(wire.encode_read(Read(HIGH, 4, 3)), 3)
        client.send(wire.encode_read(Read(HIGH, 4, 3, requester=0xABCD)), 3)
        found = wire.decode_completion(client.receive(3))
        if (found.completer, found.requester, found.tag) != (0x1234, 0xABCD, 3):
            yield f"the answer is {found}"
        yield from differences(serve.stop(), requests=1, foreign=1)


def messages(session):
    with Serve(session, session.image, "--requester", "1a:2b") as serve, \
            Client(serve.remote, serve.local) as client:
        if not serve.ready["messages"]:
            yield "it says that there are no messages"
        if client.message(2, serve.local) != struct.pack("<H", 0x1A2B):
            yield "the device id is another"
        bar4, = struct.unpack("<Q", client.message(1, serve.local))
        if bar4 == 0 or bar4 % (256 << 20):
            yield f"BAR4 is at {bar4:#x}, which is none of 256 MiB"
        vectors = list(struct.iter_unpack("<QI", client.message(3, serve.local)))
        if len(vectors) != 16 or any(address >> 20 != 0xFEE for address, _ in vectors):
            yield f"the MSI-X table is {vectors}"
        # What is not understood gets no answer, and breaks nothing.
        for nonsense in (b"", b"\x02", struct.pack("<i", 4), struct.pack("<q", 2)):
            client.send(nonsense, 0, wire.MESSAGE_PORT)
        client.message(2, serve.local)
        yield from differences(serve.stop(), messages=4, malformed=4)
    with Serve(session, session.image, "--no-messages") as serve, \
            Client(serve.remote, serve.local) as client:
        try:
            client.message(2, serve.local)
            yield "the service that is not there answers"
        except ConnectionRefusedError:
            pass
        client.read(HIGH, 4)


def iommu(session):
    for name, status in (("ur", wire.UNSUPPORTED), ("abort", wire.ABORT)):
        with Serve(session, session.image, "--iommu", name) as serve, \
                Client(serve.remote, serve.local, (0,)) as client:
            for address, size in ((HIGH, 4), (HIGH, 4096), (0, 4)):
                yield from refused(client, address, size, status)
            yield from differences(serve.stop(), requests=3, completions=3, bytes=0, outside=1)


def changing(session):
    memory = session.new_folder() / "ram"
    memory.write_bytes(bytes(1 << 20))
    with Serve(session, memory) as serve, Client(serve.remote, serve.local, (0,)) as client:
        if client.read(0x8000, 512) != bytes(512):
            yield "it is not empty at first"
        for number in range(1, 50):
            with open(memory, "r+b") as file:
                file.seek(0x8000)
                file.write(bytes([number]) * 512)
            if client.read(0x8000, 512) != bytes([number]) * 512:
                yield f"what is written in turn {number} is not seen"


def placements(session):
    memory, gib = session.new_folder() / "ram", 1 << 30
    with open(memory, "wb") as file:
        file.truncate(3 * gib)
        for at, text in ((0x1000, b"low"), (2 * gib + 0x1000, b"high")):
            file.seek(at)
            file.write(text)
    done = subprocess.run([session.kioku, "serve", memory, "--nettlp", session.new_addresses()[0]],
                          env=environment(), capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode != 1:
        yield f"without --map: exit status {done.returncode}: {done.stderr}"
    maps = ["--map", "0-0x7fffffff@0", "--map", "0x100000000-0x13fffffff@0x80000000"]
    with Serve(session, memory, *maps) as serve, Client(serve.remote, serve.local, (0,)) as client:
        if client.read(0x1000, 3) != b"low" or client.read(0x100001000, 4) != b"high":
            yield "the bytes are others"
        yield from refused(client, 0x80001000, 4, wire.UNSUPPORTED)


def ends(session):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with Serve(session, session.image) as serve, \
                Client(serve.remote, serve.local, (0,)) as client:
            client.read(HIGH, 1024)
            yield from differences(serve.stop(number), requests=1, completions=4, bytes=1024,
                                   at_once=1)
    # For people, all of it is on stderr.
    remote, _ = session.new_addresses()
    log = session.new_folder() / "log"
    with open(log, "wb") as errors, subprocess.Popen(
            [session.kioku, "serve", session.image, "--nettlp", remote, "--stats"],
            env=environment(), stdout=subprocess.PIPE, stderr=errors) as process:
        while b"ready" not in log.read_bytes() and process.poll() is None:
            pass
        process.terminate()
        output = process.communicate(timeout=PATIENCE)[0]
    said = log.read_text()
    if process.returncode or output or f"ready at {remote}" not in said:
        yield f"exit status {process.returncode}, output {output}: {said}"
    if "0  requests" not in said or "stats: " not in said:
        yield f"the end is not told: {said}"


def usage(session):
    remote, _ = session.new_addresses()
    there = ["--nettlp", remote]
    empty = session.new_folder() / "iomem"
    empty.write_text("00000000-ffffffff : Reserved\n")
    with Serve(session, session.image) as serve:
        cases = [(1, ["--nettlp", serve.remote]), (1, ["--nettlp", "192.0.2.1"]), (2, []),
                 (2, ["--nettlp", "localhost"]), (2, ["--nettlp", "::1"]),
                 (1, [*there, "--ranges", empty]), (1, [*there, "--ranges", "/nonexistent"]),
                 (2, [*there, "--client", "nobody"]), (2, [*there, "--mps", "100"])]
        for status, options in cases:
            done = subprocess.run([session.kioku, "serve", session.image, *options],
                                  env=environment(), capture_output=True, text=True,
                                  timeout=PATIENCE)
            if done.returncode != status or done.stdout or "kioku: error: " not in done.stderr:
                yield f"{options}: exit status {done.returncode}: {done.stdout}{done.stderr}"
