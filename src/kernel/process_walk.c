/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/process_walk.h"

struct walk {
	struct kioku_kernel *kernel;
	const struct process_walk *of;
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
	AUTO_ADDRESS_SPACE struct kioku_address_space *space = NULL;
	struct process process = { .task = task };
	struct kioku_error error = { 0 };

	if ((walk->of->wants && !walk->of->wants(walk->of->user, task->tgid)) ||
	    !task_has_memory(task))
		return KIOKU_OK;
	enum kioku_status status = open_process(walk->kernel, &process, &space, &error);
	if (status != KIOKU_OK) {
		diagnose(&walk->kernel->diagnostics, KIOKU_GAP, "process %d: %s", task->tgid,
			 error.message);
		return KIOKU_OK;
	}
	process.space = space;
	return walk->of->receive(walk->of->user, &process);
}

enum kioku_status process_each(struct kioku_kernel *kernel, const struct process_walk *walk,
			       struct kioku_error *error)
{
	struct walk state = { kernel, walk };

	return task_each_process(kernel, TASK_IDENTITY | TASK_MEMBERS, give, &state, error);
}
