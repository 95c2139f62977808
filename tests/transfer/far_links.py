# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that sends over a link as netem(8) makes it: far away, and bad. The ends are those of
recipes.py."""

import filecmp
import time
from concurrent.futures import ThreadPoolExecutor

import sample
from processes import Process, Receiver, convert, verified

MIB = 1 << 20
IMAGE = "/run/image.lime"  # in the guest
PORT = 7634
# What leaves the guest is delayed; what comes back is not.
BAD = "delay 50ms 20ms 25% loss 1% duplicate 1% reorder 10% 50%"
FAR = "delay 300ms limit 100000"  # packets on their way, of which the default holds 1000
# What would be in the way first: an emulated clock's jitter looks like a queue that fills, at which
# slow start ends; and with so little memory, the guest's kernel keeps little on its way.
NOTHING_ELSE = "echo 0 > /sys/module/tcp_cubic/parameters/hystart; " \
               "echo 4096 65536 33554432 > /proc/sys/net/ipv4/tcp_wmem"


class FarLink:
    """An image in the guest, and here."""

    def __init__(self, kioku, address, folder, target, size):
        self.kioku, self.address, self.target = kioku, address, target
        self.folder = folder / f"far-{size}"
        self.folder.mkdir()
        self.local = self.folder / "image.lime"
        sample.write(self.folder / "sample.lime", size)
        convert(kioku, self.folder / "sample.lime", self.local)
        with self.listening(["socat", "-u", f"OPEN:{self.local}",
                             f"TCP-LISTEN:{PORT},bind={address},reuseaddr"]) as near:
            target.must(f"/bin/tc qdisc del dev eth0 root 2> /dev/null; busybox nc {address} {PORT} > {IMAGE} "
                        "< /dev/null")
            near.expect(0)

    def listening(self, command, **how):
        near = Process(command, self.folder / "near.log", **how)
        time.sleep(0.5)
        return near

    def shape(self, netem):
        self.target.must(f"/bin/tc qdisc replace dev eth0 root netem {netem}")

    def by_netcat(self):
        """Seconds that netcat takes."""
        with open(self.folder / "netcat", "wb") as sink, self.listening(
                ["nc.openbsd", "-l", self.address, PORT], stdout=sink) as near:
            started = time.monotonic()
            self.target.must(f"nc.openbsd -N {self.address} {PORT} < {IMAGE}")
            near.expect(0)
            return time.monotonic() - started

    def by_receiver(self):
        """Yields what is wrong with what came; returns the seconds that it took, from the welcome
        on."""
        with Receiver(self.kioku, self.folder / "arrived", address=self.address) as receiver, \
                ThreadPoolExecutor(1) as pool:
            sender = pool.submit(self.target.do, f"kioku convert {IMAGE} --to "
                                 f"'{receiver.url('image.lime')}' --digest sha256")
            receiver.expect_event("started")
            started = time.monotonic()
            done = receiver.expect_event("done")
            seconds = time.monotonic() - started
            status, said = sender.result()
            if status:
                yield f"the sender ended with {status}: {said}"
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
    link.target.must(NOTHING_ELSE)
    netcat = link.by_netcat()
    seconds = yield from link.by_receiver()
    size = link.local.stat().st_size / MIB
    return f"{size / seconds:.1f} MiB/s, netcat {size / netcat:.1f} MiB/s, a segment in each " \
           f"round trip {1 / 0.3:.1f} MiB/s"


def check_all(results, kioku, address, folder, target, full):
    tests = {"a link with delay, loss, reordering and duplicates": (bad, MIB)}
    if full:
        tests["a long fat link"] = (far, 16 * MIB)
    for title, (test, size) in tests.items():
        if results.wants(title):
            results.check(title, test, FarLink(kioku, address, folder, target, size))
