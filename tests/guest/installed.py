# SPDX-License-Identifier: LGPL-2.1-or-later
"""The public library as others use it: examples/pslist.c, built from an installed copy by
pkg-config, as C and as C++, on an image."""

import os
import shutil
import subprocess
from pathlib import Path

import known as knowns

TOP = Path(__file__).resolve().parents[2]


def command(*words, **how):
    done = subprocess.run(list(map(str, words)), capture_output=True, **how)
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {done.stderr.decode(errors='replace').strip()[-500:]}")
    return done.stdout


def install(build, folder):
    """Installs what is in a build folder below another one; returns the environment for pkg-config."""
    root = folder / "root"
    command("meson", "install", "-C", build, "--no-rebuild", "--destdir", root)
    return {**os.environ, "PKG_CONFIG_PATH": str(next(root.rglob("kioku.pc")).parent),
            "PKG_CONFIG_SYSROOT_DIR": str(root),
            "LD_LIBRARY_PATH": str(next(root.rglob("libkioku.so")).parent)}


def example(known, build, folder):
    source = TOP / "examples/pslist.c"
    if len(source.read_text().splitlines()) > 30:
        yield f"{source.name} has more than 30 lines"
    environment = install(build, folder)
    flags = command("pkg-config", "--cflags", "--libs", "kioku", env=environment).decode().split()
    strict = ("-Wall", "-Wextra", "-Werror", "-pedantic", "-Wno-unused-parameter")
    command("gcc", "-std=c11", *strict, "-o", folder / "pslist", source, *flags)
    if shutil.which("g++"):
        header = folder / "header.cpp"
        header.write_text("#include <kioku/kioku.h>\n")
        command("g++", "-std=c++17", *strict, "-c", "-o", folder / "header.o", header, *flags)
    shown = command(folder / "pslist", known.ram_path, env=environment)
    found = {(int(line[:6]), line[8:]) for line in lines(shown)}
    for tid, seen in known.tasks.items():
        if seen[0]["pid"] == tid and known.steady(tid) and \
                not any((tid, name) in found for name in known.names(tid)):
            yield f"process {tid} {knowns.name(seen[0])} is missing"
    installed = {path.name for path in (folder / "root").rglob("*") if path.is_file()}
    for name in ("kioku", "kioku.h", "kioku.pc", "kioku.1", "kioku-ps.1"):
        if name not in installed:
            yield f"{name} is not installed"
    return f"{len(found)} processes"


def lines(shown):
    """A name may hold a line feed: what starts with no number goes on with the line before."""
    found = []
    for line in shown.split(b"\n")[:-1]:
        if line[:6].strip().isdigit() and line[6:8] == b"  ":
            found.append(line)
        else:
            found[-1] += b"\n" + line
    return found
