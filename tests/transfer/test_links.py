# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two machines and a link between them: network namespaces and a pair of veth devices, limited by
tbf. It needs root; nothing of it outlives the test."""

import contextlib
import os
import subprocess
import time

import test_cuts
from processes import Failure, Receiver, missing, send

MIB = 1 << 20
SENDER, RECEIVER = "192.0.2.1", "192.0.2.2"  # RFC 5737: documentation


class Network:
    """Two namespaces, near and far, and a link whose rate is limited on its way there."""

    def __init__(self, rate):
        name = f"kioku-{os.getpid()}-{id(self) & 0xffff:x}"
        self.near, self.far = f"{name}-near", f"{name}-far"
        self.rate = rate

    def __enter__(self):
        try:
            for name in (self.near, self.far):
                run("ip", "netns", "add", name)
                run("ip", "-n", name, "link", "set", "lo", "up")
            run("ip", "-n", self.near, "link", "add", "link0", "type", "veth", "peer", "name",
                "link0", "netns", self.far)
            for name, address in ((self.near, SENDER), (self.far, RECEIVER)):
                run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "link0")
                run("ip", "-n", name, "link", "set", "link0", "up")
            run("tc", "-n", self.near, "qdisc", "add", "dev", "link0", "root", "tbf", "rate",
                self.rate, "burst", "256k", "latency", "50ms")
        except Failure:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in (self.near, self.far):  # and what is in them
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)

    def set_link(self, state):
        run("ip", "-n", self.near, "link", "set", "link0", state)

    def other_address(self):
        """The machine moves: what it sends comes from elsewhere, and its connections are dead."""
        run("ip", "-n", self.near, "address", "flush", "dev", "link0")
        run("ip", "-n", self.near, "address", "add", "192.0.2.77/24", "dev", "link0")


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"{' '.join(command)}: {done.stderr.strip()}")


@contextlib.contextmanager
def transfer(session, source, rate, name="image.lime"):
    """(case, network, receiver, sender), which sends over a link."""
    case = test_cuts.Case(session, name, source)
    with Network(rate) as network, Receiver(
            session.kioku, case.folder / "arrived", address=RECEIVER, port=7633,
            namespace=network.far) as receiver, send(
            session.kioku, source, receiver.url(name), case.folder / "sender.log", retry=120,
            namespace=network.near) as sender:
        yield case, network, receiver, sender


def limited(session, source, rate, name):
    with transfer(session, source, rate, name) as (case, _, receiver, sender):
        started = time.monotonic()
        yield from test_cuts.arrived(case, receiver, sender, case.local)
        size = (case.local / name).stat().st_size
        return f"{size * 8e-6 / (time.monotonic() - started):.0f} Mbit/s of {rate}"


def down(session, source, rate, seconds):
    """The link is down for some seconds, twice: nobody is told."""
    with transfer(session, source, rate) as (case, network, receiver, sender):
        for _ in range(2):
            receiver.expect_event("progress")
            time.sleep(1)
            network.set_link("down")
            time.sleep(seconds)
            if not sender.running():
                yield f"it did not take long enough: {sender.describe()}"
            network.set_link("up")
        yield from test_cuts.arrived(case, receiver, sender, case.local)


def moved(session, source, rate):
    """The sender gets another address: the connection that it had is dead, and nobody is told."""
    with transfer(session, source, rate) as (case, network, receiver, sender):
        receiver.expect_event("progress")
        time.sleep(1)
        network.other_address()
        yield from test_cuts.arrived(case, receiver, sender, case.local)
        peers = [event["peer"] for event in receiver.of("resumed")]
        if not any(peer.startswith("192.0.2.77") for peer in peers):
            yield f"it went on from {peers}"


def start_all(session):
    reason = missing("ip", "tc") or ("needs root" if os.geteuid() else None) or probe()
    large, small = session.image(64 * MIB), session.image(16 * MIB)
    tests = {"a link of 1 Gbit/s": (limited, large, "1gbit", "image.lime"),
             "a link of 1 Gbit/s, lz4": (limited, large, "1gbit", "image.lime.lz4"),
             "a link of 20 Mbit/s": (limited, small, "20mbit", "image.lime.zst"),
             "a link that goes down for 3 s": (down, small, "20mbit", 3),
             "a sender that moves": (moved, small, "20mbit")}
    if session.full:
        tests["a link that goes down for 40 s"] = (down, small, "20mbit", 40)
        tests["a link of 2 Mbit/s"] = (limited, small, "2mbit", "image.lime")
    for title, (test, *arguments) in tests.items():
        if reason:
            session.skip(title, reason)
        else:
            session.start(title, test, *arguments)


def probe():
    """Why there can be no namespaces; None if there can."""
    try:
        with Network("1gbit"):
            return None
    except Failure as reason:
        return str(reason)
