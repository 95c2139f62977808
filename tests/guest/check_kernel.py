# SPDX-License-Identifier: LGPL-2.1-or-later
"""check, what is about the kernel: on images of guests as they are, of guests in which a module hides, and of those
in which it puts itself where the kernel would call something else. Each test yields problems."""

import guest
import kernels
import lab_module

CHECKS = ("hidden_module", "syscall_table", "interrupt_table", "constant_data", "kernel_text", "tracing_hooks",
          "netfilter_hooks", "notifiers")
HIDDEN_FROM = {"hide_module": ("list of modules", "sysfs"),
               "hide_module deep=1": ("list of modules", "sysfs", "tree of addresses")}


def results(tool, image, name):
    return tool.rows("check", image, "--name", name, "--columns", "all")


def findings(rows):
    return [row for row in rows if row["severity"] == "finding"]


# lab/modules/hiding/hook.c: what it does, and how that is told: (check, of what, where it leads to). The last three
# are notes of a module that is listed: modules may do that.
HOOKS = {
    "table": ("syscall_table", "system call 62", "hooked_entry"),
    "dispatcher": ("kernel_text", "x64_sys_call", "hooked_dispatcher"),
    "text": ("kernel_text", "vhangup", "replacement"),
    "proc": ("constant_data", "tcp4_seq_ops+0x18", "hooked_show"),
    "idt": ("interrupt_table", "interrupt vector 4", "replacement"),
    "ftrace": ("tracing_hooks", "__x64_sys_mkdir", "redirect"),
    "netfilter": ("netfilter_hooks", "IPv4 PRE_ROUTING", "hooked_packet"),
    "keyboard": ("notifiers", "keyboard_notifier_list", "hooked_key"),
}
NOTES = ("netfilter", "keyboard")
# A kernel without x64_sys_call() dispatches by the table.
UNKNOWN = {"bullseye": ("dispatcher",)}


# --- as they are

def clean(tool, known, image):
    for name in CHECKS:
        yield from (f"{name}: {row}" for row in findings(results(tool, image, name)))


def check_clean(session, known):
    session.check(known, "check, nothing hidden in the kernel", clean, session.tool, known, known.ram_path)


# --- with a module that hides

def hidden_module(tool, image, missing):
    """It, by its name, and nothing else."""
    rows = findings(results(tool, image, "hidden_module"))
    if [row["subject"] for row in rows] != ["hide_module"]:
        yield f"{rows}"
    elif rows[0]["found"].split(";")[0] != f"the module is not in: {', '.join(missing)}":
        yield rows[0]["found"]


def hooks(tool, image, names, hidden):
    """Each of them, and no other finding: with the function's name, where its module is listed."""
    rows = tool.rows("check", image, "--columns", "all")
    wanted = []
    for name in names:
        check, subject, function = HOOKS[name]
        severity = "note" if name in NOTES and not hidden else "finding"
        found = [row for row in rows if row["check"] == check and row["severity"] == severity
                 and subject in row["subject"]]
        if len(found) != 1:
            yield f"{name}: {found or [row for row in rows if row['check'] == check]}"
        elif ("in no code that the kernel knows of" if hidden else f"{function}+0x0/") not in found[0]["found"]:
            yield f"{name}: {found[0]['found']}"
        wanted += found
    if hidden:
        wanted += [row for row in rows if (row["check"], row["subject"]) == ("hidden_module", "hook")]
    yield from (f"{row}" for row in findings(rows) if row not in wanted and row["check"] != "posing")
    if hidden and not any(row["check"] == "hidden_module" for row in wanted):
        yield "the module is not found"
    return ", ".join(names)


def hide(machine, kernel, command):
    module = command.split()[0]
    machine.boot(kernels.get(kernel), 256, append="kioku.lab=1", files={
        f"/{module}.ko": lab_module.modules("hiding", kernel)[module]})
    if machine.run(f"insmod /{command.replace(module, module + '.ko', 1)}"):
        raise guest.GuestError(f"{command}: it was not loaded")
    machine.freeze()
    image = machine.folder / "ram.img"
    machine.copy_ram(image)
    return image


def check_guest(session, kernel, command, test, *arguments):
    """test of the image of a guest in which a module was loaded."""
    name = f"check-{kernel}-{command.partition(' what')[0].replace(' ', '-')}"
    if not session.results.wants(name):
        return
    with guest.Guest(session.folder / name) as machine:
        try:
            image = hide(machine, kernel, command)
        except (guest.GuestError, kernels.FetchError) as error:
            session.results.fail(f"{name}, boot", error)
            return
        session.results.check(name, test, session.tool, image, *arguments)


def plans(full):
    """Modules for sid need a newer compiler than that of bookworm."""
    return ("bookworm", "backports", "bullseye") if full else ("bookworm",)


def check_all(session):
    for kernel in plans(session.options.full):
        for command, missing in HIDDEN_FROM.items():
            check_guest(session, kernel, command, hidden_module, missing)
        names = [name for name in HOOKS if name not in UNKNOWN.get(kernel, ())]
        for hidden in (False, True) if session.options.full else (True,):
            command = f"hook hide={int(hidden)} what={','.join(names)}"
            check_guest(session, kernel, command, hooks, names, hidden)
