// SPDX-License-Identifier: GPL-2.0-only
/* Takes a process out of the list of tasks (hide_pid), or out of the table of PIDs (unhash_pid). */
#include <linux/idr.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rculist.h>
#include <linux/sched.h>

#include "lab.h"

static int hide_pid, unhash_pid;
module_param(hide_pid, int, 0);
module_param(unhash_pid, int, 0);

static int leave_list(void)
{
	struct task_struct *task;

	rcu_read_lock();
	task = pid_task(find_vpid(hide_pid), PIDTYPE_PID);
	if (task)
		list_del_rcu(&task->tasks);
	rcu_read_unlock();
	return task ? 0 : -ESRCH;
}

static int leave_table(void)
{
	return idr_remove(&init_pid_ns.idr, unhash_pid) ? 0 : -ESRCH;
}

static int __init hide_task_init(void)
{
	int status = lab_allows();

	if (status == 0 && hide_pid)
		status = leave_list();
	if (status == 0 && unhash_pid)
		status = leave_table();
	return status;
}
module_init(hide_task_init);

MODULE_DESCRIPTION("hides a process, for kioku's tests");
MODULE_LICENSE("GPL");
