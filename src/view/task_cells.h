/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cells that all views of processes and threads share. */
#ifndef VIEW_TASK_CELLS_H
#define VIEW_TASK_CELLS_H

#include "kernel/task.h"
#include "view/view.h"

enum task_cell {
	TASK_ADDRESS,
	TASK_PID, /* of the process: the kernel's tgid */
	TASK_TID, /* of the thread: the kernel's pid */
	TASK_PPID,
	TASK_UID,
	TASK_GID,
	TASK_THREADS,
	TASK_STATE,
	TASK_START,
	TASK_COMM,
	TASK_CELLS
};

/* name, kind and help of each; views put them together in their own order. */
/* clang-format off */
#define TASK_COLUMN_ADDRESS { "task", KIOKU_KIND_ADDRESS, "address of the task_struct", 0 }
#define TASK_COLUMN_PID     { "pid", KIOKU_KIND_INTEGER, "process id, initial namespace", 0 }
#define TASK_COLUMN_TID     { "tid", KIOKU_KIND_INTEGER, "thread id, initial namespace", 0 }
#define TASK_COLUMN_PPID    { "ppid", KIOKU_KIND_INTEGER, "process id of the parent", 0 }
#define TASK_COLUMN_UID     { "uid", KIOKU_KIND_UNSIGNED, "real user id", 0 }
#define TASK_COLUMN_GID     { "gid", KIOKU_KIND_UNSIGNED, "real group id", 0 }
#define TASK_COLUMN_THREADS { "threads", KIOKU_KIND_INTEGER, "number of threads", 0 }
#define TASK_COLUMN_STATE   { "state", KIOKU_KIND_TEXT, "letter, as in /proc/PID/stat", 0 }
#define TASK_COLUMN_START   { "start_time", KIOKU_KIND_TIME, "when it was started, UTC", 0 }
#define TASK_COLUMN_COMM    { "comm", KIOKU_KIND_TEXT, "name, which the process can change", 0 }
/* clang-format on */

/* Says once, before the first row, what all rows will lack. */
void task_views_begin(struct kioku_kernel *kernel);

/*
 * Fills in what can be had of a task; other cells say why not. What a listed task has lost to damage
 * is reported as a gap; one that was only carved may be half gone. Text cells point into state and
 * task.
 */
void task_cells(struct kioku_kernel *kernel, const struct task *task, bool listed, char *state,
		struct kioku_cell cells[TASK_CELLS]);

/*
 * Of a listed task, these of its cells in this order: the first ones of a row. Only those that were
 * asked for are made.
 */
void task_row_cells(const struct view_run *run, const struct task *task,
		    const enum task_cell *columns, size_t count, char *state,
		    struct kioku_cell *out);

/* What of a task is needed for these columns, if they were asked for: enum task_parts. */
unsigned task_parts_wanted(const struct view_run *run, const enum task_cell *columns, size_t count);

#endif
