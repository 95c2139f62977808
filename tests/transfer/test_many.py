# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many senders at once."""

import contextlib
import os
import time

import sample
import test_cuts
from processes import Receiver, convert, send, verified

MIB = 1 << 20
SENDERS = 50
CPUS = 2
# What a process may take at its peak; of the receiver, for 50 transfers at once.
SENDER_LIMIT, RECEIVER_LIMIT = 64 * MIB, 128 * MIB
NAME = "image.lime"


def wait_for_all(senders):
    for sender in senders:
        sender.expect(0, 600)


def timed(session, sources, receiver):
    """(seconds, peak of the largest sender) of a transfer of each source, all at once."""
    folder = session.new_folder()
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        senders = [stack.enter_context(send(session.kioku, source, receiver.url(NAME),
                                            folder / f"{number}.log", "--threads", "1"))
                   for number, source in enumerate(sources)]
        wait_for_all(senders)
    return time.monotonic() - started, max(sender.peak for sender in senders)


def many(session, size):
    """50 images arrive whole, each in its own folder; how fast, next to one that is alone."""
    folder = session.new_folder()
    sources = [folder / f"{number}.lime" for number in range(SENDERS)]
    for number, source in enumerate(sources):
        sample.write(source, size, seed=number)
    alone = session.image(128 * MIB)
    with limited_to(CPUS), Receiver(session.kioku, folder / "arrived", "--standing") as receiver:
        one, peak_alone = timed(session, [alone], receiver)
        receiver.expect_event("done")
        all_of_them, peak = timed(session, sources, receiver)
        receiver.expect_event("done", SENDERS + 1)
        resident = receiver.process.resident()
        status = receiver.stop()
        if status:
            yield f"the receiver ended with {status}: {receiver.process.said()[-300:]}"
    yield from all_whole(session, receiver, [alone, *sources], folder)
    if not session.sanitized:
        if peak > SENDER_LIMIT:
            yield f"a sender has taken {peak / MIB:.1f} MiB"
        if resident > RECEIVER_LIMIT:
            yield f"the receiver has taken {resident / MIB:.1f} MiB"
    rate, together = (amount / MIB / seconds for amount, seconds in
                      ((128 * MIB, one), (SENDERS * size, all_of_them)))
    return f"{together:.0f} MiB/s together, {rate:.0f} MiB/s alone; peaks: the receiver " \
           f"{resident / MIB:.0f} MiB, a sender {max(peak, peak_alone) / MIB:.0f} MiB"


def all_whole(session, receiver, sources, folder):
    """Each source is in a folder of its own."""
    arrived = {(path / NAME).read_bytes(): path for path in receiver.transfers()}
    if len(receiver.transfers()) != len(sources):
        yield f"there are {len(receiver.transfers())} folders"
    for number, source in enumerate(sources):
        local = folder / f"local-{number}"
        local.mkdir()
        convert(session.kioku, source, local / NAME)
        found = arrived.get((local / NAME).read_bytes())
        if not found:
            yield f"image {number} did not arrive"
        else:
            for problem in test_cuts.differences(local, found):
                # Which of them it came from, its name says.
                yield f"image {number}: {problem}"
            if number % 10 == 0:
                yield from verified(session.kioku, found / NAME)


@contextlib.contextmanager
def limited_to(cpus):
    """What is started here runs on so many CPUs."""
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(every)[:cpus])
    try:
        yield
    finally:
        os.sched_setaffinity(0, every)


def check_all(session):
    session.check(f"{SENDERS} senders at once", many, (64 if session.full else 4) * MIB)
