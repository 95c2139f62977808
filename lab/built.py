# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kernels of the lab that are built here, of Debian's kernel source packages, one for each fragment
of configurations/: their types are nowhere in their memory, and their DWARF lies beside them.

A kernel is built when it is asked for and not in the cache, or when its fragments have changed since.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

import kernels

CONFIGURATIONS = Path(__file__).resolve().parent / "configurations"
PREFIX = "built-"
COMMON = "common"
JOBS = os.environ.get("KIOKU_LAB_JOBS", "2")

# The suite whose source a configuration is for, by how it is called: (lab name, source package).
SOURCES = {"bullseye-": ("bullseye", "linux-source-5.10"), "": ("bookworm", "linux-source-6.1")}

# Nothing of this machine in what is built, and the same bytes from the same source.
IDENTITY = {"KBUILD_BUILD_USER": "kioku", "KBUILD_BUILD_HOST": "lab",
            "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 2026"}
NEEDS = ["make", "gcc", "flex", "bison", "bc", "kmod"]

# What compiling code for a kernel needs of its objects, and where it is kept.
OBJECTS = "objects"
COMPILING = [".config", "Makefile", "include", "arch/x86/include", "scripts"]
# The head of a unit that says in its assembly where members are.
PROBE = """\
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/fs.h>
#include <linux/fdtable.h>
#include <linux/dcache.h>
void probe(void);
void probe(void)
{
"""


def names():
    """The lab names of all kernels that can be built."""
    return sorted(PREFIX + path.stem for path in CONFIGURATIONS.glob("*.config")
                  if path.stem != COMMON)


def folder_of(name):
    return kernels.CACHE / "built" / name.removeprefix(PREFIX)


def is_ready(name):
    """Is the kernel in the cache, and of the fragments as they are now?"""
    stored = folder_of(name) / "kernel.json"
    return stored.exists() and json.loads(stored.read_text())["package"].endswith(digest(name))


def lacking(name):
    """What this machine has not, of what building the kernel needs; "" if it has all."""
    missing = [program for program in NEEDS if not shutil.which(program)]
    return f"not installed: {', '.join(missing)}" if missing else ""


def build(name):
    """Build the kernel with a lab name into its folder; kernels.get() calls it, alone."""
    if missing := lacking(name):
        raise kernels.FetchError(f"{name}: {missing}")
    with kernels.alone():
        tree = source(name)
    target = folder_of(name)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=target.parent) as objects:
        make = Make(tree, Path(objects), target / "build.log")
        configure(name, make)
        kernels.say(f"{name}: building")
        make("bzImage", *(["modules"] if make.has("MODULES") else []))
        release = make("-s", "kernelrelease").strip()
        keep(make, target, release)
    # The last of all: a folder that has it is complete.
    (target / "kernel.json").write_text(json.dumps({
        "name": name, "release": release,
        "package": f"{tree.name}_{(tree / '.version-of-package').read_text()}_{digest(name)}",
        }, indent=1) + "\n")
    kernels.say(f"{name}: {release} built in {time.monotonic() - started:.0f} s")


def digest(name):
    return kernels.digest_of([fragment(COMMON), fragment(name)])


def fragment(name):
    return CONFIGURATIONS / f"{name.removeprefix(PREFIX)}.config"


class Make:
    """make for one tree and one folder of objects; what it says is in a log."""

    def __init__(self, tree, objects, log):
        self.tree, self.objects, self.log = tree, objects, log

    def __call__(self, *arguments, **environment):
        command = ["nice", "-n", "19", "make", "-C", self.tree, f"O={self.objects}", f"-j{JOBS}",
                   "ARCH=x86_64", *arguments]
        with open(self.log, "ab") as log:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True,
                                  env={**os.environ, **IDENTITY, **environment})
            log.write(done.stdout.encode())
        if done.returncode:
            end = self.log.read_text(errors="backslashreplace")[-1000:]
            raise kernels.FetchError(f"make {' '.join(map(str, arguments))}: {end}; {self.log} says more")
        return done.stdout

    def config(self):
        """{option: value} of .config, without the prefix of their names; what is off is not there."""
        return options((self.objects / ".config").read_text())

    def has(self, option):
        return self.config().get(option) == "y"


def options(text):
    return dict(re.findall(r"^CONFIG_(\w+)=(.*)$", text, re.M))


def configure(name, make):
    """allnoconfig with the fragments. What they ask for and the source does not give is an error: a
    test would believe that it has been there."""
    text = fragment(COMMON).read_text() + fragment(name).read_text()
    text += f'CONFIG_LOCALVERSION="-{name.removeprefix(PREFIX)}"\n'
    wanted = make.objects / "wanted.config"
    wanted.write_text(text)
    make("allnoconfig", KCONFIG_ALLCONFIG=str(wanted))
    real = make.config()
    asked = dict(re.findall(r"^(?:# )?CONFIG_(\w+)(?:=| is not set)(.*)$", text, re.M))
    without_modules = "MODULES" not in real
    refused = []
    for option, value in asked.items():
        if without_modules and value == "m":
            value = "y"
        if real.get(option, "") != value:
            refused.append(f"{option} is {real.get(option, 'off')}, not {value or 'off'}")
    if refused:
        raise kernels.FetchError(f"{name}: the source will not have it so: {'; '.join(refused)}")


def keep(make, target, release):
    """What is needed later: the kernel, its configuration, symbols, DWARF and modules."""
    for there, here in (("arch/x86/boot/bzImage", "vmlinuz"), (".config", "config"),
                        ("System.map", "System.map"), ("vmlinux", "vmlinux")):
        shutil.copy(make.objects / there, target / here)
    if make.has("MODULES"):
        make("modules_install", f"INSTALL_MOD_PATH={make.objects}/installed", "INSTALL_MOD_STRIP=1")
        shutil.copytree(make.objects / f"installed/lib/modules/{release}", target / "modules",
                        ignore=shutil.ignore_patterns("build", "source"))
    if make.has("RANDSTRUCT"):
        # Code with this kernel's layouts comes only of the compiler's plugin with this build's seed.
        for part in COMPILING:
            copy = shutil.copytree if (make.objects / part).is_dir() else shutil.copy
            (target / OBJECTS / part).parent.mkdir(parents=True, exist_ok=True)
            copy(make.objects / part, target / OBJECTS / part)


def offsets(name, wanted):
    """{(type, member): offset} as the compiler lays structures out in a kernel that was built with
    RANDSTRUCT; None: it knows no such member."""
    rest = sorted(wanted)
    found = dict.fromkeys(rest)
    with tempfile.TemporaryDirectory(dir=folder_of(name)) as folder:
        source_file, log = Path(folder) / "probe.c", Path(folder) / "log"
        (Path(folder) / "Kbuild").write_text("obj-m := probe.o\n")
        make = Make(source(name), folder_of(name) / OBJECTS, log)
        while rest:
            source_file.write_text(PROBE + "".join(
                f'#line {line} "member"\n'
                f'asm("\\n={kind} {member} %c0" :: "i"(__builtin_offsetof(struct {kind}, {member})));\n'
                for line, (kind, member) in enumerate(rest)) + "}\n")
            log.write_text("")
            try:
                make(f"M={folder}", "probe.s")
                break
            except kernels.FetchError:
                unknown = {int(line) for line in re.findall(r"^member:(\d+):.* error:", log.read_text(), re.M)}
                if not unknown:
                    raise
                rest = [place for line, place in enumerate(rest) if line not in unknown]
        if rest:
            text = source_file.with_suffix(".s").read_text()
            for kind, member, offset in re.findall(r"^=(\S+) (\S+) (\d+)\b", text, re.M):
                found[kind, member] = int(offset)
    return found


def source(name):
    """The unpacked source for a configuration; fetched if it is not here yet."""
    suite, package = next(source for start, source in SOURCES.items()
                          if name.removeprefix(PREFIX).startswith(start))
    tree = kernels.CACHE / "source" / package
    marker = tree / ".version-of-package"
    if not marker.exists():
        root = kernels.private_apt(kernels.NAMES[suite][0])
        kernels.update(root)
        deb = kernels.download_packages(root, [package])[0]
        shutil.rmtree(tree, ignore_errors=True)
        tree.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=tree.parent) as folder:
            subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
            kernels.say(f"unpacking {package}")
            with tarfile.open(next(Path(folder).glob(f"usr/src/{package}.tar.*"))) as archive:
                archive.extractall(tree.parent)
        marker.write_text(deb.name.split("_")[1])
        deb.unlink()
    return tree
