/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ps: what the kernel's own list of processes leads to. */
#include "view/confinement_cells.h"
#include "view/task_cells.h"

static const struct record *const records[] = { &task_record, &signal_record, &cred_record, NULL };

static const struct kioku_column columns[] = {
	TASK_COLUMN_ADDRESS, TASK_COLUMN_PID,     TASK_COLUMN_PPID,  TASK_COLUMN_UID,
	TASK_COLUMN_GID,     TASK_COLUMN_THREADS, TASK_COLUMN_STATE, TASK_COLUMN_START,
	TASK_COLUMN_COMM,    CONFINEMENT_COLUMNS,
};

static const enum task_cell cells_of_task[] = {
	TASK_ADDRESS, TASK_PID,   TASK_PPID,  TASK_UID,  TASK_GID,
	TASK_THREADS, TASK_STATE, TASK_START, TASK_COMM,
};

enum {
	CONFINEMENT = sizeof(cells_of_task) / sizeof(*cells_of_task),
	COLUMNS = CONFINEMENT + CONFINEMENT_CELLS
};

struct listing {
	struct view_run *run;
	struct confinement_cells confinement;
};

static enum kioku_status give_process(void *user, const struct task *task)
{
	struct listing *listing = user;
	struct view_run *run = listing->run;
	struct kioku_cell cells[COLUMNS];
	char state;

	if (!view_wants_pid(run, task->tgid))
		return KIOKU_OK;
	task_row_cells(run, task, cells_of_task, CONFINEMENT, &state, cells);
	confinement_cells_make(&listing->confinement, task, cells + CONFINEMENT);
	return view_row(run, cells);
}

/* Over a link, no more of a task than is shown. */
static unsigned parts_wanted(const struct view_run *run)
{
	unsigned parts = task_parts_wanted(run, cells_of_task, CONFINEMENT);

	for (size_t i = CONFINEMENT; i < COLUMNS; i++)
		if (view_wants_column(run, i))
			return parts | TASK_MEMBERS | TASK_CREDENTIALS;
	return parts;
}

static enum kioku_status list_processes(struct listing *listing, struct kioku_error *error)
{
	struct view_run *run = listing->run;

	task_views_begin(run->kernel);
	if (run->options.all)
		TRY(task_each_idle(run->kernel, give_process, listing, error));
	return task_each_process(run->kernel, parts_wanted(run), give_process, listing, error);
}

static enum kioku_status run_ps(struct view_run *run, struct kioku_error *error)
{
	struct listing listing = { run, { .run = run, .first = CONFINEMENT } };
	enum kioku_status status = list_processes(&listing, error);

	confinement_cells_release(&listing.confinement);
	return status;
}

const struct kioku_view ps_view = {
	.name = "ps",
	.help = "processes, kernel threads included",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_PID | KIOKU_VIEW_ALL,
	.needs_tasks = true,
	.records = records,
	.run = run_ps,
};
