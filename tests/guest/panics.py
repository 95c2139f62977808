# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that panic: by sysrq, by a pointer that is none in a module, and because a task hangs. What kioku
says of it, against what the guest has written to its console. Each test yields problems."""

import re

import guest
import kernels
import lab_module
from tool import text_bytes

TIMEOUT = 120  # seconds until a guest has panicked
CRASHES = {
    "sysrq": "echo c > /proc/sysrq-trigger",
    "null": "insmod /kioku_crash.ko && echo 1 > /proc/sys/kernel/panic_on_oops && echo null > /proc/kioku_crash",
    "hang": "insmod /kioku_crash.ko && echo 4 > /proc/sys/kernel/hung_task_timeout_secs && "
            "echo 1 > /proc/sys/kernel/hung_task_panic && echo hang > /proc/kioku_crash",
}
# Which functions, and where in them, the kernel's own trace begins with: it is written on its way.
ON_THE_WAY = ("dump_stack", "dump_stack_lvl", "panic", "vpanic")
REGISTERS = {"RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", *(f"R{number:02}" for number in range(8, 16))}


def plans(full):
    """Kernels, and how each is crashed; modules for sid need a newer compiler than that of bookworm."""
    every = {**{kernel: list(CRASHES) for kernel in ("bookworm", "backports", "bullseye")},
             "sid": ["sysrq"]}
    return every if full else {"bookworm": ["null"]}


class Crashed:
    """An image of a guest that has panicked, and QEMU's dump, which has the registers of its CPUs."""

    def __init__(self, machine, kernel, crash):
        files = {} if crash == "sysrq" else {
            "/kioku_crash.ko": lab_module.modules("crash", kernel)["kioku_crash"]}
        machine.boot(kernels.get(kernel), 256, append="kioku.lab=1", files=files)
        self.lines = machine.crash(CRASHES[crash], TIMEOUT)
        machine.freeze()
        self.image, self.dump = machine.folder / "ram.img", machine.folder / "dump.elf"
        machine.copy_ram(self.image)
        machine.dump(self.dump)

    def cpu_and_pid(self):
        """Of the last report: for a task that hangs, that is its watchdog's."""
        line = [line for line in self.lines if line.startswith("CPU: ")][-1]
        return int(re.search(r"CPU: (\d+)", line)[1]), int(re.search(r"PID: (\d+)", line)[1])

    def traces(self):
        """What the console has of each "Call Trace:", without guesses: [[(function, registers)]]."""
        found = []
        for line in self.lines:
            if line == "Call Trace:":
                found.append([])
            elif found and re.match(r" *[\w.]+\+0x", line):
                found[-1].append(line.strip())
        return found

    def registers(self):
        """{name: [value of each report in the last trace's report]}"""
        found = {}
        for line in self.lines:
            for name, value in re.findall(r"\b([A-Z0-9]{3}): ([0-9a-f]{16})\b", line):
                found.setdefault(name, set()).add(int(value, 16))
        return found


def rows_of(tool, image, part):
    return [row for row in tool.rows("panic", image) if row["part"] == part]


def text(row):
    return text_bytes(row, "text").decode("utf-8", "backslashreplace")


def message(tool, crashed, image):
    """Line by line as the console has it, from its beginning on."""
    found = [text(row) for row in rows_of(tool, image, "message")]
    told = crashed.lines[-len(found):]
    yield from (f"{ours!r}, not {theirs!r}" for ours, theirs in zip(found, told) if ours != theirs)
    if not any(line.startswith("Kernel panic - not syncing") for line in found):
        yield "no panic is in it"
    before = crashed.lines[:-len(found)]
    if any(line.startswith(("BUG:", "INFO: task", "sysrq: Trigger")) for line in before):
        yield "it begins too late"
    return f"{len(found)} lines"


def place(tool, crashed, image):
    rows = tool.rows("panic", image)
    found = {(row["cpu"], row["pid"]) for row in rows}
    if found != {crashed.cpu_and_pid()}:
        yield f"CPU and task {found}, not {crashed.cpu_and_pid()}"


def calls(tool, crashed, image):
    """All that the kernel was sure of, and nothing else; where it was interrupted its trace begins anew."""
    rows = [row for row in tool.rows("panic", image) if row["part"] in ("call", "interrupted")]
    interrupted = [number for number, row in enumerate(rows) if row["part"] == "interrupted" and number > 1]
    found = [text(row) for row in rows[interrupted[-1] + 1 if interrupted else 0:]]
    told = [line for line in crashed.traces()[-1]]
    while told and told[0].split("+")[0] in ON_THE_WAY:
        told.pop(0)
    while found and found[0].split("+")[0] in (*ON_THE_WAY, "delay_tsc", "__const_udelay"):
        found.pop(0)
    if found != told:
        yield f"{found}, not {told}"
    at = {line[len("RIP: 0010:"):] for line in crashed.lines if line.startswith("RIP: 0010:")}
    if interrupted and text(rows[interrupted[-1]]) not in at:
        yield f"interrupted in {text(rows[interrupted[-1]])}, not {at}"
    if bool(interrupted) != bool(at):
        yield f"interrupted: {bool(interrupted)}, but the console has {at}"
    return f"{len(found)} functions"


def registers(tool, crashed, image):
    told, count = crashed.registers(), 0
    for row in rows_of(tool, image, "register"):
        if row["name"] in REGISTERS:
            count += 1
            if int(row["value"], 16) not in told.get(row["name"], ()):
                yield f"{row['name']} is {row['value']}, not {sorted(map(hex, told.get(row['name'], ())))}"
    return f"{count} registers"


TESTS = (message, place, calls, registers)


def check_crash(session, kernel, crash):
    name = f"panic-{kernel}-{crash}"
    if not any(session.results.wants(f"{name}, {test.__name__}") for test in TESTS):
        return
    with guest.Guest(session.folder / name) as machine:
        try:
            crashed = Crashed(machine, kernel, crash)
        except (guest.GuestError, kernels.FetchError) as error:
            session.results.fail(f"{name}, boot", error)
            return
        for test in TESTS:
            for image in (crashed.image, crashed.dump):
                session.results.check(f"{name}, {test.__name__}, {image.name}", test, session.tool,
                                      crashed, image)


def check_all(session):
    for kernel, crashes in plans(session.options.full).items():
        for crash in crashes:
            check_crash(session, kernel, crash)
