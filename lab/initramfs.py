# SPDX-License-Identifier: LGPL-2.1-or-later
"""The initramfs of a lab guest: busybox, our programs of guest/, and the few modules they need."""

import hashlib
import lzma
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import kernels

GUEST = kernels.LAB / "guest"
BUSYBOX = Path("/bin/busybox")
COMPILE = ["gcc", "-static", "-O1", "-g", "-Wall", "-Wextra"]
PROGRAMS = {"activity": ["activity.c", "memory.c", "files.c", "descriptors.c", "sleepers.c",
                          "confined.c", "network.c", "routes.c",
                          "filters.c", "timers.c"],
            "agent": ["agent.c", "archive.c", "route_list.c", "hook_list.c"]}
APPLETS = ["sh", "mount", "umount", "hostname", "ip", "insmod", "rmmod", "cat", "ls", "dd", "grep",
           "ln", "rm", "sync"]

# The truth disk, QEMU's vmcoreinfo device, two harmless ones so that a list of modules exists, and netfilter's.
MODULES = ["virtio_pci", "virtio_blk", "qemu_fw_cfg", "loop", "dummy", "crc32c_generic",
           "nf_tables", "nfnetlink_hook"]


def build(kernel, modules=(), files=None):
    """Path of an initramfs for a kernel; built anew only when something that goes in has changed.

    modules: names of further modules to load; files: {path in the guest: file here}, executable.
    """
    load = [*MODULES, *modules]
    files = {path: Path(source) for path, source in (files or {}).items()}
    digest = hashlib.sha256(repr((kernel.package, load, sorted(files), COMPILE)).encode())
    for source in [Path(__file__), *sorted(GUEST.iterdir()), BUSYBOX, *files.values()]:
        digest.update(source.read_bytes())
    target = kernels.CACHE / "initramfs" / f"{kernel.name}-{digest.hexdigest()[:12]}.cpio"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        # Renamed into place, so that two builds at once do no harm.
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as archive:
            write(Cpio(archive), kernel, load, files)
        Path(archive.name).rename(target)
    return target


def write(cpio, kernel, load, files):
    folders = ["bin", "dev", "etc", "proc", "sys", "run", "lab", "tmp", "output", "modules"]
    for path in files:
        above = [str(folder) for folder in Path(path.lstrip("/")).parents]
        folders += [folder for folder in reversed(above[:-1]) if folder not in folders]
    for folder in folders:
        cpio.folder(folder)
    # Without it process 1 has nowhere to print to before /dev is mounted.
    cpio.character_device("dev/console", 5, 1)
    for path, name in (("init", "init"), ("bin/mount-output", "mount-output")):
        cpio.file(path, (GUEST / name).read_bytes())
    cpio.file("bin/busybox", BUSYBOX.read_bytes())
    for applet in APPLETS:
        cpio.link(f"bin/{applet}", "busybox")
    for name, sources in PROGRAMS.items():
        cpio.file(f"bin/{name}", compiled(sources))
    for path, source in files.items():
        cpio.file(path.lstrip("/"), source.read_bytes())
    order = resolve(kernel, load)
    for name, contents in order.items():
        cpio.file(f"modules/{name}.ko", contents)
    cpio.file("modules/order", "".join(f"{name}.ko\n" for name in order).encode())
    cpio.end()


def compiled(sources, stripped=True):
    """A program of the guests; what strip takes away is for debuggers, and nothing moves by it."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "program"
        paths = [GUEST / source for source in sources]
        subprocess.run([*COMPILE, "-o", program, *paths], check=True)
        if stripped:
            subprocess.run(["strip", program], check=True)
        return program.read_bytes()


# --- modules

def resolve(kernel, names):
    """{module name: its bytes}, dependencies first; what is built in, or not there, is left out."""
    paths = {module_name(path): path for path in kernel.modules.rglob("*.ko*")}
    order = {}

    def add(name):
        if name in paths and name not in order:
            contents = decompressed(paths[name])
            # Each module says itself what it needs; packages carry no modules.dep.
            for other in re.search(rb"\0depends=([^\0]*)\0", contents)[1].decode().split(","):
                add(other.replace("-", "_"))
            order[name] = contents

    for name in names:
        add(name)
    return order


def module_name(path):
    return path.name.split(".ko")[0].replace("-", "_")


def decompressed(path):
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout
    return path.read_bytes()


# --- the archive: Documentation/driver-api/early-userspace/buffer-format.rst

class Cpio:
    def __init__(self, stream):
        self.stream = stream
        self.inode = 0

    def folder(self, path):
        self._entry(path, 0o040755)

    def file(self, path, contents):
        self._entry(path, 0o100755, contents)

    def link(self, path, target):
        self._entry(path, 0o120777, target.encode())

    def character_device(self, path, major, minor):
        self._entry(path, 0o020600, device=(major, minor))

    def end(self):
        self._entry("TRAILER!!!", 0)

    def _entry(self, path, mode, contents=b"", device=(0, 0)):
        name = path.encode() + b"\0"
        self.inode += 1
        # ino, mode, uid, gid, nlink, mtime, size, device, device of the node, name, check
        fields = (self.inode, mode, 0, 0, 1, 0, len(contents), 0, 0, *device, len(name), 0)
        self._padded(b"070701" + b"".join(b"%08x" % field for field in fields) + name)
        self._padded(contents)

    def _padded(self, data):
        self.stream.write(data + bytes(-len(data) % 4))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: initramfs.py NAME|DEB")
    print(build(kernels.get(sys.argv[1])))
