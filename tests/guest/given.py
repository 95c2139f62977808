# SPDX-License-Identifier: LGPL-2.1-or-later
"""Types and symbols from files: what fits the image gives the rows that its own give, all else is refused."""

import os
from pathlib import Path

from tool import unmarked

VIEWS = ("ps", "pstree", "threads", "maps", "lsof", "modules")


def btf_of(tool, known, path):
    """The kernel's BTF, as /sys/kernel/btf/vmlinux has it; False: there is none."""
    start, stop = known.address("__start_BTF"), known.address("__stop_BTF")
    if not start or not stop:
        return False
    result = tool.run("read", known.ram_path, hex(start), stop - start, "--format", "raw")
    path.write_bytes(result.stdout)
    return result.status == 0 and len(result.stdout) == stop - start


def same_rows(tool, known, *options):
    for view in VIEWS:
        own = tool.run(view, known.ram_path, "--format", "json")
        given = tool.run(view, known.ram_path, "--format", "json", *options)
        if given.status != own.status or given.stdout != own.stdout:
            yield f"not what {view} shows without: {given.describe()}"


def refused(tool, known, *options):
    """By another kernel, without a row and with a reason; by force with a warning, in info as well."""
    result = tool.run("ps", known.ram_path, *options)
    if result.status != 1 or result.stdout or "does not fit this image" not in result.stderr:
        yield f"not refused: {result.describe()}"
    forced = tool.run("info", known.ram_path, "--format", "json", "--force", *options)
    if "is used by force, although" not in forced.stderr or b'"forced"' not in forced.stdout:
        yield f"not said to be forced: {forced.describe()}"
    for view in (*VIEWS, "symbols"):
        yield from unmarked(tool, "forced", view, known.ram_path, "--force", *options)


def types(tool, known, folder, other=None):
    path = folder / "own.btf"
    if not btf_of(tool, known, path):
        yield "cannot read the kernel's BTF"
        return None
    yield from same_rows(tool, known, "--types", path)
    yield from same_rows(tool, known, "--types", path, "--no-btf")
    result = tool.run("ps", known.ram_path, "--types", path, "--no-btf")
    if "nothing in" not in result.stderr:
        yield f"not said that nothing tells whose types these are: {result.describe()}"
    data = path.read_bytes()
    path.write_bytes(data[:len(data) // 2])
    result = tool.run("ps", known.ram_path, "--types", path)
    if result.status != 1 or result.stdout:
        yield f"half of the BTF: {result.describe()}"
    if other and other.before["build_id"] != known.before["build_id"] and btf_of(tool, other, path):
        yield from refused(tool, known, "--types", path)
    path.unlink()
    return None


def symbols(tool, known, other=None):
    yield from same_rows(tool, known, "--symbols", known.folder / "truth-kallsyms.txt")
    if other and other.before["build_id"] != known.before["build_id"]:
        yield from refused(tool, known, "--symbols", other.folder / "truth-kallsyms.txt")


def saved(tool, known, folder):
    """A profile says where its types came from, when it is used."""
    btf, profile = folder / "own.btf", folder / "given.profile"
    if not btf_of(tool, known, btf):
        yield "cannot read the kernel's BTF"
        return
    result = tool.run("profile", known.ram_path, "--types", btf, "-o", profile)
    if result.status:
        yield result.describe()
        return
    info = tool.run("info", known.ram_path, "--profile", profile)
    if str(btf).encode() not in info.stdout or b"kept in a profile" not in info.stdout:
        yield f"it does not say where its types came from: {info.describe()}"
    yield from same_rows(tool, known, "--profile", profile)
    yield from same_rows(tool, known, "--types", profile)
    btf.unlink()
    profile.unlink()


def cached(tool, plain, known, folder):
    """What was given is not kept in the cache, and not replaced by what is there."""
    btf = folder / "own.btf"
    if not btf_of(plain, known, btf):
        yield "cannot read the kernel's BTF"
        return
    tool.run("ps", known.ram_path, "--types", btf)
    if list(Path(tool.cache).rglob("*.kioku-profile")):
        yield "types that were given are in the cache"
    tool.run("ps", known.ram_path)
    info = tool.run("info", known.ram_path, "--types", btf)
    if str(btf).encode() not in info.stdout:
        yield f"the cache took the place of what was given: {info.describe()}"
    btf.unlink()


def debug_file(known):
    """The vmlinux with DWARF of this kernel, if the test bench has it."""
    return Path(os.environ.get("KIOKU_PEERS", "/nonexistent")) / f"vmlinux-{known.facts['release']}"


def dwarf(tool, known):
    yield from same_rows(tool, known, "--types", debug_file(known), "--no-btf")
    yield from same_rows(tool, known, "--symbols", debug_file(known))
    info = tool.run("info", known.ram_path, "--types", debug_file(known))
    if b"(DWARF): its build id is the image's" not in info.stdout:
        yield f"not known by its build id: {info.describe()}"
