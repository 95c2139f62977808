# SPDX-License-Identifier: LGPL-2.1-or-later
"""check, what is about what processes run: in a guest with programs/intruder.c, each of whose processes has done
something to its memory, or to another's; and on images of guests as they are, with credentials written over. Each
test yields problems."""

import subprocess

import guest
from check_processes import Editor, findings, results
from mutate_processes import CHECKS
from ram import working_copy
from remote import PROGRAMS
from shells import libraries

LIST = "/run/intruder"

# What is told of which role: (check, severity, part of what was found). Whoever is not here has no row.
ROLES = {
    "overwritten": [("injected_code", "finding", "/bin/intruder differs from the file in 6 bytes on 1 page, from byte "
                                                 "0x{target:x} of it on: b8 2a 00 00 00 c3 90 90")],
    "breakpoint": [("injected_code", "note", "in 1 byte on 1 page, from byte 0x{target:x} of it on: cc 90 90 90 90 90 "
                                             "90 90; all of them are breakpoints")],
    "injected": [("injected_code", "finding", "in 64 bytes on 1 page, from byte 0x{injected:x} of it on: 08 07 06 05")],
    "relocated": [("injected_code", "note", "/lib/relocated.so differs from the file in"),
                  ("preload", "note", "opened while it ran: /lib/relocated.so")],
    "shellcode": [("executable_memory", "note", "anonymous memory is executable: 1 mapping of 4 KiB in all, 1 of them "
                                                "writable"),
                  ("executable_memory", "finding", "made a system call from code in anonymous memory")],
    "stack": [("executable_memory", "note", "a stack is executable"),
              ("executable_memory", "finding", "made a system call from code in a stack")],
    "jit": [("executable_memory", "note", "anonymous memory is executable: 2 mappings of 260 KiB in all, 1 of them")],
    "reflected": [("executable_memory", "note", "anonymous memory is executable: 1 mapping of 64 KiB"),
                  ("executable_memory", "finding", "a program or library (ELF) lies in executable memory")],
    "loaded": [("executable_memory", "note", "anonymous memory is executable: 1 mapping of 4 KiB"),
               ("executable_memory", "finding", "a program or library (ELF) lies in executable memory")],
    "restored": [("executable_memory", "note", "anonymous memory is executable: 1 mapping of 4 KiB"),
                 ("executable_memory", "note", "a copy of the kernel's library (vdso)")],
    "twice": [("executable_memory", "note", "shared memory without a file is executable: 1 mapping of 4 KiB")],
    "memfd": [("deleted_executable", "note", "its program, /memfd:nameless, never had a name")],
    "deleted": [("deleted_executable", "note",
                 "its program, /lab/intruder-deleted, was deleted, and no file has its name")],
    "replaced": [("deleted_executable", "note",
                  "its program, /lab/intruder-replaced, was deleted, and another file has its name")],
    "preloaded": [("preload", "note", "LD_PRELOAD=/lib/quiet.so")],
    "traceless": [("preload", "finding", "/lab/traceless.so was loaded before what the program names; it was deleted"),
                  ("deleted_executable", "note", "code that it has mapped, /lab/traceless.so, was deleted")],
    "opened": [("preload", "note", "opened while it ran: /lib/quiet.so")],
    "by-hand": [("preload", "note", "code of /lib/quiet.so is mapped, and the process's loader does not know of it")],
    "copied": [], "injector": [], "ordinary": [],
}


# --- a guest with them

def compiled(name, folder, *options):
    target = folder / name
    subprocess.run(["gcc", "-O1", *options, "-o", target, PROGRAMS / f"{name.partition('.')[0]}.c"], check=True)
    return target


def files(folder):
    """{path in the guest: file here}"""
    program = compiled("intruder", folder)
    return {"/bin/intruder": program, **libraries(program),
            "/lib/quiet.so": compiled("quiet.so", folder, "-shared", "-fPIC"),
            "/lib/relocated.so": compiled("relocated.so", folder, "-shared", "-fPIC", "-Wl,-z,notext"),
            "/etc/ld.so.preload": compiled_list(folder)}


def compiled_list(folder):
    """Of nothing: the loader reads it, and there is nothing to tell."""
    path = folder / "ld.so.preload"
    path.write_text("")
    return path


class Intrusion:
    """What is known of a guest in which the program has run."""

    def __init__(self, machine, folder):
        status, said = machine.said(f"/bin/intruder {LIST} && cat {LIST}")
        if status:
            raise guest.GuestError(said)
        self.pids = {role: int(pid) for role, pid in map(str.split, said.splitlines())}
        symbols = subprocess.run(["nm", folder / "intruder"], capture_output=True, text=True, check=True).stdout
        # Its segments are where they would be in the file.
        self.target = next(int(line.split()[0], 16) for line in symbols.splitlines() if line.endswith(" t target"))
        machine.said("echo /lib/quiet.so > /etc/ld.so.preload")


def told(row):
    return row["check"], row["severity"], row["found"]


def intruders(tool, image, intrusion):
    """Each of them, by its process, and no row more of any."""
    rows = [row for name in CHECKS for row in results(tool, image, name)]
    places = {"target": intrusion.target + 16, "injected": intrusion.target + 64}
    for role, wanted in ROLES.items():
        found = [told(row) for row in rows if row["pid"] == intrusion.pids[role]]
        for check, severity, text in wanted:
            match = [row for row in found if row[:2] == (check, severity) and text.format(**places) in row[2]]
            if len(match) != 1:
                yield f"{role}: {check}, {severity}, {text.format(**places)}: {found}"
        if len(found) != len(wanted):
            yield f"{role}: {found}"
    yield from (f"{row}" for row in findings(rows) if row["pid"] not in intrusion.pids.values())
    lists = [row for row in rows if row["pid"] is None]
    if [(row["subject"], row["found"].rpartition(": ")[2].strip()) for row in lists] != \
            [("/etc/ld.so.preload", "/lib/quiet.so")]:
        yield f"{lists}"
    return f"{len(ROLES)} roles"


# --- credentials written over

def credentials(tool, known, ram):
    """Two processes with those of another, one whose user id was set, one that nobody counts."""
    editor = Editor(tool, known, ram)
    pids = known.before["roles"]
    real, acting = (editor.offset("task_struct", name) for name in ("real_cred", "cred"))
    thief, user = editor.tasks[pids["impostor"]], editor.tasks[pids["user"]]
    first, own = editor.word(editor.tasks[1] + real), editor.word(user + real)
    usage, uid = (editor.offset("cred", name) for name in ("usage", "uid"))
    initial = known.address("init_cred") or 0

    def taken(cred):
        return [editor.write(thief + real, cred), editor.write(thief + acting, cred)]

    def number(address, value):
        return editor.finder.physical(address), value.to_bytes(4, "little")

    cases = {
        "of process 1": (taken(first), "impostor", {"it has the credentials of process 1 "}),
        "of the kernel": (taken(initial), "impostor", {"it has the credentials of the kernel itself"}),
        "a user id": ([number(own + uid, 0)], "user", {"its user id is 0, and it counts as a process of user 1000"}),
        "a counter": ([number(own + usage, 1)], "user", {"its credentials count 1 user"}),
    }
    for case, (changes, role, wanted) in cases.items():
        if case == "of the kernel" and not initial:
            continue
        with ram.patched(changes):
            rows = findings(results(tool, ram.path, "credentials"))
        missing = [text for text in wanted if not any(text in row["found"] for row in rows)]
        strangers = [row for row in rows if row["pid"] != pids[role] and "count" not in row["found"]]
        if missing or strangers or not rows:
            yield f"{case}: {rows}"
    return ", ".join(cases)


# --- as they are

# Of lab/guest/activity.c and memory.c: what is there to be told of, in every guest.
NOTES = {("executable_memory", "marker"), ("deleted_executable", "deleted"), ("deleted_executable", "memfd"),
         ("ptrace", "traced")}


def clean(tool, known, image):
    """What the activity has of that kind, and nothing else."""
    rows = [row for name in CHECKS for row in results(tool, image, name)]
    pids = {pid: role for role, pid in known.before["roles"].items()}
    found = {(row["check"], pids.get(row["pid"], row["pid"])) for row in rows}
    if found != NOTES or findings(rows):
        yield f"{found}, not {NOTES}: {findings(rows)}"
    return f"{len(rows)} notes"


def check_all(session, known):
    session.check(known, "check, nothing done to memory", clean, session.tool, known, known.ram_path)
    if session.wants(known, "check, credentials"):
        with working_copy(known.ram_path, session.folder / "credentials", known.facts["ram_map"]) as ram:
            session.check(known, "check, credentials", credentials, session.tool, known, ram)
