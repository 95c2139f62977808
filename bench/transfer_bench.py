# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sending an image: over loopback, against netcat carrying the same one; 50 senders against one;
over a link of 1 Gbit/s, against netcat without compression. Files lie in memory at both ends."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import TOP, Line, Skipped, alternating, mib, run

sys.path[:0] = [str(TOP / "tests/transfer")]
import sample  # noqa: E402
import test_links  # noqa: E402
from processes import Failure, Process, Receiver, free_port, missing, send  # noqa: E402
from test_tcp import until_listening  # noqa: E402

MIB = 1 << 20
NEEDS_GUEST = True  # as lines() gets it
MEMORY = Path("/dev/shm")
ROUNDS = 5
PLAIN_GOAL, TLS_GOAL = 1.25, 1 / 0.7  # of netcat's time
SENDERS, WHOLE = 50, 512 * MIB
PARTS = 96 * MIB, 32 * MIB  # what it takes to begin and to end a transfer is a tenth, and a third
SENDER_GOAL, RECEIVER_GOAL = 32 * MIB, 128 * MIB
NO_DIGEST = ("--digest", "none")
LISTEN, CONNECT = "nc.openbsd -l 127.0.0.1 {port}", "nc.openbsd -N 127.0.0.1 {port}"


class Bench:
    """An image, and ways to send it to a folder; each gives its seconds."""

    def __init__(self, kioku, image, folder):
        self.kioku, self.image, self.folder = kioku, image, folder
        self.peaks = []  # of senders, in bytes

    def netcat(self, before="{connect} < {image}", behind="{listen} > {target}"):
        """before and behind: shell commands of the two ends."""
        port, target = free_port(), self.folder / "netcat"
        words = {"listen": LISTEN.format(port=port), "connect": CONNECT.format(port=port),
                 "image": self.image, "target": target}
        with Process(["sh", "-c", behind.format(**words)], self.folder / "nc.log") as far:
            until_listening(far, port)
            seconds = run(["sh", "-c", before.format(**words)])[0]
            started = time.perf_counter()
            far.expect(0)
            seconds += time.perf_counter() - started
        target.unlink(missing_ok=True)
        return seconds

    def tcp(self, *options):
        """The far side is netcat's."""
        port, target = free_port(), self.folder / "tcp"
        with open(target, "wb") as out, Process(LISTEN.format(port=port).split(),
                                                self.folder / "nc.log", stdout=out) as far:
            until_listening(far, port)
            seconds = self.send(f"tcp://127.0.0.1:{port}", "--as", "lime", *options)
            far.expect(0)
        target.unlink()
        return seconds

    def tls(self, receiver, *options):
        seconds = self.send(receiver.url("image"), "--as", "lime", *options)
        for folder in receiver.transfers():
            shutil.rmtree(folder)
        return seconds

    def send(self, url, *options):
        started = time.perf_counter()
        with send(self.kioku, self.image, url, self.folder / "sender.log", *options) as sender:
            sender.expect(0)
        self.peaks.append(sender.peak)
        return time.perf_counter() - started

    def line(self, what, ours, theirs, goal, peer="nc "):
        """Seconds of two ways, as a line."""
        mine, other = alternating(ours, theirs, ROUNDS)
        size = self.image.stat().st_size
        return Line(what, f"{mine:.2f} s, {rate(size, mine)}",
                    f"{peer}{other:.2f} s, {rate(size, other)}", mine / other, goal)


def rate(size, seconds):
    return f"{size / seconds / MIB:.0f} MiB/s"


def receiver_of(kioku, folder, **where):
    return Receiver(kioku, folder / "arrived", "--standing", **where)


# --- loopback

def loopback(bench):
    yield bench.line("send over loopback, tcp://, no digests / nc", lambda: bench.tcp(*NO_DIGEST),
                     bench.netcat, PLAIN_GOAL)
    with receiver_of(bench.kioku, bench.folder) as receiver:
        def tls(*options):
            return lambda: bench.tls(receiver, *options)

        yield bench.line("send over loopback, kioku://, no digests / nc", tls(*NO_DIGEST),
                         bench.netcat, TLS_GOAL)
        yield bench.line("send over loopback, kioku://, MD5 and SHA-256 / nc with sha256sum at "
                         "both ends", tls(), hashed(bench), TLS_GOAL)
        plain_peak = max(bench.peaks)
        for codec, program in (("lz4", "lz4 -1 -c -q"), ("zstd", "zstd -1 -c -q")):
            if missing(codec):
                yield Skipped(f"sending, {codec}: {missing(codec)}")
                continue
            yield bench.line(f"send over loopback, kioku://, {codec}, no digests / "
                             f"{codec} piped to nc",
                             tls("--compress", codec, *NO_DIGEST), packed(bench, program), TLS_GOAL)
            yield bench.line(f"send over loopback, tcp://, {codec}, no digests / "
                             f"{codec} piped to nc",
                             lambda: bench.tcp("--compress", codec, *NO_DIGEST),
                             packed(bench, program), PLAIN_GOAL)
        yield limit("send over kioku://: the sender's peak resident memory / goal", plain_peak,
                    SENDER_GOAL)
        yield limit("send over kioku://, compressed: the sender's peak resident memory / goal",
                    max(bench.peaks), SENDER_GOAL)


def hashed(bench):
    """What one does by hand: the digest at both ends while the bytes go by."""
    return lambda: bench.netcat(
        "mkfifo {target}.1; sha256sum < {target}.1 > {target}.2 & "
        "tee {target}.1 < {image} | {connect}; wait; rm {target}.1 {target}.2",
        "{listen} | tee {target} | sha256sum > /dev/null")


def packed(bench, program):
    return lambda: bench.netcat(program + " {image} | {connect}")


def limit(what, amount, goal):
    return Line(what, mib(amount), mib(goal), amount / goal, 1)


# --- many

def many(bench):
    """The throughput of all in sum, against that of one; and what the receiver takes for them."""
    whole = bench.folder / "whole.lime"
    sample.write(whole, WHOLE)
    with receiver_of(bench.kioku, bench.folder) as receiver:
        def all_of(count, source):
            started = time.perf_counter()
            with contextlib.ExitStack() as stack:
                senders = [stack.enter_context(send(bench.kioku, source, receiver.url("image.lime"),
                                                    bench.folder / f"{number}.log"))
                           for number in range(count)]
                for sender in senders:
                    sender.expect(0, 600)
            seconds = time.perf_counter() - started
            for folder in receiver.transfers():
                shutil.rmtree(folder)
            return seconds / (count * source.stat().st_size)

        for size in PARTS:
            part = bench.folder / f"{size}.lime"
            sample.write(part, size)
            mine, other = alternating(lambda: all_of(SENDERS, part), lambda: all_of(1, whole), 3)
            yield Line(f"{SENDERS} senders of {size // MIB} MiB at once, time for a byte of any / "
                       f"one sender of {WHOLE // MIB} MiB", rate(1, mine),
                       f"one {rate(1, other)}", mine / other, 1)
            part.unlink()
        yield limit(f"{SENDERS} senders at once: the receiver's peak resident memory / goal",
                    receiver.process.memory(), RECEIVER_GOAL)
    whole.unlink()


# --- a link

def over_link(bench):
    """An idle guest's image over 1 Gbit/s: compressed and encrypted, against netcat as it is."""
    with test_links.Network("1gbit") as network, receiver_of(
            bench.kioku, bench.folder, address=test_links.RECEIVER, port=7633,
            namespace=network.far) as receiver:
        def tls(codec):
            started = time.perf_counter()
            with send(bench.kioku, bench.image, receiver.url("image"), bench.folder / "sender.log",
                      "--as", "lime", "--compress", codec, namespace=network.near) as sender:
                sender.expect(0)
            for folder in receiver.transfers():
                shutil.rmtree(folder)
            return time.perf_counter() - started

        def netcat():
            with Process(["nc.openbsd", "-l", "7634"], bench.folder / "nc.log", network.far,
                         stdout=subprocess.DEVNULL) as far:
                time.sleep(0.5)
                started = time.perf_counter()
                with open(bench.image, "rb") as image, Process(
                        ["nc.openbsd", "-N", test_links.RECEIVER, "7634"], bench.folder / "nc.log",
                        network.near, stdin=image) as near:
                    near.expect(0)
                    far.expect(0)
                return time.perf_counter() - started

        for codec in ("lz4", "zstd"):
            mine, other = alternating(lambda: tls(codec), netcat, 1)
            yield Line(f"send over 1 Gbit/s, an idle guest's image, kioku://, {codec}, MD5 and "
                       "SHA-256 / nc, not compressed", f"{mine:.2f} s", f"nc {other:.2f} s",
                       mine / other, 1)


# --- all of them

def prepared(kioku, booted, folder):
    image = folder / "guest.lime"
    done = subprocess.run([kioku, "convert", booted / "dump.elf", image, "--digest", "none"],
                          capture_output=True, text=True)
    if not image.exists():
        raise Skipped(f"convert failed: {done.stderr.strip()[-200:]}")
    return Bench(kioku, image, folder)


def lines(kioku, booted, folder):
    """Every line of this bench; a Skipped in place of what cannot be had."""
    if missing("nc.openbsd"):
        yield Skipped(f"sending: {missing('nc.openbsd')}")
        return
    place = MEMORY if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 8 << 30 \
        else folder
    with tempfile.TemporaryDirectory(dir=place, prefix="kioku-bench-") as work:
        try:
            bench = prepared(kioku, booted, Path(work))
            yield from loopback(bench)
            yield from many(bench)
            reason = missing("ip", "tc") or ("needs root" if os.geteuid() else test_links.probe())
            if reason:
                yield Skipped(f"sending over a link: {reason}")
            else:
                yield from over_link(bench)
        except (Skipped, Failure) as reason:
            yield Skipped(f"sending: {reason}")
