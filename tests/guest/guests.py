# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which guests to boot: a seeded sample in which as many pairs of values as possible meet, or the
whole matrix; and booting them, one ahead of the tests."""

import itertools
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BOOT = Path(__file__).resolve().parents[2] / "lab/boot"

AXES = {
    "kernel": ("bookworm", "backports"),
    "levels": (5, 4),
    "kaslr": (True, False),
    "memory": (512, 1024, 5120),
    "ending": ("stopped", "panicked", "reset"),
    "pti": (False, True),
    "machine": ("q35", "pc"),
}
# Other kernels of the lab, for --full: layouts of 5.10, of 7.x, without and with other options.
OTHERS = ("bookworm-cloud", "bullseye", "trixie", "trixie-cloud", "trixie-rt", "sid", "sid-cloud")


def pairs(guest):
    return set(itertools.combinations(guest.items(), 2))


def covering(seed):
    """Guests that make every pair of values meet, those that bring the most new pairs first."""
    generator = random.Random(seed)
    every = [dict(zip(AXES, values)) for values in itertools.product(*AXES.values())]
    generator.shuffle(every)
    missing = set().union(*map(pairs, every))
    while missing:
        best = max(every, key=lambda guest: len(pairs(guest) & missing))
        missing -= pairs(best)
        yield best


def sample(seed, count):
    """The first of a covering, of those for which both kernels, all sizes and endings are there."""
    for attempt in itertools.count():
        chosen = list(itertools.islice(covering(f"{seed}/{attempt}"), count))
        if all({guest[axis] for guest in chosen} >= set(AXES[axis])
               for axis in AXES if len(AXES[axis]) <= count):
            return chosen


def matrix(seed):
    """All pairs, then every combination of what the tests must show, then the other kernels."""
    guests = list(covering(seed))
    for kernel, levels, kaslr, memory, ending in itertools.product(
            AXES["kernel"], AXES["levels"], AXES["kaslr"], (512, 5120), ("stopped", "panicked")):
        guests.append({"kernel": kernel, "levels": levels, "kaslr": kaslr, "memory": memory,
                       "ending": ending, "pti": False, "machine": "q35"})
    for kernel in OTHERS:
        guests.append({"kernel": kernel, "levels": 5, "kaslr": True, "memory": 1024,
                       "ending": "stopped", "pti": False, "machine": "q35"})
        guests.append({"kernel": kernel, "levels": 4, "kaslr": False, "memory": 5120,
                       "ending": "panicked", "pti": True, "machine": "q35"})
    return list({name(guest): guest for guest in guests}.values())


def name(guest):
    return "-".join([guest["kernel"], f"{guest['memory']}m", f"{guest['levels']}l",
                     "kaslr" if guest["kaslr"] else "nokaslr", guest["ending"],
                     *(["pti"] if guest["pti"] else []),
                     *(["pc"] if guest["machine"] == "pc" else [])])


def boot(guest, folder):
    """Returns None, or why it could not be booted."""
    append = [*([] if guest["kaslr"] else ["nokaslr"]), *(["pti=on"] if guest["pti"] else [])]
    command = [BOOT, "--kernel", guest["kernel"], "--memory", str(guest["memory"]),
               "--cpu", "max" if guest["levels"] == 5 else "max,la57=off",
               "--machine", guest["machine"], f"--append={' '.join(append)}",
               "-o", folder]
    command += {"panicked": ["--panic"], "reset": ["--reset-once"], "stopped": []}[guest["ending"]]
    if guest["memory"] <= 1024:
        command += ["--dump", "elf,elf-paging,kdump-zlib"]
    shutil.rmtree(folder, ignore_errors=True)
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True)
    return f"lab/boot failed: {done.stderr.strip()[-500:]}" if done.returncode else None


def booted(guests, folder):
    """Yields (name, folder, None or why it failed), the next guest booting meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        coming = [(name(guest), folder / name(guest), pool.submit(boot, guest,
                                                                  folder / name(guest)))
                  for guest in guests]
        try:
            for title, place, future in coming:
                yield title, place, future.result()
        finally:
            for _, _, future in coming:
                future.cancel()
