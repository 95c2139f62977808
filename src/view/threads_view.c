/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* threads: what the kernel's own lists lead to, and where in the kernel each one sleeps. */
#include <stdio.h>
#include <string.h>

#include "kernel/kernel_stack.h"
#include "view/task_cells.h"

static const struct record *const records[] = { &task_record, &signal_record, &cred_record, NULL };

static const enum task_cell cells_of_task[] = {
	TASK_ADDRESS, TASK_PID,   TASK_TID,   TASK_PPID, TASK_UID,
	TASK_GID,     TASK_STATE, TASK_START, TASK_COMM,
};

enum { WCHAN = sizeof(cells_of_task) / sizeof(*cells_of_task), STACK, COLUMNS };

static const struct kioku_column columns[] = {
	TASK_COLUMN_ADDRESS,
	TASK_COLUMN_PID,
	TASK_COLUMN_TID,
	TASK_COLUMN_PPID,
	TASK_COLUMN_UID,
	TASK_COLUMN_GID,
	TASK_COLUMN_STATE,
	TASK_COLUMN_START,
	TASK_COLUMN_COMM,
	{ "wchan", KIOKU_KIND_TEXT, "kernel function that it sleeps in", 0 },
	{ "stack", KIOKU_KIND_TEXTS, "kernel functions, the innermost first, as /proc/PID/stack",
	  1 },
};

struct listing {
	struct view_run *run;
	bool wants_stack;
	struct kernel_code code;
	struct kernel_stack stack;
	char wchan[CODE_TEXT];
	char texts[STACK_FRAMES * CODE_TEXT];
};

static void listing_free(struct listing *listing)
{
	if (listing)
		kernel_code_release(&listing->code);
	free(listing);
}
DEFINE_CLEANUP(listing, struct listing, listing_free)

/* --- stacks */

static struct kioku_cell lost(const struct listing *listing, const struct task *task,
			      enum kioku_status status)
{
	diagnose(&listing->run->kernel->diagnostics, KIOKU_GAP, "thread %d: its kernel stack: %s",
		 task->pid, kioku_status_name(status));
	return cell_absent(presence_of(status));
}

static bool is_shown(const struct listing *listing, const struct stack_frame *frame)
{
	return !kernel_code_is_scheduler(&listing->code, frame->address);
}

static void make_texts(struct listing *listing, struct kioku_cell *cells)
{
	size_t size = 0;

	for (size_t i = 0; i < listing->stack.count; i++) {
		const struct stack_frame *frame = &listing->stack.frames[i];
		if (!is_shown(listing, frame))
			continue;
		/* As the kernel marks in its own traces what it is not sure of. */
		if (frame->is_guess)
			size += (size_t)sprintf(listing->texts + size, "? ");
		size += kernel_code_text(listing->run->kernel, &listing->code, frame->address,
					 listing->texts + size) +
			1;
	}
	cells[STACK] = cell_text(listing->texts, size);
}

/* Only a frame that is sure: a guess is no answer to where it sleeps. */
static void make_wchan(struct listing *listing, struct kioku_cell *cells)
{
	const struct kernel_stack *stack = &listing->stack;
	struct code_name found;
	size_t at = 0;

	while (at < stack->count && !is_shown(listing, &stack->frames[at]))
		at++;
	if (at == stack->count || stack->frames[at].is_guess)
		return;
	uint64_t address = stack->frames[at].address;
	if (!kernel_code_function(listing->run->kernel, &listing->code, address - 1, &found))
		snprintf(found.name, sizeof(found.name), "0x%llx", (unsigned long long)address);
	snprintf(listing->wchan, sizeof(listing->wchan), "%s", found.name);
	cells[WCHAN] = cell_text(listing->wchan, strlen(listing->wchan));
}

static void stack_cells(struct listing *listing, const struct task *task, struct kioku_cell *cells)
{
	struct kioku_kernel *kernel = listing->run->kernel;
	struct kernel_stack *stack = &listing->stack;
	enum kioku_status status = kernel_stack_read(kernel, &listing->code, task, stack);

	if (status != KIOKU_OK) {
		cells[WCHAN] = cells[STACK] = lost(listing, task, status);
		return;
	}
	switch (stack->state) {
	case STACK_RUNNING:
		diagnose(&kernel->diagnostics, KIOKU_WARNING,
			 "thread %d was on a CPU: where it was in the kernel is not known",
			 task->pid);
		cells[WCHAN] = cells[STACK] = cell_absent(KIOKU_CELL_UNREADABLE);
		return;
	case STACK_GONE: return;
	case STACK_LOST:
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "thread %d: its kernel stack is followed for %zu frames only: %s",
			 task->pid, stack->sure, stack->problem);
		break;
	case STACK_FOLLOWED: break;
	}
	make_wchan(listing, cells);
	make_texts(listing, cells);
}

/* --- rows */

static enum kioku_status give_thread(void *user, const struct task *task)
{
	struct listing *listing = user;
	struct kioku_cell cells[COLUMNS];
	char state;

	task_row_cells(listing->run, task, cells_of_task, WCHAN, &state, cells);
	cells[WCHAN] = cells[STACK] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	if (listing->wants_stack)
		stack_cells(listing, task, cells);
	return view_row(listing->run, cells);
}

static unsigned parts_wanted(const struct listing *listing)
{
	unsigned parts = task_parts_wanted(listing->run, cells_of_task, WCHAN);

	return listing->wants_stack ? parts | TASK_MEMBERS : parts;
}

static enum kioku_status give_threads(void *user, const struct task *leader)
{
	struct listing *listing = user;

	if (!view_wants_pid(listing->run, leader->tgid))
		return KIOKU_OK;
	return task_each_thread(listing->run->kernel, leader, parts_wanted(listing), give_thread,
				listing, NULL);
}

/* What is the same for all stacks is said once. */
static enum kioku_status begin_stacks(struct listing *listing, struct kioku_error *error)
{
	struct kioku_kernel *kernel = listing->run->kernel;

	if (!kernel_code_read(kernel, &listing->code))
		return error_no_memory(error);
	if (listing->code.orc.count == 0)
		diagnose(
			&kernel->diagnostics, KIOKU_WARNING,
			"there are no ORC tables: kernel stacks are followed by frame pointers, or "
			"guessed where there are none");
	return KIOKU_OK;
}

static enum kioku_status run_threads(struct view_run *run, struct kioku_error *error)
{
	CLEANUP(cleanup_listing) struct listing *listing = calloc(1, sizeof(*listing));

	if (!listing)
		return error_no_memory(error);
	listing->run = run;
	listing->wants_stack = view_wants_column(run, WCHAN) || view_wants_column(run, STACK);
	task_views_begin(run->kernel);
	if (listing->wants_stack)
		TRY(begin_stacks(listing, error));
	if (run->options.all && view_wants_pid(run, 0))
		TRY(task_each_idle(run->kernel, give_thread, listing, error));
	return task_each_process(run->kernel, TASK_IDENTITY | TASK_MEMBERS, give_threads, listing,
				 error);
}

const struct kioku_view threads_view = {
	.name = "threads",
	.help = "every thread of every process, and where it sleeps",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_PID | KIOKU_VIEW_ALL,
	.needs_tasks = true,
	.records = records,
	.run = run_threads,
};
