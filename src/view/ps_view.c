/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ps: what the kernel's own list of processes leads to. */
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

enum { CELLS = sizeof(ps_cells) / sizeof(*ps_cells) };

static enum kioku_status give_process(void *user, const struct task *task)
{
	struct view_run *run = user;
	struct kioku_cell cells[CELLS];
	char state;

	if (!view_wants_pid(run, task->tgid))
		return KIOKU_OK;
	task_row_cells(run, task, ps_cells, CELLS, &state, cells);
	return view_row(run, cells);
}

static enum kioku_status run_ps(struct view_run *run, struct kioku_error *error)
{
	task_views_begin(run->kernel);
	if (run->options.all)
		TRY(task_each_idle(run->kernel, give_process, run, error));
	return task_each_process(run->kernel, task_parts_wanted(run, ps_cells, CELLS), give_process,
				 run, error);
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
