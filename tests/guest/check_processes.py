# SPDX-License-Identifier: LGPL-2.1-or-later
"""check, what is about processes: on images of guests as they are, and with processes hidden in them afterwards.
Each test yields problems."""

from array import array

from mutate_processes import Finder
from ram import working_copy

CHECKS = ("hidden_process",)


def results(tool, image, name, *options):
    return tool.rows("check", image, "--name", name, "--columns", "all", *options)


def findings(rows):
    return [row for row in rows if row["severity"] == "finding"]


# --- hidden afterwards

class Editor:
    """Takes tasks of an image out of the kernel's lists."""

    def __init__(self, tool, known, ram):
        self.finder = Finder(tool, known, ram)
        self.tasks = {row["pid"]: int(row["task"], 16)
                      for row in tool.rows("ps", ram.path, "--columns", "pid,task")}

    def offset(self, name, path):
        return self.finder.offset(name, path)

    def word(self, address):
        return self.finder.word(address)

    def write(self, address, value):
        return self.finder.physical(address), value.to_bytes(8, "little")

    def unlink(self, node):
        """As list_del() does, but for what it leaves in the node."""
        following, previous = self.word(node), self.word(node + 8)
        return [self.write(previous, following), self.write(following + 8, previous)]

    def without_list(self, pid):
        return self.unlink(self.tasks[pid] + self.offset("task_struct", "tasks"))

    def without_children(self, pid):
        return self.unlink(self.tasks[pid] + self.offset("task_struct", "sibling"))

    def without_pid(self, pid):
        of = self.word(self.tasks[pid] + self.offset("task_struct", "thread_pid"))
        return [self.write(of + self.offset("pid", "tasks"), 0)]


WAYS = {
    "task list": (Editor.without_list,),
    "PID table": (Editor.without_pid,),
    "its parent's children": (Editor.without_children,),
    "task list, PID table, its parent's children":
        (Editor.without_list, Editor.without_pid, Editor.without_children),
}


def hidden_process(tool, known, ram):
    editor = Editor(tool, known, ram)
    pid, comm = known.before["roles"]["threads"], "threads"
    for missing, ways in WAYS.items():
        # Neighbours of a list share words: one way after the other.
        with ram.patched([change for way in ways for change in way(editor, pid)]):
            # What an earlier boot has left is a note.
            rows = [row for row in results(tool, ram.path, "hidden_process") if row["severity"] == "finding"]
        if [(row["pid"], row["subject"]) for row in rows] != [(pid, comm)]:
            yield f"hidden from {missing}: {rows}"
        elif not all(name in rows[0]["found"].split(";")[0] for name in missing.split(", ")):
            yield f"hidden from {missing}: {rows[0]['found']}"
    return f"{len(WAYS)} ways"


# --- left over

LEFT_OVER = 1 << 16  # bytes in which each part of it has room


def left_over(tool, known, ram):
    """As of an earlier boot: a copy of a process where nothing is, whose lists lead nowhere any more. That is a
    note, and no damage to what lives."""
    editor = Editor(tool, known, ram)
    pid = known.before["roles"]["threads"]
    task = editor.tasks[pid]
    parts = {"task_struct": task,
             "signal_struct": editor.word(task + editor.offset("task_struct", "signal")),
             "pid": editor.word(task + editor.offset("task_struct", "thread_pid"))}
    start, _ = next(ram.holes(len(parts) * LEFT_OVER))
    moved = {name: (address, editor.finder.base + start + index * LEFT_OVER)
             for index, (name, address) in enumerate(parts.items())}
    # A struct pid ends with its numbers, which are no part of its size.
    sizes = {name: editor.finder.size(name) + (editor.finder.size("upid") if name == "pid" else 0) for name in parts}

    def relocated(word):
        return next((word - old + new for name, (old, new) in moved.items() if old <= word < old + sizes[name]), word)

    def copy(name):
        old, new = moved[name]
        words = array("Q", ram.read(editor.finder.physical(old), sizes[name] // 8 * 8))
        return editor.finder.physical(new), array("Q", map(relocated, words)).tobytes()

    threads = moved["signal_struct"][1] + editor.offset("signal_struct", "thread_head")
    with ram.patched([*map(copy, parts), editor.write(threads, 0)]):
        rows = results(tool, ram.path, "hidden_process")
    if [(row["pid"], row["severity"]) for row in rows] != [(pid, "note")]:
        yield f"{rows}"
    elif not rows[0]["found"].endswith("it may be left over from an earlier boot"):
        yield rows[0]["found"]
    return f"PID {pid}"


# --- hidden by lab/modules/hiding/hide_task.c

HIDDEN = {"ordinary": "task list", "copied": "PID table"}  # roles of programs/intruder.c


def hiding(pids):
    """The command that hides them."""
    return f"hide_task hide_pid={pids['ordinary']} unhash_pid={pids['copied']}"


def hidden_by_module(tool, image, intrusion):
    rows = results(tool, image, "hidden_process")
    found = {row["pid"]: row["found"].partition(";")[0] for row in findings(rows)}
    wanted = {intrusion.pids[role]: f"the process is not in: {way}" for role, way in HIDDEN.items()}
    if found != wanted or len(rows) != len(wanted):
        yield f"{rows}, not {wanted}"
    return ", ".join(wanted.values())


# --- as they are

def clean(tool, known, image):
    """What the activity has of that kind, and nothing else."""
    for name in CHECKS:
        yield from (f"{name}: {row}" for row in findings(results(tool, image, name)))


WITH_CHANGES = {"check, hidden processes": hidden_process, "check, left over": left_over}


def check_all(session, known):
    session.check(known, "check, nothing hidden", clean, session.tool, known, known.ram_path)
    if any(session.wants(known, name) for name in WITH_CHANGES):
        with working_copy(known.ram_path, session.folder / "hidden", known.facts["ram_map"]) as ram:
            for name, test in WITH_CHANGES.items():
                session.check(known, name, test, session.tool, known, ram)
