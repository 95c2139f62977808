/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "kernel/clock.h"
#include "view/task_cells.h"

/* What the cells of one task are made from. */
struct making {
	struct kioku_kernel *kernel;
	const struct task *task;
	bool listed;
	unsigned wanted; /* bit by enum task_cell */
	struct kioku_cell *cells;
};

static bool wants(const struct making *making, enum task_cell cell)
{
	return making->wanted >> cell & 1;
}

static struct kioku_cell lost(const struct making *making, const char *what,
			      enum kioku_status status)
{
	if (making->listed)
		diagnose(&making->kernel->diagnostics, KIOKU_GAP, "task 0x%llx: %s: %s",
			 (unsigned long long)making->task->address, what,
			 kioku_status_name(status));
	return cell_absent(presence_of(status));
}

/* A zombie is listed and whole; once its parent has waited, what it pointed at is let go. */
static bool is_gone(const struct making *making)
{
	return making->task->exit_state && !making->listed;
}

static void id_cells(const struct making *making)
{
	const struct task *task = making->task;

	making->cells[TASK_PID] = cell_integer(task->tgid);
	making->cells[TASK_TID] = cell_integer(task->pid);
	if (!task_pid_is_right(making->kernel, task))
		making->cells[TASK_TID] = lost(making, "its thread id contradicts its struct pid",
					       KIOKU_ERROR_CORRUPT);
	if (!task_tgid_is_right(making->kernel, task))
		making->cells[TASK_PID] = lost(making, "its process id contradicts its struct pid",
					       KIOKU_ERROR_CORRUPT);
}

static void parent_cell(const struct making *making)
{
	struct task_parent parent;
	enum kioku_status status = task_read_parent(making->kernel, making->task, &parent);

	if (status == KIOKU_OK)
		making->cells[TASK_PPID] = cell_integer(parent.tgid);
	else if (is_gone(making))
		making->cells[TASK_PPID] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	else
		making->cells[TASK_PPID] = lost(making, "parent", status);
}

static void credential_cells(const struct making *making)
{
	struct kioku_cell uid, gid;
	struct cred cred;

	/* Taken away when the last reference to a dead task goes (kernel/cred.c, exit_creds()). */
	if (!making->task->real_cred && is_gone(making)) {
		uid = gid = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	} else {
		enum kioku_status status = task_read_cred(making->kernel, making->task, &cred);
		if (status == KIOKU_OK) {
			uid = cell_number(cred.uid);
			gid = cell_number(cred.gid);
		} else {
			uid = gid = lost(making, "credentials", status);
		}
	}
	making->cells[TASK_UID] = uid;
	making->cells[TASK_GID] = gid;
}

static void thread_count_cell(const struct making *making)
{
	struct signal signal;

	if (!making->task->signal && is_gone(making)) {
		making->cells[TASK_THREADS] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
		return;
	}
	enum kioku_status status = task_read_signal(making->kernel, making->task, &signal);
	making->cells[TASK_THREADS] = status == KIOKU_OK ? cell_integer(signal.thread_count)
							 : lost(making, "thread count", status);
}

/* An unknown clock is said once, by task_views_begin(). */
static struct kioku_cell start_cell(const struct making *making)
{
	const struct binding *binding;
	int64_t start;

	if (record_bind(making->kernel, &task_record, &binding, NULL) != KIOKU_OK ||
	    !(BINDING_HAS(binding, struct task, start) ||
	      BINDING_HAS(binding, struct task, start_seconds)) ||
	    !clock_from_boot(making->kernel, making->task->start, &start))
		return cell_absent(KIOKU_CELL_UNSUPPORTED);
	return cell_integer(start);
}

void task_views_begin(struct kioku_kernel *kernel)
{
	if (!kernel->boot_offset_known)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "start times are missing: the machine's clock could not be read");
}

static void make_cells(const struct making *making, char *state)
{
	const struct task *task = making->task;
	struct kioku_cell *cells = making->cells;
	size_t length = strnlen(task->comm, sizeof(task->comm));

	cells[TASK_ADDRESS] = cell_number(task->address);
	id_cells(making);
	if (wants(making, TASK_PPID))
		parent_cell(making);
	if (wants(making, TASK_UID) || wants(making, TASK_GID))
		credential_cells(making);
	if (wants(making, TASK_THREADS))
		thread_count_cell(making);
	if (wants(making, TASK_STATE)) {
		*state = task_state_letter(making->kernel, task->state, task->exit_state);
		cells[TASK_STATE] = cell_text(state, 1);
	}
	if (wants(making, TASK_START))
		cells[TASK_START] = start_cell(making);
	cells[TASK_COMM] = length < sizeof(task->comm)
				   ? cell_text(task->comm, length)
				   : lost(making, "its name does not end", KIOKU_ERROR_CORRUPT);
}

void task_cells(struct kioku_kernel *kernel, const struct task *task, bool listed, char *state,
		struct kioku_cell cells[TASK_CELLS])
{
	const struct making making = { kernel, task, listed, ~0u, cells };

	make_cells(&making, state);
}

static unsigned cells_wanted(const struct view_run *run, const enum task_cell *columns,
			     size_t count)
{
	unsigned wanted = 0;

	for (size_t i = 0; i < count; i++)
		wanted |= (unsigned)view_wants_column(run, i) << columns[i];
	return wanted;
}

unsigned task_parts_wanted(const struct view_run *run, const enum task_cell *columns, size_t count)
{
	static const unsigned parts[TASK_CELLS] = {
		[TASK_ADDRESS] = TASK_IDENTITY,
		[TASK_PID] = TASK_IDENTITY,
		[TASK_TID] = TASK_IDENTITY,
		[TASK_COMM] = TASK_IDENTITY,
		[TASK_STATE] = TASK_IDENTITY | TASK_MEMBERS,
		[TASK_START] = TASK_IDENTITY | TASK_MEMBERS,
		[TASK_PPID] = TASK_IDENTITY | TASK_MEMBERS | TASK_PARENT,
		[TASK_UID] = TASK_IDENTITY | TASK_MEMBERS | TASK_CREDENTIALS,
		[TASK_GID] = TASK_IDENTITY | TASK_MEMBERS | TASK_CREDENTIALS,
		[TASK_THREADS] = TASK_IDENTITY | TASK_MEMBERS | TASK_SIGNAL,
	};
	unsigned wanted = cells_wanted(run, columns, count), needed = TASK_IDENTITY;

	for (unsigned cell = 0; cell < TASK_CELLS; cell++)
		if (wanted >> cell & 1)
			needed |= parts[cell];
	return needed;
}

void task_row_cells(const struct view_run *run, const struct task *task,
		    const enum task_cell *columns, size_t count, char *state,
		    struct kioku_cell *out)
{
	struct kioku_cell all[TASK_CELLS];
	const struct making making = { run->kernel, task, true, cells_wanted(run, columns, count),
				       all };

	for (size_t i = 0; i < TASK_CELLS; i++)
		all[i] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	make_cells(&making, state);
	for (size_t i = 0; i < count; i++)
		out[i] = all[columns[i]];
}
