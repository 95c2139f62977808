# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kernel modules of the lab, each folder of lab/modules, for a kernel of the lab."""

import shutil
import sys

import kernels

FOLDER = kernels.LAB / "modules"


def modules(folder, name):
    """{module: path of its .ko} of a folder of lab/modules, for the kernel of a lab name; built if
    these sources have not been yet."""
    kernel = kernels.get(name)
    digest = kernels.digest_of(sources(folder))
    target = kernels.CACHE / "module" / f"{folder}-{kernel.name}-{kernel.release}-{digest}"
    kernels.made_of_headers(target.resolve(), name, lambda headers, target: build(folder, headers,
                                                                                 target))
    return {path.stem: path for path in target.glob("*.ko")}


def sources(folder):
    return sorted(path for path in (FOLDER / folder).iterdir() if path.is_file())


def build(folder, headers, target):
    work = target.parent / f"{target.name}.build"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for source in sources(folder):
        shutil.copy(source, work)
    kernels.make_module(f"the modules of {folder}", headers, "-C", headers, f"M={work}", "modules")
    made = target.parent / f"{target.name}.made"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    for module in work.glob("*.ko"):
        shutil.move(module, made)
    shutil.rmtree(work)
    made.rename(target)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: lab_module.py FOLDER KERNEL")
    for path in modules(*sys.argv[1:]).values():
        print(path)
