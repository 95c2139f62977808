# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the machine did: network and kernel, and looking for what hides, against volatility3's plugins."""

import subprocess
import sys

import volatility
from measure import TOP, Skipped

sys.path[:0] = [str(TOP / "lab")]
import guest  # noqa: E402
import kernels  # noqa: E402

KERNEL, MEMORY = "bookworm", 1024
VIEW_GOAL = 1 / 50
CHECKS_GOAL = 1  # all of them, in less time than the list of processes takes

VIEWS = (
    (["sockets"], ["linux.sockstat.Sockstat"]),
    (["modules"], ["linux.lsmod.Lsmod"]),
    (["dmesg"], ["linux.kmsg.Kmsg"]),
    (["iomem"], ["linux.iomem.IOMem"]),
)
# One of ours, and those of theirs that look for the same.
CHECKS = (
    ("syscall_table", "linux.check_syscall.Check_syscall"),
)


def images(machine, folder):
    machine.boot(kernels.get(KERNEL), MEMORY, cpu=volatility.FOUR_LEVELS)
    machine.freeze()
    machine.copy_ram(folder / "ram.img")
    return folder / "ram.img"


def comparisons():
    """(view with its options, plugin, goal, what to call it, whether no rows are right)"""
    for view, plugin in VIEWS:
        yield view, plugin, VIEW_GOAL, view[0], False
    yield ["check"], ["linux.pslist.PsList"], CHECKS_GOAL, "check, all of it", True
    for check, plugin in CHECKS:
        yield ["check", "--name", check], [plugin], VIEW_GOAL, f"check --name {check}", True


def lines(kioku, booted, folder):
    """Every line of this bench; a Skipped in place of what cannot be had."""
    try:
        with guest.Guest(folder / "machine") as machine:
            image = images(machine, folder)
    except (guest.GuestError, kernels.FetchError) as reason:
        yield Skipped(f"the machine: {reason}")
        return
    for view, plugin, goal, name, may_be_empty in comparisons():
        try:
            yield volatility.line(kioku, image, folder, view, plugin, goal, name, may_be_empty)
        except (Skipped, subprocess.CalledProcessError) as reason:
            yield Skipped(f"`{name}`: {reason}")
