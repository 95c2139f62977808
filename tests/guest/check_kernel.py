# SPDX-License-Identifier: LGPL-2.1-or-later
"""check, what is about the kernel: on images of guests as they are, and of guests in which a module hides. Each
test yields problems."""

import guest
import kernels
import lab_module

CHECKS = ("hidden_module",)
HIDDEN_FROM = {"hide_module": ("list of modules", "sysfs"),
               "hide_module deep=1": ("list of modules", "sysfs", "tree of addresses")}


def results(tool, image, name):
    return tool.rows("check", image, "--name", name, "--columns", "all")


def findings(rows):
    return [row for row in rows if row["severity"] == "finding"]


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


def check_hidden(session, kernel, command, missing):
    name = f"check-{kernel}-{command.replace(' ', '-')}"
    if not session.results.wants(name):
        return
    with guest.Guest(session.folder / name) as machine:
        try:
            image = hide(machine, kernel, command)
        except (guest.GuestError, kernels.FetchError) as error:
            failure = str(error)
            session.results.check(f"{name}, boot", lambda: iter([failure]))
            return
        session.results.check(name, hidden_module, session.tool, image, missing)


def plans(full):
    """Modules for sid need a newer compiler than that of bookworm."""
    return ("bookworm", "backports", "bullseye") if full else ("bookworm",)


def check_all(session):
    for kernel in plans(session.options.full):
        for command, missing in HIDDEN_FROM.items():
            check_hidden(session, kernel, command, missing)
