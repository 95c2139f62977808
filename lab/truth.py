# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the guest's archive of its own /proc to truth.json; README.md describes every field."""

import base64
import hashlib
import re
import struct
import tarfile

PF_KTHREAD = 0x00200000  # include/linux/sched.h
NAMESPACES = ("pid", "mnt", "net", "uts", "ipc", "user", "cgroup", "time")
PAGE_PRESENT, PAGE_FRAME = 1 << 63, (1 << 55) - 1  # Documentation/admin-guide/mm/pagemap.rst


def parse(archive):
    """truth.json as a dictionary; kallsyms apart, under the key "kallsyms" (bytes)."""
    files, links = {}, {}
    with tarfile.open(archive, encoding="utf-8", errors="surrogateescape") as tar:
        for member in tar:
            if member.issym():
                links[member.name] = member.linkname
            else:
                files[member.name] = tar.extractfile(member).read()
    epoch, ticks, cpus = files["moment"].split()
    pids = numbers(files, r"proc/(\d+)/task/")
    processes = [process(pid, files, links) for pid in pids]
    by_role = {role: int(pid) for role, pid in
               (line.split() for line in text(files, "run/roles").splitlines())}
    physical, size = (text(files, "sys/kernel/vmcoreinfo") or "0 0").split()
    return {
        "release": text(files, "proc/sys/kernel/osrelease").strip(),
        "version": text(files, "proc/version").strip(),
        "cmdline": text(files, "proc/cmdline").strip(),
        "hostname": text(files, "proc/sys/kernel/hostname").strip(),
        "boot_id": text(files, "proc/sys/kernel/random/boot_id").strip(),
        "build_id": build_id(files["sys/kernel/notes"]),
        "notes_base64": base64.b64encode(files["sys/kernel/notes"]).decode(),
        "vmcoreinfo": {"physical": hex(int(physical, 16)), "size": int(size, 16)},
        "epoch": float(epoch),
        "uptime": float(text(files, "proc/uptime").split()[0]),
        "btime": int(re.search(r"^btime (\d+)", text(files, "proc/stat"), re.M)[1]),
        "clock_ticks": int(ticks),
        "cpus": int(cpus),
        "roles": by_role,
        "tasks": [task for pid in pids for task in threads(pid, files, links)],
        "processes": processes,
        "areas": areas(text(files, "run/areas"), by_role.get("marker"), processes),
        "modules": [module(line, files) for line in text(files, "proc/modules").splitlines()],
        "files": [content(name, data) for name, data in sorted(files.items())
                  if name.startswith("lab/")],
        "links": {escaped("/" + name): escaped(target) for name, target in sorted(links.items())
                  if name.startswith("lab/")},
        "iomem": text(files, "proc/iomem").splitlines(),
        "net": network(files, "proc/net/"),
        "sockets": {name: int(inode) for name, inode in
                    (line.split() for line in text(files, "run/sockets").splitlines())},
        "mounts": text(files, "proc/mounts").splitlines(),
        "dmesg": text(files, "dmesg").splitlines(),
        "kallsyms": files.get("proc/kallsyms", b""),
    }


def text(files, name):
    return files.get(name, b"").decode("utf-8", "backslashreplace")


def escaped(name):
    """Bytes that are no UTF-8 were decoded to surrogates, which JSON readers dislike."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def numbers(files, pattern):
    return sorted({int(match[1]) for name in files if (match := re.match(pattern, name))})


def build_id(notes):
    """The note of type 3 named GNU, as hexadecimal digits."""
    while len(notes) >= 12:
        name_size, size, kind = struct.unpack_from("<III", notes)
        data = 12 + (name_size + 3 & ~3)
        if kind == 3 and notes[12:16] == b"GNU\0":
            return notes[data:data + size].hex()
        notes = notes[data + (size + 3 & ~3):]
    return None


# --- tasks

def threads(pid, files, links):
    for tid in numbers(files, rf"proc/{pid}/task/(\d+)/"):
        folder = f"proc/{pid}/task/{tid}"
        # One that ended while the agent was reading is not known well enough to be truth.
        if f"{folder}/stat" in files and f"{folder}/status" in files and f"{folder}/comm" in files:
            yield {**thread(pid, tid, folder, files),
                   "descriptors": descriptors(folder, files, links)}


def thread(pid, tid, folder, files):
    # A name may contain anything, ") R 1" too; after it come only a letter and numbers.
    stat = files[f"{folder}/stat"].rpartition(b")")[2].split()
    field = {number: int(value) for number, value in enumerate(stat[1:], 4)}
    status = text(files, f"{folder}/status")
    uid, gid = (list(map(int, re.findall(rf"^{key}:\s+(.*)", status, re.M)[-1].split()))
                for key in ("Uid", "Gid"))
    # A kernel without namespaces of pids has no such line.
    inner = re.search(r"^NSpid:\s+(.*)", status, re.M)
    return {
        "pid": pid, "tid": tid, "ppid": field[4], "namespace_tids": list(map(int, inner[1].split())) if inner else [tid],
        "state": stat[0].decode(), "threads": field[20],
        "uid": uid[0], "euid": uid[1], "suid": uid[2],
        "gid": gid[0], "egid": gid[1], "sgid": gid[2],
        "start_ticks": field[22], "flags": field[9], "kernel_thread": bool(field[9] & PF_KTHREAD),
        "comm_hex": files[f"{folder}/comm"].removesuffix(b"\n").hex(),
        "task_comm_hex": own_comm(pid, tid, files.get(f"{folder}/sched", b"")),
        "stack": [line.removeprefix("[<0>] ") for line in
                  text(files, f"{folder}/stack").splitlines()],
        "wchan": text(files, f"{folder}/wchan"),
        "status": dict(re.findall(r"^(\w+):\t(.*)$", status, re.M)),
    }


def descriptors(folder, files, links):
    """{number: what fdinfo says of it, and where its link leads} of a thread."""
    found = {}
    for name, target in links.items():
        if match := re.match(rf"{folder}/fd/(\d+)$", name):
            info = dict(re.findall(r"^(\w+):\t(.*)$", text(files, f"{folder}/fdinfo/{match[1]}"),
                                   re.M))
            if "pos" in info:
                found[match[1]] = {"path": escaped(target), "position": int(info["pos"]),
                                   "flags": info["flags"], "mount_id": int(info["mnt_id"]),
                                   "inode": int(info["ino"]) if "ino" in info else None}
    return found


def own_comm(pid, tid, sched):
    """task_struct.comm itself, which the first line of "sched" shows as it is."""
    match = re.match(rb"(.*?) \(%d, #threads: \d+\)\n" % tid, sched, re.S)
    return match[1].hex() if match else None


# --- processes

def process(pid, files, links):
    folder = f"proc/{pid}"
    descriptor = rf"{folder}/task/{pid}/fd/(\d+)$"
    return {
        "pid": pid,
        "exe": escaped(links[f"{folder}/exe"]) if f"{folder}/exe" in links else None,
        "cwd": escaped(links.get(f"{folder}/cwd", "")),
        "root": escaped(links.get(f"{folder}/root", "")),
        "cmdline_hex": files.get(f"{folder}/cmdline", b"").hex(),
        "environ_hex": files.get(f"{folder}/environ", b"").hex(),
        "fds": {match[1]: escaped(target) for name, target in sorted(links.items())
                if (match := re.match(descriptor, name))},
        "mounts": mounts(text(files, f"{folder}/mountinfo"), text(files, f"{folder}/mounts")),
        "cgroup": text(files, f"{folder}/cgroup").splitlines(),
        "namespaces": {kind: links.get(f"{folder}/ns/{kind}") for kind in NAMESPACES},
        "net": network(files, f"{folder}/net/"),
        "maps": [mapping(line) for line in text(files, f"{folder}/maps").splitlines()],
        "pages": pages(files.get(f"{folder}/pagemap", b"")),
    }


def network(files, folder):
    """{table: lines} of a network namespace."""
    return {name.removeprefix(folder): text(files, name).splitlines() for name in sorted(files)
            if name.startswith(folder)}


def mounts(information, table):
    """Every mount of a process's namespace that it can reach; both files have them in one order."""
    found = []
    for line, other in zip(information.splitlines(), table.splitlines()):
        before, _, after = line.partition(" - ")
        number, parent, device, root, target, options, *propagation = before.split(" ")
        fstype, source, super_options = after.split(" ", 2)
        found.append({"id": int(number), "parent": int(parent), "device": device,
                      "root": unmangled(root), "source": unmangled(source),
                      "target": unmangled(target), "fstype": fstype,
                      "options": other.split(" ")[3], "mount_options": options,
                      "super_options": super_options, "propagation": " ".join(propagation)})
    return found


def unmangled(field):
    """The kernel writes what would end a field, or a line, as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def mapping(line):
    span, permissions, offset, device, inode, *path = line.split(maxsplit=5)
    start, end = span.split("-")
    return {"start": "0x" + start, "end": "0x" + end, "permissions": permissions,
            "offset": int(offset, 16), "device": device, "inode": int(inode),
            "path": path[0] if path else ""}


def pages(spans):
    """{virtual: physical} of the pages that are present."""
    present = {}
    while spans:
        first, count = struct.unpack_from("<QQ", spans)
        for index, entry in enumerate(struct.unpack_from(f"<{count}Q", spans, 16)):
            if entry & PAGE_PRESENT:
                present[hex(first + index << 12)] = hex((entry & PAGE_FRAME) << 12)
        spans = spans[16 + 8 * count:]
    return present


def areas(lines, pid, processes):
    """The marker's areas, each with its pages: {virtual: physical, or null where not present}."""
    marker = next((item for item in processes if item["pid"] == pid), {"pages": {}})
    found = []
    for line in lines.splitlines():
        name, address, size, permissions, filled = line.split()
        start, end = int(address, 16), int(address, 16) + int(size)
        found.append({
            "name": name, "pid": pid, "address": address, "size": int(size),
            "permissions": permissions, "filled": filled == "1",
            "pages": {hex(page): marker["pages"].get(hex(page))
                      for page in range(start & ~0xFFF, end, 4096)}})
    return found


def record(area, number):
    """The text of one 64-byte record of a filled area; guest/memory.c writes the same."""
    return f"kioku-{area}-marker-0123456789 record {number:08d} ".ljust(63, ".").encode() + b"\n"


# --- the rest

def module(line, files):
    name, size, references, users, state, address, *taint = line.split()
    return {"name": name, "size": int(size), "references": int(references),
            "used_by": [user for user in users.split(",") if user not in ("", "-")],
            "state": state, "address": address, "taint": " ".join(taint),
            **{kind: attributes(files, f"sys/module/{name}/{kind}/")
               for kind in ("parameters", "sections")}}


def attributes(files, folder):
    """{name: text} of the files of a folder of sysfs that could be read."""
    return {path.removeprefix(folder): text(files, path).removesuffix("\n")
            for path in sorted(files) if path.startswith(folder)}


def content(name, data):
    return {"path": escaped("/" + name), "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest()}
