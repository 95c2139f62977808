# SPDX-License-Identifier: LGPL-2.1-or-later
"""LiME's kernel module for a kernel of the lab, from Debian's package of its source."""

import shutil
import subprocess
import sys

import kernels

PACKAGE = "lime-forensics-dkms"


def module(name):
    """Path of lime.ko for the kernel of a lab name, built if it is not here yet."""
    kernel = kernels.get(name)
    target = (kernels.CACHE / "lime" / f"{kernel.name}-{kernel.release}.ko").resolve()
    return kernels.made_of_headers(target, name, build)


def build(headers, target):
    work = target.with_suffix(".build")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    [deb] = kernels.download_packages(kernels.private_apt(["bookworm"]), [PACKAGE])
    subprocess.run(["dpkg-deb", "-x", deb, work], check=True)
    deb.unlink()
    [source] = work.glob("usr/src/lime-forensics-*")
    # Its own Makefile wants the running kernel; this is the part of it that kbuild reads.
    (source / "Makefile").write_text("obj-m := lime.o\n"
                                     "lime-objs := tcp.o disk.o main.o hash.o deflate.o\n")
    kernels.make_module("LiME", headers, "-C", headers, f"M={source}", "modules", may_warn=True)
    shutil.move(source / "lime.ko", target)
    shutil.rmtree(work)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: lime.py NAME")
    print(module(sys.argv[1]))
