# SPDX-License-Identifier: LGPL-2.1-or-later
"""What "kioku ps" prints, by drgn: runs inside "drgn -c DUMP -s VMLINUX drgn_ps.py"."""

from drgn.helpers.linux.pid import for_each_task

for task in for_each_task(prog):  # noqa: F821, drgn defines it
    if task.pid == task.tgid:
        print(f"{task.value_():#x} {task.tgid.value_()} {task.real_parent.tgid.value_()} "
              f"{task.real_cred.uid.val.value_()} {task.real_cred.gid.val.value_()} "
              f"{task.signal.nr_threads.value_()} {task.start_boottime.value_()} "
              f"{task.comm.string_()}")
