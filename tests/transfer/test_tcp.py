# SPDX-License-Identifier: LGPL-2.1-or-later
"""tcp:// and tcp-listen:// with other programs at the other end."""

import filecmp
import signal
import socket
import time
from pathlib import Path

from processes import PATIENCE, Failure, Process, convert, free_port, missing, send

MIB = 1 << 20

# How each program waits for one client and writes what comes, and how it connects for that.
LISTENERS = {
    "nc.openbsd": "nc.openbsd -l 127.0.0.1 {port}",
    "nc.traditional": "nc.traditional -l -s 127.0.0.1 -p {port}",
    "socat": "socat -u TCP-LISTEN:{port},bind=127.0.0.1 -",
    "busybox": "busybox nc -l -p {port} 127.0.0.1"}
CLIENTS = {
    "nc.openbsd": "nc.openbsd -d 127.0.0.1 {port}",
    "nc.traditional": "nc.traditional 127.0.0.1 {port}",
    "socat": "socat -u TCP:127.0.0.1:{port} -",
    "busybox": "busybox nc 127.0.0.1 {port}"}
FORMATS = {"image.lime": ("--as", "lime"),
           "image.lime.zst": ("--as", "lime", "--compress", "zstd"),
           "image.raw.lz4": ("--as", "raw", "--compress", "lz4"),
           "image.elf.gz": ("--as", "elf", "--compress", "gzip")}


def program(command, port, folder):
    """A peer whose standard output is a file."""
    with open(folder / "arrived", "wb") as out:
        return Process(command.format(port=port).split(), folder / "peer.log", stdout=out)


def listening(port):
    """The addresses, in hexadecimal as the kernel has them, on which a port is listened to."""
    lines = [line.split() for table in ("tcp", "tcp6")
             for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    return [line[1].split(":")[0] for line in lines
            if line[3] == "0A" and int(line[1].split(":")[1], 16) == port]


def until_listening(process, port):
    deadline = time.monotonic() + PATIENCE
    while not listening(port):
        if time.monotonic() > deadline or not process.running():
            raise Failure(f"it does not listen: {process.describe()}")
        time.sleep(0.01)
    return listening(port)


def equal(session, source, folder, name, options):
    convert(session.kioku, source, folder / name, *options)
    if not filecmp.cmp(folder / name, folder / "arrived", shallow=False):
        yield f"{(folder / 'arrived').stat().st_size} bytes arrived, which are not the " \
              f"{(folder / name).stat().st_size} of a local file"


def connects(session, source, peer, name, options):
    folder, port = session.new_folder(), free_port()
    with program(LISTENERS[peer], port, folder) as other:
        until_listening(other, port)
        with send(session.kioku, source, f"tcp://127.0.0.1:{port}", folder / "log",
                  *options) as sender:
            sender.expect(0)
            other.expect(0)
    yield from equal(session, source, folder, name, options)


def listens(session, source, peer, name, options):
    """The default address is the loopback's alone."""
    folder, port = session.new_folder(), free_port()
    with send(session.kioku, source, f"tcp-listen://:{port}", folder / "log", *options) as sender:
        addresses = until_listening(sender, port)
        if any(address not in ("0100007F", "00000000000000000000000001000000")
               for address in addresses):
            yield f"it listens on {addresses}"
        with program(CLIENTS[peer], port, folder) as other:
            sender.expect(0)
            other.expect(0)
    yield from equal(session, source, folder, name, options)


def listens_everywhere(session, source):
    """Where an address is given."""
    folder, port = session.new_folder(), free_port()
    with send(session.kioku, source, f"tcp-listen://0.0.0.0:{port}", folder / "log", "--as",
              "lime") as sender:
        if until_listening(sender, port) != ["00000000"]:
            yield f"it listens on {listening(port)}"
        with program(CLIENTS["nc.openbsd"], port, folder) as other:
            sender.expect(0)
            other.expect(0)
    yield from equal(session, source, folder, "image.lime", ("--as", "lime"))


def waits_for_one(session, source):
    """A second client does not get in; a sender that nobody comes for can be stopped."""
    folder, port = session.new_folder(), free_port()
    with send(session.kioku, source, f"tcp-listen://:{port}", folder / "log", "--as",
              "lime") as sender:
        until_listening(sender, port)
        with socket.create_connection(("127.0.0.1", port)) as first:
            first.recv(1)
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=2) as second:
                    if second.recv(1):
                        yield "a second client got something, too"
            except OSError:
                pass
        if sender.wait() != 1:
            yield f"the client left, and yet: {sender.describe()}"
    port = free_port()
    with send(session.kioku, source, f"tcp-listen://:{port}", folder / "log2", "--as",
              "lime") as sender:
        until_listening(sender, port)
        sender.signal(signal.SIGINT)
        if sender.wait() == 0:
            yield f"stopped, and yet: {sender.describe()}"


def peer_leaves(session, source):
    """A peer that closes too early: the sender does not call that a success."""
    folder = session.new_folder()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with send(session.kioku, source, f"tcp://127.0.0.1:{port}", folder / "log", "--as",
                  "lime") as sender:
            client, _ = server.accept()
            client.recv(100_000)
            client.close()
            if sender.wait() != 1 or str(port) not in sender.said():
                yield sender.describe()


def nobody_there(session, source):
    folder, port = session.new_folder(), free_port()
    with send(session.kioku, source, f"tcp://127.0.0.1:{port}", folder / "log", "--as",
              "lime") as sender:
        if sender.wait() not in (1, 2) or "refused" not in sender.said().lower():
            yield sender.describe()


def peer_stalls(session, source):
    """A peer that reads nothing holds the sender up until it is stopped."""
    folder = session.new_folder()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with send(session.kioku, source, f"tcp://127.0.0.1:{port}", folder / "log", "--as",
                  "lime") as sender:
            client, _ = server.accept()
            time.sleep(2)
            if not sender.running():
                yield f"it did not wait: {sender.describe()}"
            sender.signal(signal.SIGINT)
            if sender.wait(60) == 0:
                yield f"stopped, and yet: {sender.describe()}"
            client.close()


def gunzipped(session, source):
    """The recipe: what nc receives, another program unpacks."""
    folder, port = session.new_folder(), free_port()
    with open(folder / "arrived", "wb") as out, Process(
            ["sh", "-c", f"nc.openbsd -l 127.0.0.1 {port} | gzip -d"], folder / "peer.log",
            stdout=out) as other:
        until_listening(other, port)
        with send(session.kioku, source, f"tcp://127.0.0.1:{port}", folder / "log", "--as", "lime",
                  "--compress", "gzip") as sender:
            sender.expect(0)
            other.expect(0)
    yield from equal(session, source, folder, "image.lime", ("--as", "lime"))


def start_all(session):
    small = session.image(16 * MIB)
    for peer in LISTENERS:
        if missing(peer):
            session.skip(f"tcp, {peer}", missing(peer))
            continue
        for name, options in FORMATS.items():
            session.start(f"tcp://, {peer}, {name}", connects, small, peer, name, options)
            session.start(f"tcp-listen://, {peer}, {name}", listens, small, peer, name, options)
    if not missing("nc.openbsd"):
        session.start("tcp-listen://0.0.0.0", listens_everywhere, small)
        session.start("tcp://, nc and gzip", gunzipped, small)
    for title, test in {"tcp-listen://, one client": waits_for_one,
                        "tcp://, the peer leaves": peer_leaves,
                        "tcp://, nobody is there": nobody_there,
                        "tcp://, the peer stalls": peer_stalls}.items():
        session.start(title, test, small)
