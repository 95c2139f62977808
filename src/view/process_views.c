/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/process_views.h"

#include <string.h>

struct walk {
	struct view_run *run;
	process_fn *receive;
};

static bool wants(void *user, int32_t pid)
{
	const struct walk *walk = user;

	return view_wants_pid(walk->run, pid);
}

static enum kioku_status give(void *user, const struct process *process)
{
	const struct walk *walk = user;

	return walk->receive(walk->run, process);
}

enum kioku_status view_each_process(struct view_run *run, process_fn *receive,
				    struct kioku_error *error)
{
	struct walk walk = { run, receive };

	return process_each(run->kernel, &(struct process_walk){ wants, give, &walk }, error);
}

static enum kioku_status meet(void *user, const struct task *task)
{
	view_wants_pid(user, task->tgid);
	return KIOKU_OK;
}

enum kioku_status view_meet_processes(struct view_run *run, struct kioku_error *error)
{
	if (run->options.pid_count == 0)
		return KIOKU_OK;
	return task_each_process(run->kernel, TASK_IDENTITY, meet, run, error);
}

struct kioku_cell process_comm(const struct process *process)
{
	const char *comm = process->task->comm;

	return cell_text(comm, strnlen(comm, sizeof(process->task->comm)));
}
