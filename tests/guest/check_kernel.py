# SPDX-License-Identifier: LGPL-2.1-or-later
"""check, what is about the kernel: on images of guests as they are, of guests in which a module hides, and of those
in which it puts itself where the kernel would call something else. One of these guests has also processes that are
intruded into, or that a module hides. Each test yields problems."""

import bisect
import random

import check_memory
import check_processes
import guest
import kernels
import lab_module
from ram import working_copy

CHECKS = ("hidden_module", "syscall_table", "interrupt_table", "constant_data", "kernel_text", "tracing_hooks",
          "netfilter_hooks", "notifiers", "timers", "interrupt_handlers", "writable_code", "proc_entries",
          "file_operations", "socket_operations", "terminals")
HIDDEN_FROM = {"hide_module": ("list of modules", "sysfs"),
               "hide_module deep=1": ("list of modules", "sysfs", "tree of addresses")}


def results(tool, image, name):
    return tool.rows("check", image, "--name", name, "--columns", "all")


def findings(rows):
    return [row for row in rows if row["severity"] == "finding"]


# lab/modules/hiding/hook.c: what it does, and how that is told: (check, of what, where it leads to).
HOOKS = {
    "table": ("syscall_table", "system call 62", "hooked_entry"),
    "dispatcher": ("kernel_text", "x64_sys_call", "hooked_dispatcher"),
    "text": ("kernel_text", "vhangup", "replacement"),
    "proc": ("constant_data", "tcp4_seq_ops+0x18", "hooked_show"),
    "idt": ("interrupt_table", "interrupt vector 4", "replacement"),
    "ftrace": ("tracing_hooks", "__x64_sys_mkdir", "redirect"),
    "netfilter": ("netfilter_hooks", "IPv4 PRE_ROUTING", "hooked_packet"),
    "keyboard": ("notifiers", "keyboard_notifier_list", "hooked_key"),
    "timer": ("timers", "jiffies", "hooked_timer"),
    "clock": ("timers", "boottime", "hooked_clock"),
    "work": ("timers", "work behind", "hooked_work"),
    "interrupt": ("interrupt_handlers", "thread of interrupt 7", "hooked_thread"),
    "softirq": ("interrupt_handlers", "softirq 5, IRQ_POLL", "hooked_softirq"),
    "file": ("proc_entries", "/proc/modules: proc_ops", "hooked_open"),
    "sequence": ("proc_entries", "/proc/net/udp, namespace", "hooked_row"),
    "protocol": ("socket_operations", "protocol TCP: proto.shutdown", "hooked_shutdown"),
    "discipline": ("terminals", "line discipline 0: tty_ldisc_ops.receive_buf", "hooked_receive"),
    "input": ("terminals", "input handler hook: input_handler.event", "hooked_input"),
    "table32": ("syscall_table", "ia32 system call 37", "hooked_entry"),
    "writable": ("writable_code", "", None),
}
# Of a module that is listed: modules may do that.
NOTES = ("netfilter", "keyboard", "timer", "clock", "work", "interrupt", "softirq", "input")
# A kernel without x64_sys_call() dispatches by the table; one with it has none for 32-bit programs.
UNKNOWN = {"bullseye": ("dispatcher",), "bookworm": ("table32",), "backports": ("table32",)}


# --- as they are

def clean(tool, known, image):
    for name in CHECKS:
        yield from (f"{name}: {row}" for row in findings(results(tool, image, name)))


def lost_modules(tool, known, ram):
    """Code of modules that the damaged list does not lead to any more is no finding."""
    head = known.image_physical(known.address("modules"))
    with ram.patched([(head, bytes([0x55] * 16))]):
        rows = [row for row in tool.run("check", ram.path, "--format", "json").rows() if row["check"] in CHECKS]
    yield from (f"{row}" for row in findings(rows))
    if not any("list of modules is damaged" in row["found"] for row in rows):
        yield "nothing is doubted"


def check_clean(session, known):
    session.check(known, "check, nothing hidden in the kernel", clean, session.tool, known, known.ram_path)
    if session.wants(known, "check, lost modules"):
        with working_copy(known.ram_path, session.folder / "lost", known.facts["ram_map"]) as ram:
            session.check(known, "check, lost modules", lost_modules, session.tool, known, ram)


# --- with a module that hides

def hidden_module(tool, image, missing):
    """It, by its name, and nothing else."""
    rows = findings(results(tool, image, "hidden_module"))
    if [row["subject"] for row in rows] != ["hide_module"]:
        yield f"{rows}"
    elif rows[0]["found"].split(";")[0] != f"the module is not in: {', '.join(missing)}":
        yield rows[0]["found"]


def leads_to(function, hidden, found):
    """That it does; a module that is in no list is still in memory, with its symbols."""
    return f"{function}+0x0/" in found and hidden == ("in no code that the kernel knows of" in found)


def hooks(tool, image, names, hidden):
    """Each of them, and no other finding: with the function's name."""
    rows = tool.rows("check", image, "--columns", "all")
    wanted = []
    for name in names:
        check, subject, function = HOOKS[name]
        severity = "note" if name in NOTES and not hidden else "finding"
        found = [row for row in rows if row["check"] == check and row["severity"] == severity
                 and subject in (row["subject"] or "")]
        if len(found) != 1:
            yield f"{name}: {found or [row for row in rows if row['check'] == check]}"
        elif function and not leads_to(function, hidden, found[0]["found"]):
            yield f"{name}: {found[0]['found']}"
        wanted += found
    if hidden:
        wanted += [row for row in rows if (row["check"], row["subject"]) == ("hidden_module", "hook")]
    yield from (f"{row}" for row in findings(rows) if row not in wanted and row["check"] != "posing")
    if hidden and not any(row["check"] == "hidden_module" for row in wanted):
        yield "the module is not found"
    return ", ".join(names)


# --- the kernel's code against its file

FLIPS = 400


def compared(tool, image, vmlinuz):
    rows = tool.rows("check", image, "--name", "kernel_text", "--vmlinux", vmlinuz, "--columns", "all")
    return {int(row["address"], 16): row for row in rows}


def hooked_text(tool, image, vmlinuz, names):
    """What the module wrote into code is found, and nothing else: neither what the kernel itself has written."""
    subjects = [row["subject"].partition("+")[0] for row in compared(tool, image, vmlinuz).values()]
    wanted = [HOOKS[name][1] for name in names if HOOKS[name][0] == "kernel_text"]
    missing = [name for name in wanted if not any(name in subject for subject in subjects)]
    if missing or len(subjects) != len(wanted):
        yield f"{subjects}, and not {wanted}"
    return ", ".join(subjects)


def flipped_text(tool, image, vmlinuz):
    """Single bits of the kernel's code, anywhere, each on the image as it was found."""
    generator = random.Random(image.name)
    symbols = {row["name"]: int(row["address"], 16) for row in tool.rows("symbols", image)}
    start, end = symbols["_text"], symbols["_etext"]
    functions = sorted({address for address in symbols.values() if start <= address < end})
    known = {bisect.bisect(functions, address) for address in compared(tool, image, vmlinuz)}
    physical = int(tool.rows("translate", image, hex(start))[0]["physical"], 16)
    places = {address: 1 << generator.randrange(8) for address in generator.sample(range(start, end), FLIPS)}
    with open(image, "r+b") as ram:
        def flip():
            for address, bit in places.items():
                ram.seek(physical + address - start)
                byte = ram.read(1)[0]
                ram.seek(-1, 1)
                ram.write(bytes([byte ^ bit]))
            ram.flush()
        flip()
        found = {bisect.bisect(functions, address) for address in compared(tool, image, vmlinuz)}
        flip()
    changed = {bisect.bisect(functions, address) for address in places}
    for function in changed - found:
        yield f"not found: a change in what begins at {functions[function - 1]:#x}"
    for function in found - changed - known:
        yield f"nothing was changed in what begins at {functions[function - 1]:#x}"
    return f"{len(places)} bits in {len(changed)} functions"


def other_file(tool, image, kernel):
    """A file of another build is refused."""
    other = kernels.get("backports" if kernel == "bookworm" else "bookworm").vmlinuz
    result = tool.run("check", image, "--name", "kernel_text", "--vmlinux", other)
    if result.status != 1 or "is of another kernel" not in result.stderr:
        yield result.describe()


def load(machine, command):
    module = command.split()[0]
    if machine.run(f"insmod /{command.replace(module, module + '.ko', 1)}"):
        raise guest.GuestError(f"{command}: it was not loaded")


def hide(machine, kernel, command, files=None, output=0, prepare=None):
    """The image of a guest in which a module was loaded, after prepare(machine); and what that has returned."""
    modules = lab_module.modules("hiding", kernel)
    machine.boot(kernels.get(kernel), 256, append="kioku.lab=1", output=output, files={
        **(files or {}), **{f"/{name}.ko": modules[name] for name in (command.split()[0], "hide_task")}})
    prepared = prepare(machine) if prepare else None
    load(machine, command)
    machine.freeze()
    image = machine.folder / "ram.img"
    machine.copy_ram(image)
    return image, prepared


def check_guest(session, kernel, command, test, *arguments, others=None, **more):
    """test of the image of a guest in which a module was loaded, and others, {title: test}, which are given what
    prepare has returned."""
    name = f"check-{kernel}-{command.partition(' what')[0].replace(' ', '-')}"
    others = {f"{name}, {title}": other for title, other in (others or {}).items()}
    if not any(map(session.results.wants, (name, *others))):
        return
    with guest.Guest(session.folder / name) as machine:
        try:
            image, prepared = hide(machine, kernel, command, **more)
        except (guest.GuestError, kernels.FetchError) as error:
            session.results.fail(f"{name}, boot", error)
            return
        session.results.check(name, test, session.tool, image, *arguments)
        for title, other in others.items():
            session.results.check(title, other, session.tool, image, prepared)
        if test is not hooks:
            return
        vmlinuz = kernels.get(kernel).vmlinuz
        session.results.check(f"{name}: its code and its file", hooked_text, session.tool, image, vmlinuz, arguments[0])
        session.results.check(f"{name}: changed code", flipped_text, session.tool, image, vmlinuz)
        session.results.check(f"{name}: a file of another build", other_file, session.tool, image, kernel)


# --- with processes that are intruded into, and hidden ones

def with_intruders(session, kernel):
    """What such a guest needs, as check_guest() takes it."""
    folder = session.folder / f"intruders-{kernel}"
    folder.mkdir(exist_ok=True)

    def prepare(machine):
        intrusion = check_memory.Intrusion(machine, folder)
        load(machine, check_processes.hiding(intrusion.pids))
        return intrusion

    return {"files": check_memory.files(folder), "output": 16, "prepare": prepare, "others": {
        "processes intruded into": check_memory.intruders,
        "processes hidden by a module": check_processes.hidden_by_module}}


def plans(full):
    """Modules for sid need a newer compiler than that of bookworm."""
    return ("bookworm", "backports", "bullseye") if full else ("bookworm",)


def check_all(session):
    for kernel in plans(session.options.full):
        for command, missing in HIDDEN_FROM.items():
            more = with_intruders(session, kernel) if command == "hide_module" else {}
            check_guest(session, kernel, command, hidden_module, missing, **more)
        names = [name for name in HOOKS if name not in UNKNOWN.get(kernel, ())]
        for hidden in (False, True) if session.options.full else (True,):
            command = f"hook hide={int(hidden)} what={','.join(names)}"
            check_guest(session, kernel, command, hooks, names, hidden)
