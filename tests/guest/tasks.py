# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kernel stacks of threads, and what confines processes, against the guest's own /proc, both ways."""

from tool import text_bytes


def is_told(known):
    """Whether a guest's folder says what is compared here; older ones do not."""
    return "stack" in known.before["tasks"][0]


def function(frame):
    """Of "FUNCTION+0x1a/0x2b [MODULE]"."""
    return frame.split("+")[0]


def has_rested(known, tid):
    """Whether a thread was not on a CPU from one truth to the next."""
    seen = known.tasks[tid]
    if len(seen) > 1:
        switches = [(task["status"].get("voluntary_ctxt_switches"),
                     task["status"].get("nonvoluntary_ctxt_switches")) for task in seen]
        return switches[0] == switches[1]
    # After a panic, which the agent was asked for.
    return not seen[0]["kernel_thread"] and not known.visitors and tid != 1


def wrong_stack(known, row):
    tid, found = row["tid"], row["stack"] or []
    told = [task["stack"] for task in known.tasks[tid]]
    if has_rested(known, tid) and found not in told:
        yield f"thread {tid} {text_bytes(row, 'comm')}: {found}, not {told[0]}"
    if row["wchan"] != (function(found[0]) if found else None):
        yield f"thread {tid}: sleeps in {row['wchan']}, but its stack is {found}"
    if any(frame.startswith("? ") for frame in found):
        yield f"thread {tid}: a guess: {found}"


def stacks(tool, known, image):
    """Who has not run meanwhile must be where it was, and sleep in the innermost function."""
    rows = tool.rows("threads", image, "--columns", "all")
    rows = [row for row in rows if row["tid"] in known.tasks]
    rested = 0
    for row in rows:
        yield from wrong_stack(known, row)
        rested += has_rested(known, row["tid"])
    if rested < len(rows) // 2 and known.after:
        yield f"only {rested} threads of {len(rows)} have rested"
    deepest = max(len(row["stack"] or []) for row in rows)
    return f"{rested} stacks, the deepest of {deepest} functions"


# --- what confines them

CAPABILITIES = {"CapInh": "cap_inh", "CapPrm": "cap_prm", "CapEff": "cap_eff", "CapBnd": "cap_bnd",
                "CapAmb": "cap_amb"}
# include/uapi/linux/capability.h: in the order of the bits.
NAMES = ("chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable "
         "net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio "
         "sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time "
         "sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog "
         "wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore").split()
MODES = ("disabled", "strict", "filter")


def told_set(digits, complete):
    value = int(digits, 16)
    return ["all"] if value == complete else \
        [f"cap_{name}" for bit, name in enumerate(NAMES) if value >> bit & 1]


def told_credentials(status, complete):
    """The columns that /proc/PID/status has, as kioku shows them."""
    told = {column: told_set(status[key], complete) for key, column in CAPABILITIES.items()}
    for letter, key in (("u", "Uid"), ("g", "Gid")):
        ids = list(map(int, status[key].split()))
        told.update(zip((f"{letter}id", f"e{letter}id", f"s{letter}id", f"fs{letter}id"), ids))
    told["groups"] = status["Groups"].split()
    if "NoNewPrivs" in status:
        told["no_new_privs"] = status["NoNewPrivs"] == "1"
    if "Seccomp" in status:
        told["seccomp"] = MODES[int(status["Seccomp"])]
    return told


def credentials(tool, known, image):
    rows = {row["pid"]: row for row in tool.rows("ps", image, "--columns", "all")}
    first = known.tasks[2][0]["status"]  # kthreadd may do everything
    complete = int(first["CapEff"], 16)
    seen = set()
    for tid, tasks in known.tasks.items():
        if tid != tasks[0]["pid"] or tid not in rows:  # ps says of all others that they are missing
            continue
        told = [told_credentials(task["status"], complete) for task in tasks]
        found = {column: rows[tid][column] for column in told[0]}
        seen.update((column, str(value)) for column, value in found.items())
        if found not in told:
            wrong = {column: (found[column], told[0][column]) for column in found
                     if found[column] != told[0][column]}
            yield f"process {tid}: {wrong}"
    for column in ("groups", *CAPABILITIES.values(), "seccomp", "no_new_privs"):
        if len({value for name, value in seen if name == column}) < 2:
            yield f"all processes have the same {column}: nothing was tested"
    return f"{len(rows)} processes, {len(seen)} different values"


def namespaces(tool, known, image):
    rows = {row["pid"]: row for row in tool.rows("ps", image, "--columns", "all")}
    different = set()
    for before, after in known.processes():
        row = rows.get(before["pid"])
        if not row:
            continue
        for kind, link in before["namespaces"].items():
            number = row[f"{kind}_ns"]
            found = None if number is None else f"{kind}:[{number}]"
            different.add(found)
            if found not in (link, after["namespaces"][kind]):
                yield f"process {before['pid']}: is in {found}, not {link}"
    return f"{len(different)} namespaces"


def cgroups(tool, known, image):
    rows = {row["pid"]: row for row in tool.rows("ps", image, "--columns", "all")}
    different = set()
    for before, after in known.processes():
        row = rows.get(before["pid"])
        if not row:
            continue
        found = row["cgroup"] or []
        different.update(found)
        if found not in (before["cgroup"], after["cgroup"]):
            yield f"process {before['pid']}: is in {found}, not {before['cgroup']}"
    if len(different) < 4:
        yield f"all are in the same cgroups: {different}"
    return f"{len(different)} cgroups"
