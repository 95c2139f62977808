/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes that hide: what lives is in all of the kernel's lists at once, from copy_process() to
 * release_task() (kernel/fork.c, kernel/exit.c), both under tasklist_lock. A task is new until then, and has an
 * exit state from then on.
 */
#include "check/process_sightings.h"

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

/* Whether its own links say that it was taken out of a list, which release_task() does to none that lives. */
static bool is_unlinked(const struct kioku_kernel *kernel, const struct task *task)
{
	const struct kioku_kernel *k = kernel;

	return !kernel_is_pointer(k, task->tasks_prev) || !kernel_is_pointer(k, task->tasks_next) ||
	       task->tasks_prev == task->tasks_next;
}

/* Why it may be harmless that ways are missing; NULL: nothing is known that would be. */
static const char *doubt(struct search *search, const struct task *task, unsigned views,
			 unsigned missing)
{
	const struct kioku_kernel *kernel = search->run->kernel;

	if (search->sightings.damaged & missing)
		return "these are damaged, or could not be read";
	if (source_may_be_torn(kernel->source) &&
	    !(missing >> VIEW_LIST & 1 && is_unlinked(kernel, task)))
		return "it may have started or ended while memory was copied";
	if (sightings_is_left_over(&search->sightings, task, views))
		return "it may be left over from an earlier boot";
	return NULL;
}

static enum kioku_status report(struct search *search, const struct task *task, unsigned views,
				unsigned missing)
{
	const struct disagreement disagreement = {
		.thing = task->group_leader == task->address ? "the process" : "the thread",
		.norm = "what lives",
		.found = views,
		.missing = missing,
		.expected = views_expected(task),
		.was_carved = sightings_are_carved(views),
		.doubt = doubt(search, task, views, missing),
		.about = { .pid = task->tgid,
			   .subject = task->comm,
			   .address = task->address,
			   .compared = "the kernel's lists of tasks with each other and with "
				       "structures in memory" },
	};

	return ways_report(search->run, &process_ways, &disagreement);
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

	TRY(sightings_read(run->kernel, run->code, &search.sightings, error));
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
