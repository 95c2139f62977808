# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that sends over a link as netem(8) makes it: far away, and bad. The ends are those of
recipes.py."""

import filecmp
import time

import sample
from processes import Process, Receiver, convert, verified

MIB = 1 << 20
IMAGE = "/run/image.lime"
PORT = 7634
# What leaves the guest is delayed; what comes back is not.
BAD = "delay 50ms 20ms 25% loss 1% duplicate 1% reorder 10% 50%"
FAR = "delay 300ms limit 100000"  # packets on their way, of which the default holds 1000


class FarLink:
    """An image in the guest, and here."""

    def __init__(self, kioku, address, folder, target, size):
        self.kioku, self.address, self.target = kioku, address, target
        self.folder = folder / f"far-{size}"
        self.local = self.folder / "image.lime"
        self.folder.mkdir()
        sample.write(self.folder / "sample.lime", size)
        convert(kioku, self.folder / "sample.lime", self.local)
        with open(self.local, "rb") as image, self.netcat(image):
            target.must(f"nc.openbsd -d {address} {PORT} > {IMAGE}")

    def netcat(self, source=None, sink=None):
        how = {"stdin": source} if source else {}
        near = Process(["nc.openbsd", "-N", "-l", self.address, PORT], self.folder / "nc.log",
                       stdout=sink, **how)
        time.sleep(0.5)  # until it listens
        return near

    def shape(self, netem):
        self.target.must(f"/bin/tc qdisc replace dev eth0 root netem {netem}")

    def close(self):
        self.target.must(f"rm -f {IMAGE}; /bin/tc qdisc del dev eth0 root || true")

    def by_netcat(self):
        """Seconds that netcat takes."""
        with open(self.folder / "netcat", "wb") as sink, self.netcat(sink=sink) as near:
            started = time.monotonic()
            self.target.must(f"nc.openbsd -N {self.address} {PORT} < {IMAGE}")
            near.expect(0)
            return time.monotonic() - started

    def by_receiver(self):
        """Yields what is wrong with what came; returns the seconds that it took."""
        with Receiver(self.kioku, self.folder / "arrived", address=self.address) as receiver:
            started = time.monotonic()
            status, said = self.target.do(
                f"kioku convert {IMAGE} --to '{receiver.url('image.lime')}' --digest sha256")
            seconds = time.monotonic() - started
            if status:
                yield f"the sender ended with {status}: {said}"
                return seconds
            done = receiver.expect_event("done")
            if done["breaks"]:
                yield f"the link broke {done['breaks']} times"
            arrived = receiver.transfers()[-1] / "image.lime"
            if not filecmp.cmp(arrived, self.local, shallow=False):
                yield "what came is something else"
            yield from verified(self.kioku, arrived)
            if receiver.stop():
                yield f"the receiver says {receiver.process.said()[-300:]}"
            return seconds


def bad(link):
    link.shape(BAD)
    seconds = yield from link.by_receiver()
    return f"{link.local.stat().st_size / MIB / seconds:.1f} MiB/s"


def far(link):
    """With no more than a segment on its way, it would be a segment in each 300 ms."""
    link.shape(FAR)
    netcat = link.by_netcat()
    seconds = yield from link.by_receiver()
    size = link.local.stat().st_size / MIB
    return f"{size / seconds:.1f} MiB/s, netcat {size / netcat:.1f} MiB/s, a segment in each " \
           f"round trip {1 / 0.3:.1f} MiB/s"


def check_all(results, kioku, address, folder, target, full):
    for title, test, size, is_ordinary in (
            ("a link with delay, loss, reordering and duplicates", bad, 2 * MIB, True),
            ("a long fat link", far, 32 * MIB, False)):
        if not results.wants(title) or not (is_ordinary or full):
            continue
        link = FarLink(kioku, address, folder, target, size)
        results.check(title, test, link)
        link.close()
