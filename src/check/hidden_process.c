/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes that hide: what lives is in all of the kernel's lists at once, from copy_process() to
 * release_task() (kernel/fork.c, kernel/exit.c), both under tasklist_lock. A task is new until then, and has an
 * exit state from then on.
 */
#include <stdio.h>
#include <string.h>

#include "check/process_sightings.h"
#include "kernel/frame_use.h"
#include "kernel/kernel_stack.h"

struct search {
	struct check_run *run;
	struct sightings sightings;
};

static void search_release(struct search *search)
{
	sightings_release(&search->sightings);
}

/* In exec, a thread takes the place of its leader, in all lists. */
struct group {
	uint64_t executing;
};

static const struct member group_members[] = {
	MEMBER(struct group, executing, "group_exec_task", "group_exit_task"),
};
static const struct record group_record = RECORD(struct group, "signal_struct", group_members);

static bool changes_leader(struct kioku_kernel *kernel, const struct task *task)
{
	struct group group;

	return record_read_at(kernel, &group_record, task->signal, &group) == KIOKU_OK &&
	       group.executing != 0;
}

static unsigned views_expected(const struct task *task)
{
	unsigned views = 1 << VIEW_PIDS | 1 << VIEW_THREADS;

	if (task->group_leader == task->address)
		views |= 1 << VIEW_LIST | 1 << VIEW_CHILDREN;
	return views;
}

/*
 * Of a structure that nothing leads to: whether it is in use. It may be left over from the machine's last boot;
 * such a one is in no slab, or its stack is another's by now, and leads nowhere.
 */
static bool is_in_use(struct search *search, const struct task *task)
{
	struct kioku_kernel *kernel = search->run->kernel;
	struct frame_reader frames;
	struct frame_use use;
	struct kernel_stack stack;
	uint64_t physical, contiguous;

	if (frame_reader_open(kernel, &frames, NULL) != KIOKU_OK ||
	    address_space_locate(&kernel->space, task->address, &physical, &contiguous, NULL) !=
		    KIOKU_OK ||
	    frame_use_read(&frames, physical, &use) != KIOKU_OK || use.kind != FRAME_SLAB)
		return false;
	return kernel_stack_read(kernel, search->run->code, task, &stack) == KIOKU_OK &&
	       stack.state == STACK_FOLLOWED;
}

/* Whether its own links say that it was taken out of a list, which release_task() does to none that lives. */
static bool is_unlinked(const struct kioku_kernel *kernel, const struct task *task)
{
	const struct kioku_kernel *k = kernel;

	return !kernel_is_pointer(k, task->tasks_prev) || !kernel_is_pointer(k, task->tasks_next) ||
	       task->tasks_prev == task->tasks_next;
}

struct verdict {
	enum check_severity severity;
	enum check_certainty certainty;
	const char *doubt; /* NULL: none */
};

static struct verdict judge(struct search *search, const struct task *task, unsigned views,
			    unsigned missing)
{
	const struct kioku_kernel *kernel = search->run->kernel;
	bool carved_only = views == 1 << VIEW_CARVED;

	if (search->sightings.damaged & missing)
		return (struct verdict){ CHECK_NOTE, CHECK_POSSIBLE,
					 "these are damaged, or could not be read" };
	if (source_may_be_torn(kernel->source) &&
	    !(missing >> VIEW_LIST & 1 && is_unlinked(kernel, task)))
		return (struct verdict){ CHECK_NOTE, CHECK_POSSIBLE,
					 "it may have started or ended while memory was copied" };
	if (carved_only && !is_in_use(search, task))
		return (struct verdict){ CHECK_NOTE, CHECK_POSSIBLE,
					 "it may be left over from an earlier boot" };
	return (struct verdict){ CHECK_FINDING, carved_only ? CHECK_LIKELY : CHECK_CERTAIN, NULL };
}

static enum kioku_status report(struct search *search, const struct task *task, unsigned views,
				unsigned missing)
{
	struct verdict verdict = judge(search, task, views, missing);
	char has[CHECK_TEXT], has_not[CHECK_TEXT], all[CHECK_TEXT];
	char found[3 * CHECK_TEXT], expected[2 * CHECK_TEXT];
	bool is_leader = task->group_leader == task->address;

	sightings_names(views, has);
	sightings_names(missing, has_not);
	sightings_names(views_expected(task), all);
	snprintf(found, sizeof(found), "%s is not in: %s; it is in: %s%s%s",
		 is_leader ? "the process" : "the thread", has_not, has, verdict.doubt ? "; " : "",
		 verdict.doubt ? verdict.doubt : "");
	snprintf(expected, sizeof(expected), "what lives is in: %s", all);
	const struct check_result result = {
		.severity = verdict.severity,
		.certainty = verdict.certainty,
		.pid = task->tgid,
		.subject = task->comm,
		.address = task->address,
		.compared =
			"the kernel's lists of tasks with each other and with structures in memory",
		.expected = expected,
		.found = found,
	};
	return check_report(search->run, &result);
}

static enum kioku_status look_at(struct search *search, const struct sighting *sighting)
{
	struct kioku_kernel *kernel = search->run->kernel;
	struct task task;

	if (task_read(kernel, sighting->task, &task, NULL) != KIOKU_OK)
		return KIOKU_OK;
	unsigned missing = views_expected(&task) & ~sighting->views;
	if (!missing || !task_lives(kernel, &task) || changes_leader(kernel, &task))
		return KIOKU_OK;
	return report(search, &task, sighting->views, missing);
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	CLEANUP(search_release) struct search search = { .run = run };

	TRY(sightings_read(run->kernel, &search.sightings, error));
	for (size_t i = 0; i < search.sightings.count; i++)
		TRY(look_at(&search, &search.sightings.found[i]));
	return KIOKU_OK;
}

static const struct record *const records[] = { &task_record, &signal_record, &cred_record, NULL };

const struct check hidden_process_check = {
	.name = "hidden_process",
	.help = "processes and threads that some of the kernel's lists lead to, and others do not",
	.records = records,
	.run = run_check,
};
