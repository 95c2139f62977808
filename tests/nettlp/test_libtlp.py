# SPDX-License-Identifier: LGPL-2.1-or-later
"""libtlp's own programs, as they are built, unmodified, in $KIOKU_PEERS/libtlp: against kioku serve, and
its completer against kioku as the requester."""

import contextlib
import os
import re
import socket
import subprocess
import time
from pathlib import Path

import wire
from processes import PATIENCE, environment
from serving import Serve, differences

HIGH = 0x100000
NAMES = ("test_dma_read", "test_dma_write", "test_msg_devid", "test_msg_bar4", "test_msg_msix",
         "dma_read", "tlpperf", "process-list", "pgd-walk", "psmem")


# A machine as libtlp's authors had one: what process-list.c and pgd-walk.c take for granted.
START_KERNEL, DIRECT_MAP, PHYS_BASE = 0xFFFFFFFF80000000, 0xFFFF888000000000, 0x1000000
INIT_TASK = 0x600000
STATE, MM, PID, PARENT, CHILDREN, SIBLING, COMM = 16, 2040, 2216, 2224, 2240, 2256, 2632
MM_PGD = 80
TREE = {0: (1, 2), 1: (10, 11), 2: (20,), 10: (), 11: (12,), 12: (), 20: ()}
LISTED = [(0, "R", "swapper/0"), (1, "S", "init"), (10, "R", "secretive"), (11, "D", "sshd"),
          (12, "S", "bash"), (2, "S", "kthreadd"), (20, "S", "kworker/0:0")]
USER, SECRET, PAGE = 0x7F1234567123, "what a process keeps to itself", 0x30000


class Machine:
    """24 MiB with a few processes."""

    def __init__(self):
        self.memory = bytearray(24 << 20)
        self.tasks = {pid: 0x100000 + 0x4000 * number for number, (pid, _, _) in enumerate(LISTED)}
        self.tasks[0] = PHYS_BASE + INIT_TASK
        for pid, state, comm in LISTED:
            self.put(self.tasks[pid] + STATE, {"R": 0, "S": 1, "D": 2}[state])
            self.put(self.tasks[pid] + PID, pid)
            self.put(self.tasks[pid] + COMM, comm.encode())
        self.link(self.virtual(0) + SIBLING, [])
        for parent, children in TREE.items():
            self.link(self.virtual(parent) + CHILDREN,
                      [self.virtual(child) + SIBLING for child in children])
            for child in children:
                self.put(self.tasks[child] + PARENT, self.virtual(parent))
        self.map_page()

    def virtual(self, pid):
        return START_KERNEL + INIT_TASK if pid == 0 else DIRECT_MAP + self.tasks[pid]

    def put(self, physical, value):
        data = value if isinstance(value, bytes) else value.to_bytes(8, "little")
        self.memory[physical:physical + len(data)] = data

    def link(self, head, nodes):
        """A circular list; all addresses are virtual."""
        ring = [head, *nodes, head]
        for node, following in zip(ring, ring[1:]):
            self.put(self.physical(node), following)
            self.put(self.physical(following) + 8, node)

    def physical(self, virtual):
        if virtual >= START_KERNEL:
            return virtual - START_KERNEL + PHYS_BASE
        return virtual - DIRECT_MAP

    def map_page(self):
        """USER, of process 10, through four levels."""
        mm, table = 0x20000, 0x28000
        self.put(self.tasks[10] + MM, DIRECT_MAP + mm)
        self.put(mm + MM_PGD, DIRECT_MAP + table)
        for shift in (39, 30, 21, 12):
            entry = table + (USER >> shift & 511) * 8
            table = PAGE if shift == 12 else table + 4096
            self.put(entry, table | 7)
        self.put(PAGE + USER % 4096, SECRET.encode())


def start_all(session):
    programs = find()
    for name, test in (("test_dma_read", dma_read), ("test_dma_write", dma_write),
                       ("test_msg_devid", device_id), ("test_msg_bar4", bar4),
                       ("test_msg_msix", vectors), ("dma_read", dma_read_long),
                       ("tlpperf", performance), ("process-list", processes),
                       ("pgd-walk", page_tables), ("psmem", completer)):
        title = f"libtlp's {name}"
        if name in programs:
            session.start(title, test, programs[name])
        else:
            session.skip(title, f"there is no libtlp/{name} in $KIOKU_PEERS")


def find():
    folder = Path(os.environ.get("KIOKU_PEERS", "/nonexistent")) / "libtlp"
    return {path.name: path for path in sorted(folder.rglob("*"))
            if path.name in NAMES and path.is_file() and os.access(path, os.X_OK)}


def said(program, *options):
    done = subprocess.run([program, *map(str, options)], capture_output=True, text=True,
                          errors="replace", timeout=PATIENCE)
    return done.stdout + done.stderr


def read_with(program, serve, address, size, tag):
    """What test_dma_read says: what dma_read() returned, and the bytes."""
    text = said(program, "-r", serve.remote, "-l", serve.local, "-b", "01:00", "-t", tag, "-a",
                hex(address), "-s", size)
    returned = re.findall(r"dma_read returns (-?\d+)", text)[-1]
    dump = text.partition("Hex dump\n")[2]
    return int(returned), bytes.fromhex("".join(re.findall(r"\b[0-9a-f]{4}\b", dump))), text


def dma_read(session, program):
    with Serve(session, session.image) as serve:
        # 4096 bytes have the length's overflow; an odd address must come in one completion.
        cases = [(HIGH, 4), (HIGH + 0xF1, 64), (HIGH + 0x1000, 1024), (HIGH + 0x2000, 4096),
                 (HIGH + 0x3FF3, 13), (0x1001, 254)]
        for tag, (address, size) in enumerate(cases):
            returned, data, text = read_with(program, serve, address, size, tag)
            expected = session.memory.read(address, size)
            if returned != size or data[:size & ~1] != expected[:size & ~1]:
                yield f"{size} bytes at {address:#x}: {returned}: {text[-300:]}"
        if read_with(program, serve, 0, 4, 9)[0] != -1:
            yield "what is no RAM is read"
        yield from differences(serve.stop(), requests=len(cases) + 1, outside=1, translated=1)


def dma_write(session, program):
    with Serve(session, session.image) as serve:
        said(program, "-r", serve.remote, "-l", serve.local, "-b", "01:00", "-t", 1, "-a", hex(HIGH),
             "-p", "overwritten")
        serve.settle(1)
        yield from differences(serve.stop(), requests=0, malformed=0, writes=1)


def device_id(session, program):
    with Serve(session, session.image, "--requester", "0b:1c") as serve:
        text = said(program, serve.remote)
        if not "0xb1c" in text:
            yield text


def bar4(session, program):
    with Serve(session, session.image) as serve:
        text = said(program, serve.remote)
        if "d0000000" not in text.lower():
            yield text


def vectors(session, program):
    with Serve(session, session.image) as serve:
        text = said(program, serve.remote)
        if text.lower().count("fee00000") != 16:
            yield text


def dma_read_long(session, program):
    """More than one request, for which it does what dma_read_aligned() does: it says how long the last
    one was."""
    with Serve(session, session.image) as serve:
        text = said(program, "-r", serve.remote, "-l", serve.local, "-b", "01:00", "-t", 2, "-a",
                    hex(HIGH + 0x800), "-s", 4096, "-m", 512)
        if "returns 512" not in text:
            yield text
        yield from differences(serve.stop(), requests=8, completions=16, bytes=4096)


def processes(session, program):
    machine, folder = Machine(), session.new_folder()
    (folder / "ram").write_bytes(machine.memory)
    (folder / "System.map").write_text(f"{START_KERNEL + INIT_TASK:016x} D init_task\n")
    with Serve(session, folder / "ram") as serve:
        text = said(program, "-r", serve.remote, "-l", serve.local, "-R", serve.remote, "-s",
                    folder / "System.map")
        yield from differences(serve.stop(), outside=0, malformed=0, messages=1)
    found = [line.split(None, 3)[1:] for line in text.splitlines()[1:]]
    if found != [[str(pid), state, comm] for pid, state, comm in LISTED]:
        yield text


def page_tables(session, program):
    machine, folder = Machine(), session.new_folder()
    (folder / "ram").write_bytes(machine.memory)
    with Serve(session, folder / "ram") as serve:
        text = said(program, "-r", serve.remote, "-l", serve.local, "-b", "01:00", "-a",
                    hex(DIRECT_MAP + machine.tasks[1]), "-p", 10, "-v", hex(USER))
        yield from differences(serve.stop(), outside=0, malformed=0)
    if f"vaddr {USER:#x} is paddr {PAGE + USER % 4096:#x}, dumped: {SECRET}" not in text:
        yield text


def performance(session, program):
    """All its tags at once, for a while; nothing is said about how fast that was."""
    with Serve(session, session.image) as serve:
        said(program, "-r", serve.remote, "-l", serve.local, "-b", "01:00", "-d", "read", "-a",
             hex(HIGH), "-s", 1 << 20, "-L", 512, "-N", 16, "-R", "diff", "-P", "seq", "-t", 1)
        summary = serve.stop()
    yield from differences(summary, outside=0, malformed=0, absent=0, translated=0, unsent=0)
    if summary["bytes"] != 512 * summary["requests"] or summary["requests"] < 16:
        yield f"{summary}"


# --- the other way round

COMPLETER_PORT, COMPLETER_START, WRITTEN = 0x4000, 0x10000000, 32 << 10


def completer(session, program):
    """What was written to libtlp's completer, which splits completions where no root complex does, is read
    back by requests of every size."""
    remote, local = session.new_addresses()
    folder = session.new_folder()
    content = session.memory.read(HIGH, WRITTEN)
    (folder / "ranges").write_text(f"{COMPLETER_START:x}-{COMPLETER_START + WRITTEN - 1:x} : "
                                   "System RAM\n")
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(
            [program, "-r", local, "-l", remote, "-a", hex(COMPLETER_START), "-b", "01:00", "-S",
             "-H"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        stack.callback(process.kill)
        fill(remote, local, content)
        for size in (128, 512, 2048):
            target = folder / "memory"
            url = (f"nettlp://{remote}?local={local}&requester=01:00&port={COMPLETER_PORT}&tags=16"
                   f"&mrrs={size}&ranges={folder / 'ranges'}")
            done = subprocess.run([session.kioku, "read", url, hex(COMPLETER_START), str(WRITTEN),
                                   "--physical", "-o", target], capture_output=True, text=True,
                                  timeout=PATIENCE, env=environment())
            if done.returncode or target.read_bytes() != content:
                yield f"mrrs={size}: exit status {done.returncode}: {done.stderr[-300:]}"


def fill(remote, local, content):
    """By memory writes, as the target's host would; again until its last word is there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind((local, COMPLETER_PORT))
        made.settimeout(0.2)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for at in range(0, len(content), 128):
                made.sendto(wire.header() + wire.encode_request(
                    wire.Read(COMPLETER_START + at, 128), wire.WRITE, content[at:at + 128]),
                    (remote, COMPLETER_PORT))
            last = wire.Read(COMPLETER_START + len(content) - 128, 128)
            made.sendto(wire.encode_read(last), (remote, COMPLETER_PORT))
            with contextlib.suppress(OSError):  # it may not have begun to listen
                if wire.decode_completion(made.recv(65536)).data == content[-128:]:
                    return
