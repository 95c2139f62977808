# SPDX-License-Identifier: LGPL-2.1-or-later
"""Links that break: what arrives is what `kioku convert` writes here, however often they do."""

import filecmp
import json
import random
import signal
import threading
import time

import relay
import sample
from processes import Failure, Receiver, convert, send, verified

MIB = 1 << 20
SEGMENT = 1 * MIB
# What else a connection takes: TLS's handshake, RESUME, and 22 bytes for each record.
OVERHEAD = 8 << 10
TIMES = ("started", "ended")


# --- equality

def differences(local, arrived):
    """What a folder has that another one has not; times and where it came from may differ."""
    ours, theirs = ({path.name for path in folder.iterdir()} for folder in (local, arrived))
    if ours != theirs:
        yield f"{sorted(theirs)} arrived, and not {sorted(ours)}"
    for name in sorted(ours & theirs):
        if name.endswith(".manifest.json"):
            yield from manifest_differences(*(json.loads((folder / name).read_text())
                                              for folder in (local, arrived)))
        elif not filecmp.cmp(local / name, arrived / name, shallow=False):
            yield f"{name} is another: {(arrived / name).stat().st_size} bytes, and not " \
                  f"{(local / name).stat().st_size}"


def manifest_differences(local, arrived):
    if local.keys() != arrived.keys():
        yield f"the manifest has {sorted(local.keys() ^ arrived.keys())} or has it not"
    for key in local.keys() & arrived.keys() - {*TIMES, "segments", "footprint"}:
        if local[key] != arrived[key]:
            yield f"{key} in the manifest is {str(arrived[key])[:200]}, and not " \
                  f"{str(local[key])[:200]}"
    ours, theirs = local["segments"], arrived["segments"]
    if [part["sha256"] for part in ours] != [part["sha256"] for part in theirs]:
        yield f"the segments' digests differ: {len(theirs)}, and not {len(ours)}"
    for number, part in enumerate(theirs):
        if part.keys() != ours[0].keys() or (part["begin"] is None) != (ours[0]["begin"] is None):
            yield f"segment {number} has other members: {part}"
        elif part["begin"] is not None and not 0 <= part["begin"] <= part["end"]:
            yield f"segment {number} was read from {part['begin']} to {part['end']}"


def arrived(case, receiver, sender, local):
    """A transfer that must have come through: both ends are content, and so are all who compare."""
    sender.expect(0)
    receiver.expect_event("done")
    folders = receiver.transfers()
    if len(folders) != 1:
        yield f"there are {[folder.name for folder in folders]}"
        return
    yield from differences(local, folders[0])
    yield from verified(case.kioku, folders[0] / case.name)
    status = receiver.stop()
    if status:
        yield f"the receiver ended with {status}: {receiver.process.said()[-300:]}"


# --- one transfer

class Case:
    """One image, in its own folder, as this machine would write it and as it arrives."""

    def __init__(self, session, name, source, options=()):
        self.session, self.kioku = session, session.kioku
        self.name, self.source, self.options = name, source, options
        self.folder = session.new_folder()
        self.local = self.folder / "local"
        self.local.mkdir()
        convert(self.kioku, source, self.local / name, *options)

    def receiver(self, *options):
        return Receiver(self.kioku, self.folder / f"arrived{session_number()}", *options)

    def send(self, receiver, port, retry=60):
        return send(self.kioku, self.source, receiver.url(self.name, port),
                    self.folder / "sender.log", *self.options, retry=retry)

    def undisturbed(self):
        """Bytes that a sender sends when nothing breaks."""
        with self.receiver() as receiver, relay.Relay(receiver.target) as between:
            self.send(receiver, between.port).expect(0)
            receiver.expect_event("done")
            return between.read["sent"]


session_number = iter(range(1, 1 << 30)).__next__


def cuts(session, name, source, count, kinds, seed, options=()):
    """So many cuts at random places of one transfer."""
    case = Case(session, name, source, options)
    usual = case.undisturbed()
    generator = random.Random(seed)
    with case.receiver() as receiver:
        def kill():
            # At any time in what the receiver does with the bytes that it has.
            time.sleep(generator.random() * 0.003)
            receiver.restart(generator.random() * 0.3)

        faults = relay.random_faults(generator, count, kinds, usual // count, kill)
        with relay.Relay(receiver.target, faults) as between, \
                case.send(receiver, between.port) as sender:
            yield from arrived(case, receiver, sender, case.local)
            befell, twice = sum(between.befell.values()), between.read["sent"] - usual
            if befell < count:
                yield f"only {befell} of {count} faults befell it"
            most = (between.connections - 1) * (SEGMENT + OVERHEAD)
            if twice > most:
                yield f"{twice} bytes were sent twice in {between.connections - 1} breaks"
            return f"{describe(between.befell)}; {between.connections} connections, " \
                   f"{twice / MIB:.1f} of {usual / MIB:.1f} MiB were sent twice"


def describe(befell):
    return ", ".join(f"{count} {kind}" for kind, count in sorted(befell.items()))


def unread(session, name, source):
    """What was read before a break is not read again: it is no longer there."""
    own = session.new_folder() / "source.lime"
    own.write_bytes(source.read_bytes())
    case = Case(session, name, own)
    with case.receiver() as receiver, open(own, "r+b") as image:
        spoiled = 0

        def spoil():
            # All that the relay has read was read from the image before it.
            nonlocal spoiled
            spoiled = int(between.read["sent"] * 0.99) - (64 << 10)
            image.write(b"\xa5" * spoiled)
            image.flush()

        fault = relay.Fault("swallow", own.stat().st_size // 2, seconds=1, call=spoil)
        with relay.Relay(receiver.target, [fault]) as between, \
                case.send(receiver, between.port) as sender:
            yield from arrived(case, receiver, sender, case.local)
            if spoiled < own.stat().st_size // 3 or between.connections < 2:
                yield f"{spoiled} bytes were overwritten, {between.connections} connections: " \
                      "this shows nothing"
            return f"{spoiled / MIB:.1f} MiB were overwritten meanwhile"


def absent(session, name, source, seconds):
    """The receiver is killed, and comes back after some time."""
    case = Case(session, name, source)
    with case.receiver() as receiver:
        fault = relay.Fault("call", source.stat().st_size // 2,
                            call=lambda: receiver.restart(seconds))
        with relay.Relay(receiver.target, [fault]) as between, \
                case.send(receiver, between.port) as sender:
            yield from arrived(case, receiver, sender, case.local)
            yield from told(sender)


def told(sender):
    """The sender says that the link broke, and that it goes on."""
    words = sender.said().lower()
    if "again" not in words and "resum" not in words:
        yield f"the sender did not say that it tries again: {words[-300:]}"


def abandoned(session, name, source):
    """The receiver does not come back: the sender gives up. What came is there, and known."""
    case = Case(session, name, source)
    with case.receiver() as receiver:
        gone = threading.Event()

        def leave():
            receiver.kill()
            gone.set()

        fault = relay.Fault("call", source.stat().st_size // 2, call=leave)
        with relay.Relay(receiver.target, [fault]) as between, \
                case.send(receiver, between.port, retry=3) as sender:
            status = sender.wait(60)
            if status != 1 or not gone.is_set():
                yield f"the sender ended with {status}: {sender.said()[-300:]}"
        receiver.start()
        yield from fragment(case, receiver)


def fragment(case, receiver):
    """What a transfer that did not end has left, and how the receiver ends after it."""
    folders = receiver.transfers()
    if len(folders) != 1:
        yield f"there are {[folder.name for folder in folders]}"
        return
    part, whole = folders[0] / case.name, case.local / case.name
    size = part.stat().st_size
    with open(part, "rb") as one, open(whole, "rb") as other:
        if not size or one.read() != other.read(size):
            yield f"the {size} bytes that came are not the first ones"
    if (folders[0] / (case.name + ".manifest.json")).exists():
        yield "there is a manifest of an image that is not whole"
    status = receiver.stop()
    if status != 3:
        yield f"the receiver ended with {status}, and not 3: {receiver.process.said()[-300:]}"


def stopped(session, name, source):
    """The user stops the sender while the link is down: it does not wait for long."""
    case = Case(session, name, source)
    with case.receiver() as receiver:
        down = threading.Event()

        def leave():
            receiver.kill()
            down.set()

        fault = relay.Fault("call", source.stat().st_size // 2, call=leave)
        with relay.Relay(receiver.target, [fault]) as between, \
                case.send(receiver, between.port, retry=600) as sender:
            if not down.wait(60):
                yield "the fault did not befall it"
            time.sleep(0.5)
            sender.signal(signal.SIGINT)
            if sender.wait(60) not in (1, 3):
                yield f"the sender ended with {sender.status}: {sender.said()[-300:]}"
        receiver.start()
        yield from fragment(case, receiver)


def killed(session, name, source):
    """The sender is killed: the receiver says so, and keeps what came."""
    case = Case(session, name, source)
    with case.receiver() as receiver:
        with relay.Relay(receiver.target) as between:
            sender = case.send(receiver, between.port)
            while between.read["sent"] < source.stat().st_size // 3 and sender.running():
                time.sleep(0.001)
            sender.kill()
            receiver.expect_event("broken")
        yield from fragment(case, receiver)


# --- all of them

FORMATS = {"image.lime": (), "image.kdump": (), "image.lime.zst": (), "image.elf.lz4": (),
           "image.raw.gz": (), "image.padded": ("--as", "padded"), "image.avml": ("--as", "avml"),
           "packed.kdump": ("--as", "kdump:zstd")}


def start_all(session):
    image, small = session.image(64 * MIB), session.image(16 * MIB)
    full, seed = session.full, session.seed
    for number, (name, options) in enumerate(FORMATS.items()):
        count = 25 if full else 8 if name == "image.lime" else 3
        kinds = relay.QUICK if count > 3 else \
            random.Random(seed + number).sample(relay.QUICK[:-1], count - 1) + ["call"]
        session.start(f"{count} faults, {' '.join((name, *options[1:]))}", cuts, name,
                      image if full or number < 2 else small, count, kinds, seed + number, options)
    kills = 20 if full else 4
    for name in ("image.lime", "image.kdump", "image.lime.zst"):
        session.start(f"the receiver is killed {kills} times, {name}", cuts, name, image, kills,
                      ("call",), seed + 100)
    for kind in relay.SLOW:
        session.start(f"a link that is broken and does not say so, {kind}", cuts, "image.lime",
                      small, 3 if full else 1, (kind,), seed + 200)
    session.start("nothing is read again", unread, "source.lime", image)
    session.start("the receiver is away for a while", absent, "image.kdump", small,
                  40 if full else 5)
    session.start("the receiver does not come back", abandoned, "image.lime", small)
    session.start("the user stops the sender while the link is down", stopped, "image.lime", small)
    session.start("the sender is killed", killed, "image.lime", image)
