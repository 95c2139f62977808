# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our kernel module for a kernel of the lab."""

import hashlib
import shutil
import subprocess
import sys

import kernels

TOP = kernels.LAB.parent


def module(name):
    """Path of kioku.ko for the kernel of a lab name, built if these sources have not been yet."""
    kernel = kernels.get(name)
    target = (kernels.CACHE / "module" / f"{kernel.name}-{kernel.release}-{digest()}.ko").resolve()
    return kernels.made_of_headers(target, name, build)


def sources():
    """What the module is made of, the layouts that it shares with user space too."""
    return [TOP / "module/Kbuild", TOP / "module/Makefile", *sorted(TOP.glob("module/*.[ch]")),
            TOP / "src/format/lime_layout.h", TOP / "src/format/module_device.h"]


def digest():
    hashed = hashlib.sha256()
    for source in sources():
        hashed.update(source.read_bytes())
    return hashed.hexdigest()[:12]


def build(headers, target):
    work = target.with_suffix(".build")
    shutil.rmtree(work, ignore_errors=True)
    for source in sources():
        copy = work / source.relative_to(TOP)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    kernels.say(f"building kioku.ko with {headers.name}")
    # Debian's headers name the compiler of their own suite, which need not be installed here.
    done = subprocess.run(["make", "-C", work / "module", f"KDIR={headers}", "CC=gcc"],
                          capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode or "warning:" in said.replace("warning: the compiler differs", ""):
        raise kernels.FetchError(f"kioku.ko: {said.strip()[-800:]}")
    shutil.move(work / "module/kioku.ko", target)
    shutil.rmtree(work)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: kioku_module.py NAME")
    print(module(sys.argv[1]))
