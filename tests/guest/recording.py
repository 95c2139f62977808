# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that acquire their own memory, recorded: what each acquisition left and said, with the
machine's memory from outside right before and right after. The tests come later, from the folder.

A folder has the guest's truths, and below it a folder for each acquisition: before.img, after.img,
outcome.json and everything that lay in /output afterwards.
"""

import json
import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "transfer"))
import guest
import kernels
import lime_module
import relay
from processes import Failure, Process, Receiver, free_port, missing
from ram import PAGE

MIB = 1 << 20
DIMM = 256     # MiB; two blocks, of which one goes offline again
BALLOON = 32   # MiB
BLOCK = 128    # MiB, a memory block of x86-64 guests of this size
# Who may run meanwhile; mounting /output again makes the kernel's threads for it anew.
VISITORS = ["kioku", "sh", "dd", "cat", "insmod", "busybox", "ext4-rsv-conver"]

# What QEMU's user networking calls this machine and the guest.
HOST, ADDRESS = "10.0.2.2", "10.0.2.15/24"

# Free memory is filled with noise first. A page that is used meanwhile, for the image's way to the
# disk for one, then ends with other contents than it began with; zeros may come back to be zeros.
NOISE = """
	mount -t tmpfs -o size=100% noise /tmp
	free=$(grep MemFree /proc/meminfo | busybox tr -cd 0-9)
	dd if=/dev/urandom of=/tmp/noise bs=64k count=$((free / 64 - 128))
	umount /tmp
""".strip().replace("\n\t", "; ")


@dataclass
class Plan:
    """One guest to record."""
    kernel: str
    memory: int = 256
    cpu: str = "max"
    append: str = ""
    peer: bool = False     # LiME, too
    network: bool = False  # over the network, too

    @property
    def name(self):
        return f"{self.kernel}-{self.memory}m"


def plans(full):
    if not full:  # LiME is in the guest of modules.py
        return [Plan("bookworm", network=True), Plan("backports")]
    return [Plan("bookworm", peer=True, network=True),
            Plan("backports", peer=True, network=True),
            Plan("bookworm", 1024, cpu="max,la57=off"), Plan("backports", 5120, append="nokaslr"),
            *(Plan(kernel, 512) for kernel in ("bullseye", "trixie", "sid"))]


class Recorder:
    def __init__(self, machine, folder):
        self.machine = machine
        self.folder = folder

    def acquire(self, name, command, to_stream=None, timeout=900):
        """One acquisition: a command that writes to /output, or to a pipe that ends in the file
        to_stream of its folder."""
        machine, folder = self.machine, self.folder / name
        folder.mkdir()
        self.words(NOISE)
        iomem = self.words("cat /proc/iomem").splitlines()
        self.copy(folder / "before.img")
        started = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            if to_stream:
                running = pool.submit(machine.stream, command, folder / to_stream, timeout)
            else:
                running = pool.submit(machine.said, command, timeout)
            changed, looks = self.watch(running, folder / "before.img")
            status, text = running.result()
        seconds = time.monotonic() - started
        facts = self.copy(folder / "after.img")
        machine.take(folder)
        self.words("rm -rf /output/*")
        outcome = {"command": command, "status": status, "text": text, "seconds": seconds,
                   "iomem": iomem, "ram_map": facts["ram_map"], "looks": looks,
                   "changed": sorted(changed)}
        (folder / "outcome.json").write_text(json.dumps(outcome) + "\n")

    def watch(self, running, before, pause=0.5):
        """Offsets in before.img of pages that were not as before when the machine was stopped now
        and then, until the acquisition has ended; and how often it was stopped. A counter that goes
        up and comes back down shows here and nowhere else."""
        changed, looks = set(), 0
        while not wait([running], timeout=pause).done:
            self.machine.freeze()
            changed.update(self.differences(before))
            self.machine.resume()
            looks += 1
            pause *= 1.5  # long acquisitions need no more looks than short ones
        return changed, looks

    def differences(self, before):
        with open(before, "rb") as old:
            for piece in self.machine.pieces:
                with open(piece.get("file", self.machine.ram), "rb") as now:
                    start = 0 if "file" in piece else piece["offset"]
                    for at in range(0, piece["size"], MIB):
                        yield from unequal_pages(os.pread(old.fileno(), MIB, piece["offset"] + at),
                                                 os.pread(now.fileno(), MIB, start + at),
                                                 piece["offset"] + at)

    def copy(self, path):
        self.machine.freeze()
        facts = self.machine.facts(visitors=VISITORS)
        self.machine.copy_ram(path)
        self.machine.resume()
        return facts

    def words(self, command, timeout=180):
        status, text = self.machine.said(command, timeout)
        if status:
            raise guest.GuestError(f"{command}: {text}")
        return text

    # --- what is acquired

    def plain(self):
        self.acquire("disk", "kioku acquire -o /output/disk.lime")
        self.acquire("pipe", "kioku acquire -o - --as lime --compress zstd --digest sha256 "
                             "--manifest /output/pipe.lime.zst.manifest.json", "pipe.lime.zst")

    def faulty(self, command="kioku acquire -o /output/faults.lime.lz4 --digest sha256"):
        """Memory that came, went, failed and was given back while the machine ran."""
        machine = self.machine
        piece = machine.plug(DIMM)
        block = piece["physical"] // (BLOCK * MIB)
        online, offline = (f"/sys/devices/system/memory/memory{number}/state"
                           for number in (block, block + 1))
        self.words(f"for i in 1 2 3 4 5 6 7 8 9; do grep -q online {online} && "
                   f"grep -q online {offline} && break; busybox sleep 1; done; "
                   f"echo offline > {offline}")
        poisoned = piece["physical"] + 77 * 4096
        self.words("mount -t debugfs debug /sys/kernel/debug; "
                   f"echo {poisoned >> 12:#x} > /sys/kernel/debug/hwpoison/corrupt-pfn")
        # Pages of tmpfs come from the movable zone, which only what was plugged in has.
        self.words("dd if=/dev/urandom of=/lab/filler bs=1M count=16")
        machine.balloon(machine.memory - BALLOON)
        (self.folder / "faults.json").write_text(json.dumps({
            "online": [piece["physical"], BLOCK * MIB],
            "offline": [piece["physical"] + BLOCK * MIB, BLOCK * MIB],
            "poisoned": poisoned, "ballooned": BALLOON * MIB}))
        self.acquire("faults", command)

    def network(self, tool):
        """To netcat, and to a receiver by way of a link that breaks."""
        self.words(f"ip link set eth0 up; ip address add {ADDRESS} dev eth0")
        if not missing("nc.openbsd"):
            self.netcat("tcp.lime.lz4")
        self.receiver(tool, "receiver.lime")

    def netcat(self, image):
        port, arrived = free_port(), self.folder / "arrived"
        with open(arrived, "wb") as out, Process(["nc.openbsd", "-l", "127.0.0.1", port],
                                                 self.folder / "nc.log", stdout=out) as netcat:
            self.acquire("tcp", f"kioku acquire --to tcp://{HOST}:{port} --as lime --compress lz4 "
                                f"--digest sha256 --manifest /output/{image}.manifest.json")
            netcat.expect(0)
        arrived.rename(self.folder / "tcp" / image)

    def receiver(self, tool, image):
        with Receiver(tool, self.folder / "received") as receiver:
            # 256 MiB: reset, lost without a word, and a receiver that is killed.
            faults = [relay.Fault("reset", 50 * MIB), relay.Fault("swallow", 40 * MIB, seconds=2),
                      relay.Fault("call", 30 * MIB, call=lambda: receiver.restart(1))]
            with relay.Relay(receiver.target, faults) as between:
                url = receiver.url(image, between.port, HOST)
                self.acquire("receiver", f"kioku acquire --to '{url}'")
                receiver.expect_event("done")
            (self.folder / "receiver.json").write_text(json.dumps({
                "befell": between.befell, "status": receiver.stop(),
                "twice": receiver.of("done")[0]["repeated"], "said": receiver.process.said()}))
            for path in receiver.transfers()[0].iterdir():
                shutil.move(path, self.folder / "receiver" / path.name)

    def peer(self):
        self.acquire("peer", "insmod /lime.ko path=/output/ram.lime format=lime digest=sha256; "
                             "rmmod lime")


def unequal_pages(one, other, start):
    if one != other:
        for at in range(0, len(one), PAGE):
            if one[at:at + PAGE] != other[at:at + PAGE]:
                yield start + at


def record(plan, tool, folder):
    """Returns None, or why a guest could not be recorded. A guest that breaks is tried again."""
    for attempt in (1, 2):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            return run(plan, tool, folder)
        except (guest.GuestError, Failure) as error:
            kernels.say(f"{plan.name}: {error}")
            if attempt == 2:
                return str(error)
        except (kernels.FetchError, OSError) as error:
            return str(error)


def run(plan, tool, folder):
    files = {"/bin/kioku": tool}
    if plan.peer:
        files["/lime.ko"] = lime_module.module(plan.kernel)
    arguments = [*guest.hot_plug(plan.memory, most=plan.memory + 1024),
                 "-device", "virtio-balloon-pci"]
    if plan.network:
        arguments += ["-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0"]
    with guest.Guest(folder / "live") as machine:
        machine.boot(kernels.get(plan.kernel), plan.memory, cpu=plan.cpu, files=files,
                     append=f"memhp_default_state=online_movable {plan.append}".strip(),
                     modules=["sha256_generic", "hwpoison_inject", "virtio_balloon", "virtio_net"],
                     arguments=arguments, output=2 * plan.memory + 512)
        recorder = Recorder(machine, folder)
        machine.keep_truth(folder)
        facts = recorder.copy(folder / "ram.img")
        recorder.plain()
        if plan.network:
            recorder.network(tool)
        if plan.peer:
            recorder.peer()
        machine.keep_truth(folder, "truth-after")
        recorder.faulty()
        (folder / "guest.json").write_text(json.dumps(facts, indent=1) + "\n")
    shutil.copy(folder / "live/console.log", folder)
    shutil.rmtree(folder / "live")


def recorded(plans, tool, folder):
    """Yields (plan, folder, None or why it failed), the next guest being recorded meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        coming = [(plan, folder / plan.name, pool.submit(record, plan, tool, folder / plan.name))
                  for plan in plans]
        try:
            for plan, place, future in coming:
                yield plan, place, future.result()
        finally:
            for *_, future in coming:
                future.cancel()
