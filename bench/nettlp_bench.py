# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reading a machine over NetTLP, through kioku's endpoint with 12 us of latency: what it costs to list its
processes, and how fast its memory comes, against libtlp's own programs through the same endpoint."""

import contextlib
import json
import os
import re
import signal
import statistics
import subprocess

from measure import PEERS, Line, Skipped, mib, run

NEEDS_GUEST = True  # as lines() gets it
REMOTE, LOCAL = "127.0.8.2", "127.0.8.1"
START, SIZE = 16 << 20, 64 << 20  # of memory that is read
SECONDS, ROUNDS = 3, 3
BAD = ("--loss", "1", "--duplicate", "1", "--reorder", "1", "--late", "0.1:600ms")
BYTES_GOAL, REQUESTS_GOAL = 10_000_000, 20_000
WARM_BYTES_GOAL, WARM_REQUESTS_GOAL = 256 << 10, 1000


@contextlib.contextmanager
def endpoint(kioku, image, *options):
    with subprocess.Popen([kioku, "serve", image, "--nettlp", REMOTE, "--latency", "12us", "--json",
                           *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        if not process.stdout.readline():
            raise Skipped("kioku serve does not start")
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.stdout.read()


def url(**parameters):
    return f"nettlp://{REMOTE}?local={LOCAL}" + "".join(f"&{name}={value}" for name, value in
                                                        parameters.items())


def stats(kioku, *words, **how):
    """{unit: number} of what --stats says."""
    text = run([kioku, *words, "--stats"], **how)[2]
    return {unit: int(number) for number, unit in
            re.findall(r"(\d+) (\w+)", text.strip().splitlines()[-1])}


def costs(kioku, folder):
    home = {"env": os.environ | {"XDG_CACHE_HOME": str(folder)}}
    cold = stats(kioku, "ps", url(), **home)
    warm = stats(kioku, "ps", url(), **home)
    for name, found, goals in (("cold", cold, (BYTES_GOAL, REQUESTS_GOAL)),
                               ("with a saved profile", warm, (WARM_BYTES_GOAL,
                                                               WARM_REQUESTS_GOAL))):
        yield Line(f"`ps` over NetTLP, {name}: bytes / goal", mib(found["bytes"]), mib(goals[0]),
                   found["bytes"] / goals[0], 1)
        yield Line(f"`ps` over NetTLP, {name}: requests / goal", str(found["requests"]),
                   str(goals[1]), found["requests"] / goals[1], 1)


def rate(kioku, folder, **parameters):
    """Bytes in a second, of a part of memory; after the kernel was found."""
    target = folder / "memory"
    words = ["read", url(**parameters), hex(START), "--physical", "-o", target]
    little = run([kioku, *words[:3], 4096, *words[3:]])[0]
    seconds = run([kioku, *words[:3], SIZE, *words[3:]])[0]
    target.unlink()
    return SIZE / max(seconds - little, 1e-3)


def tlpperf(size, tags):
    """What libtlp's benchmark says, in bytes a second."""
    _, text, _ = run(["timeout", "60", PEERS / "libtlp/tlpperf", "-r", REMOTE, "-l", LOCAL, "-b",
                      "01:00", "-d", "read", "-a", hex(START), "-s", 8 << 20, "-L", size, "-N", tags,
                      "-R", "diff", "-P", "seq", "-t", SECONDS])
    found = [int(number) for number in re.findall(r"(\d+) bps", text)]
    if not found:
        raise Skipped(f"tlpperf says {text[-200:]}")
    return statistics.median(found) / 8


def speeds(kioku, folder):
    if not (PEERS / "libtlp/tlpperf").exists():
        yield Skipped("there is no libtlp in $KIOKU_PEERS")
        return
    for what, ours, theirs, goal in (
            ("reads of 512 bytes, 32 tags / libtlp's tlpperf, 16 tags",
             {}, (512, 16), 0.5),
            ("reads of 512 bytes, 32 tags / one dma_read() after the other", {}, (512, 1), 0.5),
            ("reads of 4096 bytes, 64 tags / libtlp's tlpperf at its best, 2048 bytes, 16 tags",
             {"mrrs": 4096, "tags": 64}, (2048, 16), 0.5)):
        pairs = [(rate(kioku, folder, **ours), tlpperf(*theirs)) for _ in range(ROUNDS)]
        mine, other = (statistics.median(rates) for rates in zip(*pairs))
        yield Line(f"memory over NetTLP, {what}: time for a byte", f"{mib(mine)}/s",
                   f"{mib(other)}/s", other / mine, goal)


def lossy(kioku, image, folder, parameters):
    pairs = []
    for _ in range(ROUNDS):
        with endpoint(kioku, image):
            good = rate(kioku, folder, **parameters)
        with endpoint(kioku, image, *BAD):
            pairs.append((good, rate(kioku, folder, **parameters)))
    good, bad = (statistics.median(rates) for rates in zip(*pairs))
    return Line(f"memory over NetTLP, {parameters['tags']} tags, 1 % loss, duplicates, reordering, "
                "0.1 % 600 ms late / none of it", f"{mib(bad)}/s", f"{mib(good)}/s", good / bad, 1.5)


def lines(kioku, booted, folder):
    """Every line of this bench; a Skipped in place of what cannot be had."""
    image = booted / json.loads((booted / "guest.json").read_text())["dumps"]["elf"]
    try:
        with endpoint(kioku, image):
            yield from costs(kioku, folder)
            yield from speeds(kioku, folder)
        for tags in (32, 128):
            yield lossy(kioku, image, folder, {"tags": tags})
    except (Skipped, OSError) as reason:
        yield Skipped(f"NetTLP: {reason}")
