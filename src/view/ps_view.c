/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ps and threads: what the kernel's own lists lead to. */
#include "view/task_cells.h"

static const struct record *const records[] = { &task_record, &signal_record, &cred_record, NULL };

static const struct kioku_column ps_columns[] = {
	TASK_COLUMN_ADDRESS, TASK_COLUMN_PID,   TASK_COLUMN_PPID,
	TASK_COLUMN_UID,     TASK_COLUMN_GID,   TASK_COLUMN_THREADS,
	TASK_COLUMN_STATE,   TASK_COLUMN_START, TASK_COLUMN_COMM,
};

static const enum task_cell ps_cells[] = {
	TASK_ADDRESS, TASK_PID,   TASK_PPID,  TASK_UID,  TASK_GID,
	TASK_THREADS, TASK_STATE, TASK_START, TASK_COMM,
};

static enum kioku_status give_process(void *user, const struct task *task)
{
	struct view_run *run = user;

	return view_wants_pid(run, task->tgid) ? task_row(run, task, ps_cells) : KIOKU_OK;
}

static enum kioku_status run_ps(struct view_run *run, struct kioku_error *error)
{
	task_views_begin(run->kernel);
	if (run->options.all)
		TRY(task_each_idle(run->kernel, give_process, run, error));
	return task_each_process(run->kernel, task_parts_wanted(run, ps_cells), give_process, run,
				 error);
}

const struct kioku_view ps_view = {
	.name = "ps",
	.help = "processes, kernel threads included",
	VIEW_COLUMNS(ps_columns),
	.options = KIOKU_VIEW_PID | KIOKU_VIEW_ALL,
	.needs_tasks = true,
	.records = records,
	.run = run_ps,
};

static const struct kioku_column thread_columns[] = {
	TASK_COLUMN_ADDRESS, TASK_COLUMN_PID,   TASK_COLUMN_TID,
	TASK_COLUMN_PPID,    TASK_COLUMN_UID,   TASK_COLUMN_GID,
	TASK_COLUMN_STATE,   TASK_COLUMN_START, TASK_COLUMN_COMM,
};

static const enum task_cell thread_cells[] = {
	TASK_ADDRESS, TASK_PID,   TASK_TID,   TASK_PPID, TASK_UID,
	TASK_GID,     TASK_STATE, TASK_START, TASK_COMM,
};

static enum kioku_status give_thread(void *user, const struct task *task)
{
	return task_row(user, task, thread_cells);
}

static enum kioku_status give_threads(void *user, const struct task *leader)
{
	struct view_run *run = user;

	if (!view_wants_pid(run, leader->tgid))
		return KIOKU_OK;
	return task_each_thread(run->kernel, leader, task_parts_wanted(run, thread_cells),
				give_thread, run, NULL);
}

static enum kioku_status run_threads(struct view_run *run, struct kioku_error *error)
{
	task_views_begin(run->kernel);
	if (run->options.all && view_wants_pid(run, 0))
		TRY(task_each_idle(run->kernel, give_thread, run, error));
	return task_each_process(run->kernel, TASK_IDENTITY | TASK_MEMBERS, give_threads, run,
				 error);
}

const struct kioku_view threads_view = {
	.name = "threads",
	.help = "every thread of every process",
	VIEW_COLUMNS(thread_columns),
	.options = KIOKU_VIEW_PID | KIOKU_VIEW_ALL,
	.needs_tasks = true,
	.records = records,
	.run = run_threads,
};
