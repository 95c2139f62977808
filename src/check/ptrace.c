/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who traces whom: a tracer can change whatever its tracee has. Debuggers do it, and so does who injects code. */
#include <stdio.h>

#include "check/mapped_process.h"

struct search {
	struct check_run *run;
	const struct task *process;
	uint64_t tracer; /* the task that was told of last; 0: none */
};

static enum kioku_status look_at_thread(void *user, const struct task *thread)
{
	struct search *search = user;
	char found[CHECK_TEXT], name[sizeof(thread->comm)];
	struct task tracer;

	if (!tracer_find(search->run->kernel, thread->address, &tracer) ||
	    tracer.address == search->tracer)
		return KIOKU_OK;
	search->tracer = tracer.address;
	snprintf(name, sizeof(name), "%.15s", search->process->comm);
	snprintf(found, sizeof(found), "thread %d is traced by process %d (%.15s)", thread->pid,
		 tracer.tgid, tracer.comm);
	return check_report(search->run,
			    &(struct check_result){
				    .severity = CHECK_NOTE,
				    .certainty = CHECK_POSSIBLE,
				    .pid = search->process->tgid,
				    .subject = name,
				    .address = thread->address,
				    .compared = "tracers of threads with their parents",
				    .expected = "nobody traces it, but a debugger",
				    .found = found,
			    });
}

static enum kioku_status look_at(void *user, const struct task *process)
{
	struct search search = { .run = user, .process = process };

	return task_each_thread(search.run->kernel, process, TASK_IDENTITY | TASK_MEMBERS,
				look_at_thread, &search, NULL);
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	return task_each_process(run->kernel, TASK_IDENTITY | TASK_MEMBERS, look_at, run, error);
}

static const struct record *const records[] = { &task_record, &signal_record, NULL };

const struct check ptrace_check = {
	.name = "ptrace",
	.help = "processes that others trace",
	.records = records,
	.run = run_check,
};
