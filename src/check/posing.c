/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes that pose as threads of the kernel. Those have PF_KTHREAD, no memory of their own, and kthreadd as
 * their parent. Which names they have, the threads of this very kernel say.
 */
#include <stdio.h>
#include <string.h>

#include "base/growing.h"
#include "check/check.h"
#include "kernel/process_walk.h"

enum {
	COMM = 16,
	TITLE = 64, /* bytes of argv[0] that are looked at */
};

struct posing {
	struct check_run *run;
	char (*names)[COMM]; /* of the kernel's threads */
	size_t count, capacity;
};

static void posing_release(struct posing *posing)
{
	free(posing->names);
}

static enum kioku_status note_name(void *user, const struct task *task)
{
	struct posing *posing = user;

	if (!(task->flags & PF_KTHREAD) || task->mm)
		return KIOKU_OK;
	if (!GROW(posing->names, posing->count, posing->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	memcpy(posing->names[posing->count], task->comm, COMM);
	posing->names[posing->count++][COMM - 1] = '\0';
	return KIOKU_OK;
}

enum likeness {
	UNLIKE,
	SAME, /* programs may happen to have the same */
	KIND, /* "kworker/0:1" is of the kind "kworker/": no program has a name of its file with a '/' in it */
};

static enum likeness compare(const struct posing *posing, const char *name)
{
	const char *slash = strchr(name, '/');
	size_t kind = slash ? (size_t)(slash - name) + 1 : 0;
	enum likeness found = UNLIKE;

	for (size_t i = 0; i < posing->count; i++) {
		if (kind > 1 && strncmp(posing->names[i], name, kind) == 0)
			return KIND;
		if (name[0] && strncmp(posing->names[i], name, COMM - 1) == 0)
			found = SAME;
	}
	return found;
}

/* The first argument, if it is in brackets, as ps shows what has no arguments; without them. */
static bool read_title(struct posing *posing, const struct process *process, char out[TITLE])
{
	const struct memory_map *map = &process->map;
	uint64_t size = map->arguments_end - map->arguments_start;
	struct kioku_error error = { 0 };
	char text[TITLE] = "";

	if (map->arguments_end <= map->arguments_start)
		return false;
	if (size > sizeof(text) - 1)
		size = sizeof(text) - 1;
	if (kioku_address_space_read(process->space, map->arguments_start, text, size, &error) !=
	    KIOKU_OK) {
		diagnose(&posing->run->kernel->diagnostics, KIOKU_GAP,
			 "process %d: its arguments: %s", process->task->tgid, error.message);
		return false;
	}
	size_t length = strlen(text);
	if (length < 3 || text[0] != '[' || text[length - 1] != ']')
		return false;
	snprintf(out, TITLE, "%.*s", (int)length - 2, text + 1);
	return true;
}

/* What the kernel itself starts has the name of its starter until it executes its program. */
static bool is_of_kernel(struct kioku_kernel *kernel, const struct task *task)
{
	struct task parent;

	return task_read(kernel, task->real_parent, &parent, NULL) == KIOKU_OK &&
	       (parent.flags & PF_KTHREAD || parent.pid == 0);
}

static enum kioku_status report(struct posing *posing, const struct task *task,
				enum check_severity severity, enum check_certainty certainty,
				const char *found)
{
	char name[COMM];
	const struct check_result result = {
		.severity = severity,
		.certainty = certainty,
		.pid = task->tgid,
		.subject = name,
		.address = task->address,
		.compared = "names and flags of processes with those of the kernel's threads",
		.expected =
			"threads of the kernel have no memory of their own, and kthreadd as parent",
		.found = found,
	};

	snprintf(name, sizeof(name), "%.15s", task->comm);
	return check_report(posing->run, &result);
}

/* A process with memory whose flags say that it is a thread of the kernel. */
static enum kioku_status look_at_flags(struct posing *posing, const struct task *task)
{
	if (is_of_kernel(posing->run->kernel, task))
		return KIOKU_OK; /* it uses a process's memory for a while, see kthread_use_mm() */
	return report(posing, task, CHECK_FINDING, CHECK_CERTAIN,
		      "marked as a thread of the kernel, but kthreadd is not its parent");
}

static enum kioku_status look_at(void *user, const struct process *process)
{
	struct posing *posing = user;
	const struct task *task = process->task;
	char title[TITLE], name[COMM], found[CHECK_TEXT];

	if (is_of_kernel(posing->run->kernel, task))
		return KIOKU_OK;
	snprintf(name, sizeof(name), "%.15s", task->comm);
	enum likeness of_name = compare(posing, name);
	bool has_title = read_title(posing, process, title);
	if (has_title && compare(posing, title) != UNLIKE) {
		snprintf(found, sizeof(found),
			 "a process with memory of its own calls itself [%s], as threads of this "
			 "kernel "
			 "are shown",
			 title);
		return report(posing, task, CHECK_FINDING, CHECK_CERTAIN, found);
	}
	if (of_name == KIND)
		return report(
			posing, task, CHECK_FINDING, CHECK_LIKELY,
			"a process with memory of its own is named as threads of this kernel are");
	if (of_name == SAME)
		return report(
			posing, task, CHECK_NOTE, CHECK_POSSIBLE,
			"a process with memory of its own has the name of a thread of this kernel");
	if (!has_title)
		return KIOKU_OK;
	snprintf(found, sizeof(found),
		 "it calls itself [%s], in brackets; no thread of this kernel does", title);
	return report(posing, task, CHECK_NOTE, CHECK_POSSIBLE, found);
}

static enum kioku_status look_at_marked(void *user, const struct task *task)
{
	return task->flags & PF_KTHREAD && task->mm ? look_at_flags(user, task) : KIOKU_OK;
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	CLEANUP(posing_release) struct posing posing = { .run = run };
	struct kioku_kernel *kernel = run->kernel;

	TRY(task_each_process(kernel, TASK_IDENTITY | TASK_MEMBERS, note_name, &posing, error));
	TRY(task_each_process(kernel, TASK_IDENTITY | TASK_MEMBERS, look_at_marked, &posing,
			      error));
	return process_each(kernel, &(struct process_walk){ .receive = look_at, .user = &posing },
			    error);
}

static const struct record *const records[] = { &task_record, &memory_map_record, NULL };

const struct check posing_check = {
	.name = "posing",
	.help = "processes that pose as threads of the kernel",
	.records = records,
	.run = run_check,
};
