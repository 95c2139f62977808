# SPDX-License-Identifier: LGPL-2.1-or-later
"""What processes have open and mounted, against the guest's own /proc, both ways."""

import ipaddress
import itertools
import struct

from tool import text_bytes

# include/net/tcp_states.h
STATES = {1: "ESTABLISHED", 2: "SYN_SENT", 7: "CLOSE", 8: "CLOSE_WAIT", 10: "LISTEN"}
UNIX_LISTENS = 0x10000  # __SO_ACCEPTCON, include/linux/net.h


def is_told(known):
    """Whether a guest's folder says what is compared here; older ones do not."""
    return "descriptors" in known.before["tasks"][0]


def shown(data):
    """Bytes as the truth shows them."""
    return None if data is None else data.decode("utf-8", "backslashreplace")


def text(row, column):
    return shown(text_bytes(row, column))


# --- descriptors

def described(row):
    """A row in the terms of the truth."""
    return {"path": text(row, "path"), "position": row["position"], "flags": row["flags"],
            "mount_id": row["mount_id"], "inode": row["inode"]}


def is_same(found, told):
    return told["inode"] in (None, found["inode"]) and \
        all(found[field] == told[field] for field in ("path", "position", "flags", "mount_id"))


def tables(rows):
    """{(pid, tid): {number: row}}"""
    key = lambda row: (row["pid"], row["tid"])
    return {who: {row["fd"]: row for row in group}
            for who, group in itertools.groupby(rows, key)}


def wrong_table(table, told):
    """Where a table differs from what a thread has open; nothing if it does not."""
    for number in sorted(set(told) - set(table)):
        yield f"descriptor {number} ({told[number]['path']}) is missing"
    for number in sorted(set(table) - set(told)):
        yield f"descriptor {number} ({table[number]['path']}) is not open"
    for number in sorted(set(table) & set(told)):
        if not is_same(described(table[number]), told[number]):
            yield f"descriptor {number} is {described(table[number])}, not {told[number]}"


def told_tables(known, tid):
    """What a thread had open in each truth."""
    return [{int(number): entry for number, entry in task["descriptors"].items()}
            for task in known.tasks[tid]]


def lsof(tool, known, image):
    rows = tool.rows("lsof", image, "--columns", "all")
    found = tables(rows)
    if len(rows) != sum(len(table) for table in found.values()):
        yield "a descriptor is there twice"
    for (pid, tid), table in found.items():
        if pid == 1:  # the agent, which writes the truth to a file that it opens for that
            continue
        if tid not in known.tasks:
            if not known.visitors:
                yield f"task {tid} is not in the guest, but has {len(table)} descriptors"
            continue
        problems = [list(wrong_table(table, told)) for told in told_tables(known, tid)]
        if all(problems):
            yield from (f"task {tid}: {problem}" for problem in problems[0])
    for tid in known.tasks:
        pid = known.tasks[tid][0]["pid"]
        told = told_tables(known, tid)[0]
        of_process = [table for (owner, _), table in found.items() if owner == pid]
        if pid != 1 and known.steady(tid) and told and \
                all(any(wrong_table(table, told)) for table in of_process):
            yield f"task {tid}: no table of process {pid} is its own"
    yield from wrong_kinds(rows)
    return f"{len(rows)} descriptors of {len(found)} tables"


def wrong_kinds(rows):
    kinds = {"pipe:[": "FIFO", "socket:[": "SOCK", "anon_inode:": "anon", "/dev/console": "CHR"}
    for row in rows:
        path = row["path"] or ""
        for start, kind in kinds.items():
            if path.startswith(start) and row["type"] != kind:
                yield f"{path}: type is {row['type']}"
        if row["deleted"] and not path.endswith(" (deleted)"):
            yield f"{path}: deleted, but does not say so"
        if (row["family"] is None) == path.startswith("socket:["):
            yield f"{path}: family is {row['family']}"


def uses(tool, known, image):
    """Working directories, roots and programs."""
    columns = {"cwd": "cwd", "rtd": "root", "txt": "exe"}
    found = {}
    for row in tool.rows("lsof", image, "--all"):
        if row["use"] and row["pid"] == row["tid"]:
            found[row["pid"], columns[row["use"]]] = text(row, "path")
    for before, after in known.processes():
        for field in columns.values():
            path = found.pop((before["pid"], field), None)
            if before.get(field) and path not in (before[field], after[field]):
                yield f"process {before['pid']}: {field} is {path}, not {before[field]}"
            if path and before.get(field) is None and field == "exe":
                yield f"process {before['pid']}: runs {path}, but is told to run nothing"
    return f"{len(known.before['processes'])} processes"


# --- sockets

def internet_end(field, is_raw):
    """An address of /proc/net as kioku shows it: words of the machine's order, in hexadecimal."""
    address, port = field.split(":")
    words = struct.pack(f"<{len(address) // 8}I",
                        *(int(address[at:at + 8], 16) for at in range(0, len(address), 8)))
    host, port = ipaddress.ip_address(words), int(port, 16)
    if int(host) == 0 and (is_raw or port == 0):
        return None
    if is_raw:
        return str(host)
    return f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}"


def lines_of(truth, name):
    """Of a table of /proc/net, that of every network namespace."""
    networks = [truth["net"], *(process.get("net") or {} for process in truth["processes"])]
    return [line for network in networks for line in network.get(name, [])[1:]]


def internet_sockets(truth):
    """{inode: (family, local, remote, state)} of what /proc/net lists and has an inode."""
    found = {}
    for name in ("tcp", "tcp6", "udp", "udp6", "raw"):
        for line in lines_of(truth, name):
            fields = line.split()
            state = STATES.get(int(fields[3], 16))
            if state == "CLOSE" and not name.startswith("tcp"):
                state = "UNCONNECTED"
            if int(fields[9]):
                found[int(fields[9])] = (
                    "IPv6" if name.endswith("6") else "IPv4",
                    *(internet_end(field, name == "raw") for field in fields[1:3]), state)
    return found


def unix_sockets(truth):
    found = {}
    for line in lines_of(truth, "unix"):
        _, _, _, flags, kind, _, inode, *path = line.split(None, 7)
        if int(inode):
            kind = {1: "STREAM", 2: "DGRAM", 5: "SEQPACKET"}[int(kind, 16)]
            found[int(inode)] = (kind, path[0] if path else None,
                                 bool(int(flags, 16) & UNIX_LISTENS))
    return found


def sockets(tool, known, image):
    rows = [row for row in tool.rows("lsof", image, "--columns", "all") if row["family"]]
    told, told_unix = internet_sockets(known.before), unix_sockets(known.before)
    seen = {row["inode"] for row in rows}
    for inode in sorted((told.keys() | told_unix.keys()) - seen):
        yield f"socket {inode} {told.get(inode) or told_unix.get(inode)} is missing"
    for row in rows:
        inode = row["inode"]
        if row["family"] in ("IPv4", "IPv6"):
            found = (row["family"], row["local"], row["remote"], row["state"])
            # One that is neither bound nor connected is in no table.
            if found != told.get(inode) and (inode in told or row["local"]):
                yield f"socket {inode} is {found}, not {told.get(inode)}"
        elif row["family"] == "unix":
            found = (row["socket_type"], text(row, "local"), row["state"] == "LISTEN")
            if found != told_unix.get(inode):
                yield f"socket {inode} is {found}, not {told_unix.get(inode)}"
    yield from wrong_peers(rows)
    return f"{len(seen)} sockets"


def wrong_peers(rows):
    """Both ends of a connection name each other."""
    ends = {(row["local"], row["remote"]) for row in rows if row["remote"]}
    for row in rows:
        if row["protocol"] == "TCP" and row["remote"] and \
                (row["remote"], row["local"]) not in ends:
            yield f"socket {row['inode']}: nobody is at {row['remote']}"
    by_name = {f"socket:[{row['inode']}]": row for row in rows if row["family"] == "unix"}
    for name, row in by_name.items():
        other = by_name.get(row["remote"])
        if row["remote"] and row["remote"].startswith("socket:[") and \
                (other is None or other["remote"] not in (name, row["local"])):
            yield f"{name}: its peer {row['remote']} does not know it"


# --- mounts

MOUNT_FIELDS = ("id", "parent", "device", "root", "source", "target", "fstype", "options",
                "mount_options", "super_options", "propagation")


def mount_of(row):
    found = {field: text(row, field) if isinstance(row[field], str) else row[field]
             for field in MOUNT_FIELDS}
    return {**found, "propagation": found["propagation"] or ""}


def without_own_options(mount):
    """Those of hierarchies of cgroups are not shown."""
    if not mount["fstype"].startswith("cgroup"):
        return mount
    own = set(mount["super_options"].split(",")) - {"rw", "ro"}
    return {**mount, **{field: ",".join(option for option in mount[field].split(",")
                                        if option not in own)
                        for field in ("options", "super_options")}}


def wrong_mounts(who, rows, told):
    found = {row["id"]: mount_of(row) for row in rows}
    if len(found) != len(rows):
        yield f"{who}: a mount is there twice"
    expected = {mount["id"]: without_own_options(mount) for mount in told}
    for number in sorted(set(expected) - set(found)):
        yield f"{who}: {expected[number]} is missing"
    for number in sorted(set(found) - set(expected)):
        yield f"{who}: {found[number]} is not mounted"
    for number in sorted(set(found) & set(expected)):
        if found[number] != expected[number]:
            yield f"{who}: {found[number]}, not {expected[number]}"


def mounts(tool, known, image):
    """Each way of seeing the mounts that there is: namespaces, and roots in them."""
    views = {}
    for process in known.before["processes"]:
        if process["mounts"]:
            views.setdefault((process["namespaces"]["mnt"], process["root"]), process)
    count = 0
    for process in views.values():
        rows = tool.rows("mounts", image, "--pid", process["pid"], "--columns", "all")
        yield from wrong_mounts(f"process {process['pid']}", rows, process["mounts"])
        if any(f"mnt:[{row['namespace']}]" != process["namespaces"]["mnt"] for row in rows):
            yield f"process {process['pid']} is in {process['namespaces']['mnt']}"
        count += len(rows)
    first = next(process for process in known.before["processes"] if process["pid"] == 1)
    yield from wrong_mounts("process 1", tool.rows("mounts", image, "--columns", "all"),
                            first["mounts"])
    every = {row["id"] for row in tool.rows("mounts", image, "--all")}
    for process in views.values():
        for mount in process["mounts"]:
            if mount["id"] not in every:
                yield f"mount {mount['id']} of process {process['pid']} is not in --all"
    return f"{count} mounts in {len(views)} views"
