# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests whose kernel is traced, and which have BPF programs: what kioku has of hooks, of BPF and of the symbols that
these bring, against what the guest's tracefs, debugfs and bpf(2) say. Each test yields problems."""

import collections
import json
import re

import compare
import guest
import kernels
from known import Known
from remote import compiled

TRACING, PROBES = "/sys/kernel/tracing", "/sys/kernel/debug/kprobes/list"
# One disabled, two at one place, one of returns, one in a module, and a tracer of three functions.
SETUP = f"""
mount -t tracefs t {TRACING} && mount -t debugfs d /sys/kernel/debug && cd {TRACING} || exit 1
echo 'p:kioku_sync ksys_sync' > kprobe_events
echo 'p:kioku_again ksys_sync' >> kprobe_events
echo 'r:kioku_fallocate vfs_fallocate' >> kprobe_events
echo 'p:kioku_off vfs_fsync_range' >> kprobe_events
echo 'p:kioku_module virtblk_probe' >> kprobe_events
for name in sync again fallocate module; do echo 1 > events/kprobes/kioku_$name/enable; done
for name in vfs_mknod vfs_link virtblk_remove; do echo $name >> set_ftrace_filter; done
echo function > current_tracer
"""


def plans(full):
    return ["backports", *(["bullseye", "bookworm", "sid"] if full else [])]


def trace(machine, kernel, folder):
    """Boots a guest, sets it up, and leaves in folder what lab/boot does, and its answers."""
    setup = folder / "setup"
    setup.write_text(SETUP)
    machine.boot(kernels.get(kernel), 256, output=16, files={
        "/bin/bpf": compiled("bpf", folder), "/setup": setup})
    status, said = machine.said("sh /setup && (/bin/bpf /run/bpf-cgroup > /run/bpf 2>&1 &) && "
                                "while ! busybox grep -q ready /run/bpf; do busybox sleep 1; done")
    if status:
        raise guest.GuestError(said)
    for path in (f"{TRACING}/enabled_functions", PROBES, "/run/bpf"):
        (folder / path.rpartition("/")[2]).write_text(machine.said(f"cat {path}")[1])
    machine.keep_truth(folder)
    machine.freeze()
    (folder / "guest.json").write_text(json.dumps(machine.facts(panicked=False, reset=False, dumps={})))
    machine.copy_ram(folder / "ram.img")


# --- hooks

def function(text):
    """(name, module or None) of FUNCTION+0x4/0x2b [MODULE]."""
    match = re.fullmatch(r"([^+]+)\+\S+(?: \[(\w+)\])?", text)
    return match[1], match[2]


def traced(tool, known):
    """Which functions are traced, and by how many."""
    lines = (known.folder / "enabled_functions").read_text().splitlines()
    matches = [re.match(r"(\S+)(?: \[(\w+)\])? \((\d+)\)", line) for line in lines]
    told = {(match[1], match[2]): int(match[3]) for match in matches if match}
    rows = [row for row in tool.rows("ftrace", known.ram_path) if row["kind"] == "ftrace"]
    found = collections.Counter(function(row["function"]) for row in rows)
    if found != told:
        yield f"{dict(found)}, not {told}"
    callbacks = {row["callback_function"].split("+")[0] for row in rows}
    if not callbacks & {"function_trace_call", "function_trace_call_preempt_only"} or \
            "kprobe_ftrace_handler" not in callbacks:
        yield f"callbacks {callbacks}"
    return f"{len(found)} functions"


def probes(tool, known):
    told, found = collections.Counter(), collections.Counter()
    for line in (known.folder / "list").read_text().splitlines():
        address, kind, *_ = line.split()
        told[int(address, 16), kind, frozenset(re.findall(r"\[([A-Z]+)\]", line))] += 1
    for row in tool.rows("ftrace", known.ram_path):
        if row["kind"] != "ftrace":
            kind = "r" if row["kind"] == "kretprobe" else "k"
            found[int(row["address"], 16), kind, frozenset(map(str.upper, row["flags"] or ()))] += 1
    if found != told:
        yield f"{found}, not {told}"
    return f"{sum(found.values())} probes"


def symbols(tool, known):
    return (yield from compare.live_symbols(tool, known, known.ram_path))


# --- BPF

# include/uapi/linux/bpf.h
PROGRAMS, MAPS, LINKS = {1: "socket_filter", 8: "cgroup_skb"}, {1: "hash", 2: "array"}, {3: "cgroup"}


def told_objects(known):
    for line in (known.folder / "bpf").read_text().splitlines():
        kind, *fields = line.split()
        if kind == "program":
            number, kind_of, name, tag, loaded, uid = fields
            yield {"kind": kind, "id": int(number), "type": PROGRAMS[int(kind_of)], "name": name,
                   "tag": tag, "uid": int(uid)}
        elif kind == "map":
            number, kind_of, name, key, value, entries = fields
            yield {"kind": kind, "id": int(number), "type": MAPS[int(kind_of)], "name": name,
                   "key_size": int(key), "value_size": int(value), "max_entries": int(entries)}
        elif kind == "link":
            number, kind_of, program = fields
            yield {"kind": kind, "id": int(number), "type": LINKS[int(kind_of)],
                   "program": int(program)}


def bpf(tool, known):
    rows = tool.rows("bpf", known.ram_path, "--columns", "all")
    told = list(told_objects(known))
    if [(row["kind"], row["id"]) for row in rows] != [(one["kind"], one["id"]) for one in told]:
        yield f"{[(row['kind'], row['id']) for row in rows]}"
        return
    for row, one in zip(rows, told):
        yield from (f"{one['kind']} {one['id']}: {column} is {row[column]!r}, not {value!r}"
                    for column, value in one.items() if row[column] != value)
    return f"{len(rows)} objects"


def owners(tool, known):
    """By what /proc/PID/fdinfo says of descriptors."""
    kinds = {"bpf-prog": "program", "bpf-map": "map", "bpf_link": "link"}
    numbers = {"program": "prog_id", "map": "map_id", "link": "link_id"}
    told = collections.defaultdict(set)
    for process in known.before["processes"]:
        for number, target in process["fds"].items():
            match = re.fullmatch(r"anon_inode:\[?(bpf-prog|bpf-map|bpf_link)\]?", target)
            if match:
                kind = kinds[match[1]]
                text = known.archived(f"proc/{process['pid']}/task/{process['pid']}/fdinfo/{number}").decode()
                found = re.search(rf"^{numbers[kind]}:\s*(\d+)", text, re.M)
                told[kind, int(found[1])].add(f"{process['pid']}/{number}")
    found = {(row["kind"], row["id"]): set(row["owners"] or ()) for row in tool.rows("bpf", known.ram_path)}
    if {key: value for key, value in found.items() if value} != told:
        yield f"{found}, not {dict(told)}"
    return f"{sum(map(len, told.values()))} descriptors"


def code(tool, known):
    """What tracing has written into the kernel's code is no finding where that is compared with its file."""
    vmlinuz = kernels.get(known.name.partition("-")[2]).vmlinuz
    yield from map(str, tool.rows("check", known.ram_path, "--name", "kernel_text", "--vmlinux", vmlinuz))


TESTS = (traced, probes, symbols, bpf, owners, code)


def check_all(session):
    for kernel in plans(session.options.full):
        name = f"traced-{kernel}"
        if not any(session.results.wants(f"{name}: {test.__name__}") for test in TESTS):
            continue
        folder = session.folder / name
        folder.mkdir(parents=True)
        with guest.Guest(folder / "live") as machine:
            try:
                trace(machine, kernel, folder)
            except (guest.GuestError, kernels.FetchError) as error:
                session.results.fail(f"{name}: boot", error)
                continue
        for test in TESTS:
            session.results.check(f"{name}: {test.__name__}", test, session.tool, Known(folder))
