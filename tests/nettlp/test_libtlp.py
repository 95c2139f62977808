# SPDX-License-Identifier: LGPL-2.1-or-later
"""libtlp's own programs against kioku serve, as they are built, unmodified, in $KIOKU_PEERS/libtlp."""

import os
import re
import subprocess
from pathlib import Path

from processes import PATIENCE
from serving import Serve, differences

HIGH = 0x100000
NAMES = ("test_dma_read", "test_dma_write", "test_msg_devid", "test_msg_bar4", "test_msg_msix",
         "tlpperf")


def start_all(session):
    programs = find()
    for name, test in (("test_dma_read", dma_read), ("test_dma_write", dma_write),
                       ("test_msg_devid", device_id), ("test_msg_bar4", bar4),
                       ("test_msg_msix", vectors), ("tlpperf", performance)):
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
                          timeout=PATIENCE)
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


def performance(session, program):
    """All its tags at once, for a while; nothing is said about how fast that was."""
    with Serve(session, session.image) as serve:
        said(program, "-r", serve.remote, "-l", serve.local, "-b", "01:00", "-d", "read", "-a",
             hex(HIGH), "-s", 1 << 20, "-L", 512, "-N", 16, "-R", "diff", "-P", "seq", "-t", 1)
        summary = serve.stop()
    yield from differences(summary, outside=0, malformed=0, absent=0, translated=0, unsent=0)
    if summary["bytes"] != 512 * summary["requests"] or summary["requests"] < 16:
        yield f"{summary}"
