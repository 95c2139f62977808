# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our kernel module against Debian's LiME module: the same parameters, guest and sinks, in turns."""

import shutil
import statistics
import subprocess
import sys
import time

from measure import TOP, Line, Skipped

sys.path[:0] = [str(TOP / "lab"), str(TOP / "tests/guest")]
import guest  # noqa: E402
import kernels  # noqa: E402
import kioku_module  # noqa: E402
import lime_module  # noqa: E402
from modules import PORT, free_port  # noqa: E402

KERNEL, MEMORY, ROUNDS = "bookworm", 512, 3
TCP_GOAL = 0.5
SHA256 = "digest=sha256"
DISK = {"lime": "format=lime", "raw": "format=raw", "padded": "format=padded",
        "lime, O_DIRECT": "format=lime dio=1", "lime, SHA-256": f"format=lime {SHA256}",
        "lime, deflate": "format=lime compress=1"}


class Machine:
    def __init__(self, machine, port):
        self.machine = machine
        self.port = port

    def words(self, command):
        status, text = self.machine.said(command, 900)
        if status:
            raise Skipped(f"{command}: exit status {status}: {text[-200:]}")

    def clean(self):
        self.words("rm -f /output/ram; sync; echo 3 > /proc/sys/vm/drop_caches")

    def to_disk(self, name, parameters):
        """Until it is on the disk, for both."""
        self.clean()
        started = time.perf_counter()
        self.words(f"insmod /{name}.ko path=/output/ram {parameters} && rmmod {name} && sync")
        return time.perf_counter() - started

    def to_client(self, name):
        """Until nc here has the last byte."""
        self.clean()
        self.words(f"(insmod /{name}.ko path=tcp:{PORT} format=lime; echo $? > /run/status) "
                   "> /dev/null 2>&1 &")
        self.words(f"until busybox netstat -ltn | grep -q ':{PORT} '; do busybox sleep 0.2; done")
        started = time.perf_counter()
        with open("/dev/null", "wb") as out:
            subprocess.run(["nc", "-d", "127.0.0.1", str(self.port)], stdout=out, timeout=900,
                           stdin=subprocess.DEVNULL, check=True)
        seconds = time.perf_counter() - started
        self.words("until grep -q 0 /run/status; do busybox sleep 0.2; done; rm /run/status; "
                   f"rmmod {name}")
        return seconds


def line(what, measure, goal):
    pairs = [(measure("kioku"), measure("lime")) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(times) for times in zip(*pairs))
    return Line(f"kernel module, {what} / LiME's", f"{ours:.2f} s", f"LiME {theirs:.2f} s",
                ours / theirs, goal)


def lines(kioku, booted, folder):
    """Every line of this bench; a Skipped in place of what cannot be had."""
    if not shutil.which("nc"):
        yield Skipped("nc is not installed")
        return
    try:
        port = free_port()
        network = f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:{PORT}"
        with guest.Guest(folder / "module") as machine:
            machine.boot(kernels.get(KERNEL), MEMORY, output=2 * MEMORY,
                         files={"/kioku.ko": kioku_module.module(KERNEL),
                                "/lime.ko": lime_module.module(KERNEL)},
                         modules=["sha256_generic", "sha256_ssse3", "e1000"],
                         arguments=["-netdev", network, "-device", "e1000,netdev=net"])
            bench = Machine(machine, port)
            bench.words("ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up")
            yield line("tcp", bench.to_client, TCP_GOAL)
            for what, parameters in DISK.items():
                yield line(f"{what} to a disk",
                           lambda name, how=parameters: bench.to_disk(name, how), 1)
    except (Skipped, guest.GuestError, kernels.FetchError) as reason:
        yield Skipped(f"kernel module: {reason}")
