/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/process_views.h"

#include <string.h>

struct walk {
	struct view_run *run;
	process_fn *receive;
};

static enum kioku_status open_process(struct kioku_kernel *kernel, struct process *process,
				      struct kioku_address_space **space, struct kioku_error *error)
{
	TRY(memory_map_read(kernel, process->task->mm, &process->map, error));
	return memory_map_open_space(kernel, &process->map, process->task->tgid, space, error);
}

static enum kioku_status give(void *user, const struct task *task)
{
	const struct walk *walk = user;
	struct kioku_kernel *kernel = walk->run->kernel;
	AUTO_ADDRESS_SPACE struct kioku_address_space *space = NULL;
	struct process process = { .task = task };
	struct kioku_error error = { 0 };

	if (!view_wants_pid(walk->run, task->tgid) || !task_has_memory(task))
		return KIOKU_OK;
	enum kioku_status status = open_process(kernel, &process, &space, &error);
	if (status != KIOKU_OK) {
		diagnose(&kernel->diagnostics, KIOKU_GAP, "process %d: %s", task->tgid,
			 error.message);
		return KIOKU_OK;
	}
	process.space = space;
	return walk->receive(walk->run, &process);
}

enum kioku_status view_each_process(struct view_run *run, process_fn *receive,
				    struct kioku_error *error)
{
	struct walk walk = { run, receive };

	return task_each_process(run->kernel, TASK_IDENTITY | TASK_MEMBERS, give, &walk, error);
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
