# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our kernel module for a kernel of the lab."""

import shutil
import sys

import kernels

TOP = kernels.LAB.parent


def module(name):
    """Path of kioku.ko for the kernel of a lab name, built if these sources have not been yet."""
    kernel = kernels.get(name)
    digest = kernels.digest_of(sources())
    target = kernels.CACHE / "module" / f"{kernel.name}-{kernel.release}-{digest}.ko"
    return kernels.made_of_headers(target.resolve(), name, build)


def sources():
    """What the module is made of, the layouts that it shares with user space too."""
    return [TOP / "module/Kbuild", TOP / "module/Makefile", *sorted(TOP.glob("module/*.[ch]")),
            TOP / "src/format/lime_layout.h", TOP / "src/format/module_device.h"]


def build(headers, target):
    work = target.with_suffix(".build")
    shutil.rmtree(work, ignore_errors=True)
    for source in sources():
        copy = work / source.relative_to(TOP)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    kernels.make_module("kioku.ko", headers, "-C", work / "module", f"KDIR={headers}")
    shutil.move(work / "module/kioku.ko", target)
    shutil.rmtree(work)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: kioku_module.py NAME")
    print(module(sys.argv[1]))
