# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests whose kernels were built by the lab, without BTF and in configurations that move the members of
task_struct: what kioku works out from memory, against the guest's own word and the kernel's DWARF. Each
test yields problems."""

import re
import shutil
import subprocess
import sys

import built
import compare
import configurations
import kernels
import memory
from guests import BOOT
from known import Known

# What ps, pstree, threads, args and maps stand on.
NEEDED = ("task_struct", "signal_struct", "cred", "mm_struct", "vm_area_struct")
OTHER_NAMES = {"__state": "state", "d_iname": "d_shortname.string"}
LEAST = 0.95  # of the members that those views need
# Which may not be worked out, but must not be told wrongly. The compiler's plugin moves members after their debug
# information was made: that has them where they are declared, and is no judge. What it compiles is one.
RANDOMISED = "RANDSTRUCT_FULL"


class Kernel:
    """A kernel of the lab that was built, with its guest."""

    def __init__(self, name, folder):
        self.name, self.known = name, Known(folder)
        self.image = self.known.ram_path
        self.folder = kernels.get(name).folder
        self.vmlinux, self.map = self.folder / "vmlinux", self.folder / "System.map"
        self.options = built.options((self.folder / "config").read_text())

    def has(self, option):
        return self.options.get(option) == "y"


# --- the configuration

def kconfig(tool, kernel):
    """All of it where it is built in; elsewhere what the kernel's symbols show, and nothing wrong. That there are no
    types is a gap in both."""
    if kernel.has("IKCONFIG"):
        yield from configurations.compared(tool.run("kconfig", kernel.image),
                                           configurations.told(kernel.name), 3)
        return "built in"
    result = tool.run("kconfig", kernel.image, "--format", "json")
    if not kernel.has("KALLSYMS") and result.status == 1 and "no configuration" in result.stderr:
        return "nothing shows it"
    if result.status != 3:
        yield result.describe()
    options = set(configurations.told(kernel.name))
    for row in result.rows():
        if f"{row['name']}={row['value']}" not in options:
            yield f"{row['name']}={row['value']}, {row['certainty']}, by {row['confirmed_by']}"
    return f"{len(result.rows())} options"


# --- the members

def offsets(kernel, wanted):
    """{(type, member): offset} as gdb has them of the kernel's DWARF, or as the compiler's plugin makes them;
    None: there is no such member."""
    if kernel.has(RANDOMISED):
        return built.offsets(kernel.name, wanted)
    names = sorted(wanted)
    script = [f'printf "{kind} {member} %lu\\n", (unsigned long) &((struct {kind} *) 0)->{member}'
              for kind, member in names]
    done = subprocess.run(["gdb", "-nx", "-batch", *(word for line in script for word in ("-ex", line)),
                           kernel.vmlinux], capture_output=True, text=True)
    found = {(kind, member): int(offset) for kind, member, offset in
             re.findall(r"^(\S+) (\S+) (\d+)$", done.stdout, re.M)}
    return {name: found.get(name) for name in names}


def places(tool, kernel, *options, status):
    """{(type, member): offset} of the members that kioku has found."""
    return {(row["type"], row["member"]): row["offset"]
            for row in tool.rows("members", kernel.image, *options, status=status)
            if row["offset"] is not None}


def also_known_as(name):
    return name[0], OTHER_NAMES.get(name[1], name[1])


def wrong_places(found, kernel):
    right = offsets(kernel, {*found, *map(also_known_as, found)})
    for name, offset in sorted(found.items()):
        true = right[name] if right[name] is not None else right[also_known_as(name)]
        if true != offset:
            yield f"{'.'.join(name)} is at {true}, not at {offset}"


def members(tool, kernel):
    """None at a wrong place; most of those that the views need, unless they are where chance has put them."""
    found = places(tool, kernel, status=3)
    yield from wrong_places(found, kernel)
    if kernel.has(RANDOMISED):
        return f"{len(found)} in all"
    needed = {also_known_as(name) for name in places(tool, kernel, "--types", kernel.vmlinux, status=0)
              if name[0] in NEEDED}
    there = needed & set(map(also_known_as, found))
    if len(there) < LEAST * len(needed):
        yield f"not found: {', '.join(sorted('.'.join(name) for name in needed - there))}"
    return f"{len(there)} of {len(needed)}, {len(found)} in all"


def given_types(tool, kernel):
    found = places(tool, kernel, "--types", kernel.vmlinux, status=0)
    yield from wrong_places(found, kernel)
    return f"{len(found)} members"


def false_types(tool, kernel):
    """Debug information that is not true of the image is refused, as any that does not fit."""
    result = tool.run("members", kernel.image, "--types", kernel.vmlinux)
    if result.status != 1 or result.stdout or "does not fit this image" not in result.stderr:
        yield result.describe()


# --- the views

def is_refused(tool, kernel, view):
    """A kernel whose layouts cannot be worked out may have none of a view, and says why."""
    result = tool.run(view, kernel.image, "--format", "json")
    return kernel.has(RANDOMISED) and result.status == 1 and not result.stdout and result.stderr


def inferred(tool, kernel, test, *options):
    """The same test as for a kernel with types; that they are worked out is said."""
    if is_refused(tool, kernel, test.__name__):
        return "refused"
    result = tool.run(test.__name__, kernel.image)
    if "layouts are inferred" not in result.stderr:
        yield f"not said to be inferred: {result.describe()}"
    return (yield from test(tool.ending_with(3), kernel.known, kernel.image, *options))


def by_options(tool, kernel, test, status, *options):
    other = tool.ending_with(status)
    rows = other.rows
    other.rows = lambda *words, **how: rows(*words, *options, **how)
    return (yield from test(other, kernel.known, kernel.image))


def by_types(tool, kernel, test):
    """With the types of its DWARF, and the symbols of its System.map: it may have none in memory."""
    return (yield from by_options(tool, kernel, test, 0, "--types", kernel.vmlinux, "--symbols", kernel.map))


# What may be missing, if it is said: the names of memfds, which a function makes that nothing leads to.
LACKING_NAMES = True
VIEWS = {compare.ps: (), compare.pstree: (), compare.threads: (), memory.args: (),
         memory.maps: (LACKING_NAMES,)}


# --- layouts from the source

def layouts(tool, kernel, folder):
    """The source and the configuration alone say what the DWARF says. Layouts at random are in neither."""
    path = folder / "source.types"
    with kernels.alone():
        source = built.source(kernel.name)
    result = tool.run("layout", "--source", source, "--config", kernel.folder / "config", "-o", path,
                      timeout=1200)
    if kernel.has(RANDOMISED):
        if result.status != 1 or "at random" not in result.stderr or path.exists():
            yield result.describe()
        return "refused"
    if result.status:
        yield result.describe()
        return None
    found = places(tool, kernel, "--types", path, status=0)
    yield from wrong_places(found, kernel)
    missing = places(tool, kernel, "--types", kernel.vmlinux, status=0).keys() - found.keys()
    if missing:
        yield f"not in the source: {', '.join(sorted(map('.'.join, missing)))}"
    given = ("--types", path, "--symbols", kernel.map)
    yield from by_options(tool, kernel, compare.ps, 0, *given)
    size = path.stat().st_size
    path.unlink()
    return f"{len(found)} members, {size >> 10} KiB"


def check_kernel(session, kernel):
    def check(title, test, *arguments):
        session.check(kernel.known, title, test, session.tool, kernel, *arguments)

    check("kconfig", kconfig)
    check("layout", layouts, session.folder)
    for view, options in VIEWS.items():
        check(f"{view.__name__}, inferred", inferred, view, *options)
    check("members", members)
    if kernel.has(RANDOMISED):
        check("DWARF", false_types)
        return
    check("members, by DWARF", given_types)
    for view in VIEWS:
        check(f"{view.__name__}, by DWARF", by_types, view)


# --- all of them

def boot(name, folder):
    """Returns None, or why it could not be booted."""
    config = built.options((kernels.get(name).folder / "config").read_text())
    done = subprocess.run([sys.executable, BOOT, "--kernel", name, "--memory", "256", "--cpus",
                           "2" if "SMP" in config else "1", "-o", folder],
                          capture_output=True, text=True)
    return f"lab/boot failed: {done.stderr.strip()[-500:]}" if done.returncode else None


def missing(name):
    """Why a kernel cannot be tested here; "" if it can."""
    if not shutil.which("gdb"):
        return "gdb is not installed"
    return "" if built.is_ready(name) else built.lacking(name)


def check_all(session):
    if not (session.options.full or session.options.built):
        session.results.skip("built", "building kernels takes long: --full")
        return
    for name in built.names():
        folder = session.folder / name
        if not session.results.wants(name):
            continue
        if reason := missing(name):
            session.results.skip(name, reason)
            continue
        try:
            failure = boot(name, folder)
        except kernels.FetchError as error:
            failure = str(error)
        if failure:
            session.results.fail(f"{name}: boot", failure)
            continue
        check_kernel(session, Kernel(name, folder))
        shutil.rmtree(folder)
