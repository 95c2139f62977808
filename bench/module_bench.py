# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our kernel module against Debian's LiME module: the same parameters, guest and sinks, in turns."""

import contextlib
import ctypes
import shutil
import statistics
import subprocess
import sys
import time

from measure import TOP, Line, Skipped, mib

sys.path[:0] = [str(TOP / "lab"), str(TOP / "tests/guest")]
import guest  # noqa: E402
import kernels  # noqa: E402
import kioku_module  # noqa: E402
import lime_module  # noqa: E402
from modules import PORT  # noqa: E402

KERNEL, MEMORY, ROUNDS = "bookworm", 512, 3
HERE, THERE = "192.0.2.1", "192.0.2.7"
CLONE_NEWNET = 0x40000000
SHA256 = "digest=sha256"
# Only virtio-net's link is quicker than the guest, so that the modules are what is measured there.
CARDS = {"virtio-net": ("virtio_net", "virtio-net-pci"), "e1000": ("e1000", "e1000")}
TCP = {"virtio-net": "format=lime", "virtio-net, deflate": "format=lime compress=1",
       "e1000": "format=lime"}
TCP_GOAL = 0.5
DISK = {"lime": "format=lime", "raw": "format=raw", "padded": "format=padded",
        "lime, O_DIRECT": "format=lime dio=1", "lime, SHA-256": f"format=lime {SHA256}",
        "lime, deflate": "format=lime compress=1"}


@contextlib.contextmanager
def taps():
    """A network of their own for this thread and what it starts, with a tap for each card: nothing
    of QEMU's is in the way, and nothing of this machine's network is touched."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as before:
        if libc.unshare(CLONE_NEWNET):
            raise Skipped("a network of its own needs root")
        try:
            for number, name in enumerate(CARDS):
                for words in (f"tuntap add {name} mode tap", f"link set {name} up",
                              f"address add {address(HERE, number)}/24 dev {name}"):
                    done = subprocess.run(["ip", *words.split()], capture_output=True, text=True)
                    if done.returncode:
                        raise Skipped(f"ip {words}: {done.stderr.strip()}")
            yield
        finally:
            libc.setns(before.fileno(), CLONE_NEWNET)


def address(of, number):
    """Each card has a network: 192.0.2.0, 192.0.3.0."""
    return of.replace(".2.", f".{2 + number}.")


class Machine:
    def __init__(self, machine):
        self.machine = machine

    def words(self, command):
        status, text = self.machine.said(command, 900)
        if status:
            raise Skipped(f"{command}: exit status {status}: {text[-200:]}")
        return text

    def clean(self):
        self.words("rm -f /output/ram*; sync; echo 3 > /proc/sys/vm/drop_caches")

    def to_disk(self, name, parameters):
        """Until it is on the disk, for both. Seconds, bytes."""
        self.clean()
        started = time.perf_counter()
        self.words(f"insmod /{name}.ko path=/output/ram {parameters} && rmmod {name} && sync")
        seconds = time.perf_counter() - started
        return seconds, int(self.words("busybox stat -c %s /output/ram"))

    def to_client(self, name, target, parameters):
        """Until nc here has the last byte. Seconds, bytes."""
        self.clean()
        self.words(f"(insmod /{name}.ko path=tcp:{PORT} {parameters}; echo $? > /run/status) "
                   "> /dev/null 2>&1 &")
        self.words(f"until busybox netstat -ltn | grep -q ':{PORT} '; do busybox sleep 0.2; done")
        started = time.perf_counter()
        with subprocess.Popen(["nc", "-d", target, str(PORT)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE) as client:
            size = sum(map(len, iter(lambda: client.stdout.read1(1 << 20), b"")))
        seconds = time.perf_counter() - started
        self.words("until grep -q 0 /run/status; do busybox sleep 0.2; done; rm /run/status; "
                   f"rmmod {name}")
        return seconds, size


def line(what, measure, goal):
    pairs = [(measure("kioku"), measure("lime")) for _ in range(ROUNDS)]
    ours, theirs = ([statistics.median(values) for values in zip(*results)]
                    for results in zip(*pairs))
    return Line(f"kernel module, {what} / LiME's", f"{ours[0]:.2f} s, {mib(ours[1])}",
                f"LiME {theirs[0]:.2f} s, {mib(theirs[1])}", ours[0] / theirs[0], goal)


def lines(kioku, booted, folder):
    """Every line of this bench; a Skipped in place of what cannot be had."""
    for program in ("nc", "ip"):
        if not shutil.which(program):
            yield Skipped(f"kernel module: {program} is not installed")
            return
    try:
        modules = {f"/{name}.ko": module.module(KERNEL)
                   for name, module in (("kioku", kioku_module), ("lime", lime_module))}
        with taps(), guest.Guest(folder / "module") as machine:
            arguments = [word for number, (name, (_, device)) in enumerate(CARDS.items())
                         for word in ("-netdev", f"tap,id=net{number},ifname={name},script=no,"
                                                 "downscript=no",
                                      "-device", f"{device},netdev=net{number}")]
            machine.boot(kernels.get(KERNEL), MEMORY, output=2 * MEMORY, files=modules,
                         modules=["sha256_generic", "sha256_ssse3",
                                  *(module for module, _ in CARDS.values())], arguments=arguments)
            bench = Machine(machine)
            for number, (name, (module, _)) in enumerate(CARDS.items()):
                bench.words(f"card=$(busybox basename $(echo /sys/bus/*/drivers/{module}/*/net/*)); "
                            f"ip addr add {address(THERE, number)}/24 dev $card; "
                            f"ip link set $card up")
            for what, parameters in TCP.items():
                target = address(THERE, list(CARDS).index(what.split(",")[0]))
                yield line(f"tcp by {what}",
                           lambda name: bench.to_client(name, target, parameters),
                           TCP_GOAL)
            for what, parameters in DISK.items():
                yield line(f"{what} to a disk",
                           lambda name: bench.to_disk(name, parameters), 1)
    except (Skipped, guest.GuestError, kernels.FetchError) as reason:
        yield Skipped(f"kernel module: {reason}")
