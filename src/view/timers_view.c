/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* timers: what the kernel is to call later, and what processes have set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/growing.h"
#include "kernel/object_owners.h"
#include "kernel/process_timer.h"
#include "kernel/timer.h"
#include "view/code_cells.h"
#include "view/process_views.h"
#include "view/task_cells.h"

enum {
	COLUMN_KIND,
	COLUMN_CPU,
	COLUMN_CLOCK,
	COLUMN_EXPIRES,
	COLUMN_LEFT,
	COLUMN_TIME,
	COLUMN_INTERVAL,
	COLUMN_FUNCTION,
	COLUMN_MODULE,
	COLUMN_WORK,
	COLUMN_PID,
	COLUMN_TID,
	COLUMN_COMM,
	COLUMN_FD,
	COLUMN_ID,
	COLUMN_SIGNAL,
	COLUMN_BASE,
	COLUMN_FLAGS,
	COLUMN_HANDLER,
	COLUMN_TIMER,
	COLUMNS
};

static const struct kioku_column columns[COLUMNS] = {
	[COLUMN_KIND] = { "kind", KIOKU_KIND_TEXT, "wheel, hrtimer; not pending: posix, itimer",
			  0 },
	[COLUMN_CPU] = { "cpu", KIOKU_KIND_UNSIGNED, "on which it is pending", 0 },
	[COLUMN_CLOCK] = { "clock", KIOKU_KIND_TEXT, "jiffies, monotonic, realtime, ...", 0 },
	[COLUMN_EXPIRES] = { "expires", KIOKU_KIND_UNSIGNED, "nanoseconds of its clock, or jiffies",
			     1 },
	[COLUMN_LEFT] = { "left", KIOKU_KIND_INTEGER, "nanoseconds until then; negative: it is due",
			  0 },
	[COLUMN_TIME] = { "time", KIOKU_KIND_TIME, "when it expires, UTC", 1 },
	[COLUMN_INTERVAL] = { "interval", KIOKU_KIND_UNSIGNED,
			      "of a process's timer, nanoseconds; none: once", 1 },
	[COLUMN_FUNCTION] = { "function", KIOKU_KIND_TEXT,
			      "what is called; none: it is in no code that is known", 0 },
	[COLUMN_MODULE] = { "module", KIOKU_KIND_TEXT, "whose code it is; none: the kernel's own",
			    0 },
	[COLUMN_WORK] = { "work", KIOKU_KIND_TEXT,
			  "FUNCTION+0x0/0x2b [MODULE] behind it: of a work, an alarm", 0 },
	[COLUMN_PID] = { "pid", KIOKU_KIND_INTEGER, "process that has set it, or sleeps until then",
			 0 },
	[COLUMN_TID] = { "tid", KIOKU_KIND_INTEGER, "thread that sleeps until then", 1 },
	[COLUMN_COMM] = TASK_COLUMN_COMM,
	[COLUMN_FD] = { "fd", KIOKU_KIND_INTEGER, "its descriptor there, of timerfd_create(2)", 0 },
	[COLUMN_ID] = { "id", KIOKU_KIND_INTEGER, "as timer_create(2) returned it", 1 },
	[COLUMN_SIGNAL] = { "signal", KIOKU_KIND_INTEGER, "that the process is sent then", 0 },
	[COLUMN_BASE] = { "base", KIOKU_KIND_TEXT, "which of its CPU's: hard, soft, local, ...",
			  1 },
	[COLUMN_FLAGS] = { "flags", KIOKU_KIND_TEXTS, "deferrable, pinned, irqsafe, rel, ...", 0 },
	[COLUMN_HANDLER] = { "handler", KIOKU_KIND_ADDRESS, "address of the function", 1 },
	[COLUMN_TIMER] = { "timer", KIOKU_KIND_ADDRESS,
			   "address of the timer_list, hrtimer or k_itimer", 1 },
};

static const struct record *const records[] = { &task_record, &timer_wheel_record,
						&timer_clock_record, NULL };

/* A process's, and whether it is pending. */
struct owned {
	struct process_timer timer;
	bool is_pending;
};

struct listing {
	struct view_run *run;
	struct kernel_code code;
	struct owned *owned; /* by the hrtimer that they wait in */
	size_t count, capacity;
	struct object_owners descriptors; /* read when the first one is needed */
	bool has_descriptors;
	enum kioku_status stopped; /* why the walk of timers ends, other than by a row */
};

static void listing_release(struct listing *listing)
{
	kernel_code_release(&listing->code);
	free(listing->owned);
	object_owners_release(&listing->descriptors);
}

/* Of the row that is being made. */
struct row {
	struct listing *listing;
	struct kioku_cell cells[COLUMNS];
	struct task task;
	char function[CODE_TEXT], work[CODE_TEXT], flags[128];
	int32_t pid; /* -1: no process's */
};

static void begin_row(struct row *row, struct listing *listing)
{
	row->listing = listing;
	row->pid = -1;
	for (size_t i = 0; i < COLUMNS; i++)
		row->cells[i] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
}

static enum kioku_status give_row(struct row *row)
{
	const struct view_run *run = row->listing->run;

	if (run->options.pid_count && (row->pid < 0 || !view_wants_pid(run, row->pid)))
		return KIOKU_OK;
	return view_row(row->listing->run, row->cells);
}

static struct kioku_cell lost(const struct row *row, const struct timer *timer, const char *what,
			      enum kioku_status status)
{
	diagnose(&row->listing->run->kernel->diagnostics, KIOKU_GAP, "timer 0x%llx: %s: %s",
		 (unsigned long long)timer->address, what, kioku_status_name(status));
	return cell_absent(presence_of(status));
}

/* --- those of processes */

static int by_hrtimer(const void *first, const void *second)
{
	const struct owned *a = first, *b = second;

	return (a->timer.hrtimer > b->timer.hrtimer) - (a->timer.hrtimer < b->timer.hrtimer);
}

static enum kioku_status take_owned(void *user, const struct process_timer *timer)
{
	struct listing *listing = user;

	if (!GROW(listing->owned, listing->count, listing->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	listing->owned[listing->count++] = (struct owned){ .timer = *timer };
	return KIOKU_OK;
}

static enum kioku_status read_owned(struct listing *listing, struct kioku_error *error)
{
	struct kioku_error why = { 0 };
	enum kioku_status status =
		process_timer_each(listing->run->kernel, take_owned, listing, &why);

	if (status == KIOKU_ERROR_UNSUPPORTED)
		diagnose(&listing->run->kernel->diagnostics, KIOKU_WARNING,
			 "which timers are those of processes is not known: %s", why.message);
	else if (status != KIOKU_OK)
		return error_set(error, status, "%s", why.message);
	if (listing->count)
		qsort(listing->owned, listing->count, sizeof(*listing->owned), by_hrtimer);
	return KIOKU_OK;
}

static struct owned *owned_at(const struct listing *listing, uint64_t hrtimer)
{
	const struct owned key = { .timer.hrtimer = hrtimer };

	return listing->count ? bsearch(&key, listing->owned, listing->count,
					sizeof(*listing->owned), by_hrtimer)
			      : NULL;
}

static void owner_cells(struct row *row, const struct process_timer *timer)
{
	struct kioku_cell *cells = row->cells;

	row->pid = timer->pid;
	cells[COLUMN_PID] = cell_integer(timer->pid);
	cells[COLUMN_COMM] = cell_text(timer->comm, strnlen(timer->comm, sizeof(timer->comm)));
	if (timer->interval)
		cells[COLUMN_INTERVAL] = cell_number(timer->interval);
	if (timer->kind == TIMER_CREATED)
		cells[COLUMN_ID] = cell_integer(timer->id);
	if (timer->has_signal)
		cells[COLUMN_SIGNAL] = cell_integer(timer->signal);
}

/* Of a clock that counts CPU time the lowest bits say which: include/linux/posix-timers.h. */
static const char *created_clock(int32_t clock)
{
	enum { PER_THREAD = 4, OF_DESCRIPTOR = 3 };

	switch (clock) {
	case 0: return "realtime";
	case 1: return "monotonic";
	case 7: return "boottime";
	case 8: return "realtime-alarm";
	case 9: return "boottime-alarm";
	case 11: return "tai";
	default: break;
	}
	if (clock >= 0)
		return NULL;
	if ((clock & 3) == OF_DESCRIPTOR)
		return "device";
	return clock & PER_THREAD ? "thread-cputime" : "process-cputime";
}

/* One that is in no wheel and in no clock's tree: it counts CPU time, or it is not set. */
static enum kioku_status give_owned(struct listing *listing, const struct process_timer *timer)
{
	static const char *const clocks[] = {
		[TIMER_VIRTUAL] = "virtual",
		[TIMER_PROFILE] = "profile",
	};
	struct row row;

	begin_row(&row, listing);
	owner_cells(&row, timer);
	row.cells[COLUMN_KIND] = cell_string(timer->kind == TIMER_CREATED ? "posix" : "itimer");
	row.cells[COLUMN_CLOCK] = cell_string_if_any(
		timer->kind == TIMER_CREATED ? created_clock(timer->clock) : clocks[timer->kind]);
	if (timer->expires)
		row.cells[COLUMN_EXPIRES] = cell_number(timer->expires);
	if (timer->kind == TIMER_CREATED)
		row.cells[COLUMN_TIMER] = cell_number(timer->address);
	return give_row(&row);
}

/* --- those that are pending */

static void flags_cell(struct row *row, const struct timer *timer)
{
	size_t size = 0;

	if (timer->flags_status != KIOKU_OK) {
		row->cells[COLUMN_FLAGS] = lost(row, timer, "its flags", timer->flags_status);
		return;
	}
	for (unsigned i = 0; timer_flag_names[i]; i++)
		if (timer->flags >> i & 1)
			size += (size_t)sprintf(row->flags + size, "%s", timer_flag_names[i]) + 1;
	row->cells[COLUMN_FLAGS] = cell_text_if_any(row->flags, size);
}

static void time_cells(struct row *row, const struct timer *timer)
{
	const struct kioku_kernel *kernel = row->listing->run->kernel;
	int64_t left;

	row->cells[COLUMN_EXPIRES] = cell_number(timer->expires);
	if (!timer->time_is_known ||
	    __builtin_sub_overflow(timer->time, kernel->wall_time, &left)) {
		row->cells[COLUMN_LEFT] = row->cells[COLUMN_TIME] =
			cell_absent(KIOKU_CELL_UNREADABLE);
		return;
	}
	row->cells[COLUMN_LEFT] = cell_integer(left);
	row->cells[COLUMN_TIME] = cell_integer(timer->time);
}

static void task_cells_of(struct row *row, const struct timer *timer, uint64_t address)
{
	struct kioku_kernel *kernel = row->listing->run->kernel;
	struct task *task = &row->task;

	enum kioku_status status = task_read(kernel, address, task, NULL);
	if (status == KIOKU_OK && !task_is_plausible(kernel, task))
		status = KIOKU_ERROR_CORRUPT;
	if (status != KIOKU_OK) {
		row->cells[COLUMN_PID] = row->cells[COLUMN_TID] = row->cells[COLUMN_COMM] =
			lost(row, timer, "who sleeps until then", status);
		return;
	}
	row->pid = task->tgid;
	row->cells[COLUMN_PID] = cell_integer(task->tgid);
	row->cells[COLUMN_TID] = cell_integer(task->pid);
	row->cells[COLUMN_COMM] = cell_text(task->comm, strnlen(task->comm, sizeof(task->comm)));
}

/* Several may have it open; the first one is named. */
static void descriptor_cells(struct row *row, uint64_t descriptor)
{
	struct listing *listing = row->listing;
	size_t count;

	if (!listing->has_descriptors)
		listing->stopped =
			object_owners_read(listing->run->kernel, timer_descriptor_of_file,
					   &listing->descriptors, NULL);
	listing->has_descriptors = true;
	const struct object_owner *owner =
		object_owners_of(&listing->descriptors, descriptor, &count);
	if (count == 0)
		return;
	row->pid = owner->pid;
	row->cells[COLUMN_PID] = cell_integer(owner->pid);
	row->cells[COLUMN_FD] = cell_integer(owner->descriptor);
	row->cells[COLUMN_COMM] = cell_text(owner->comm, strnlen(owner->comm, sizeof(owner->comm)));
}

static void purpose_cells(struct row *row, const struct timer *timer)
{
	struct kioku_kernel *kernel = row->listing->run->kernel;
	struct timer_purpose purpose;

	enum kioku_status status = timer_purpose(kernel, timer, &purpose);
	if (status != KIOKU_OK)
		row->cells[COLUMN_WORK] = lost(row, timer, "what it is for", status);
	else if (purpose.function)
		row->cells[COLUMN_WORK] =
			cell_text(row->work, kernel_code_place(kernel, &row->listing->code,
							       purpose.function, row->work));
	else if (purpose.task)
		task_cells_of(row, timer, purpose.task);
	uint64_t descriptor = timer_descriptor(kernel, timer, &purpose);
	if (descriptor)
		descriptor_cells(row, descriptor);
}

static enum kioku_status give_timer(void *user, const struct timer *timer)
{
	struct listing *listing = user;
	struct owned *owned =
		timer->kind == TIMER_OF_CLOCK ? owned_at(listing, timer->address) : NULL;
	const struct kernel_code *code = &listing->code;
	struct row row;

	begin_row(&row, listing);
	row.cells[COLUMN_KIND] = cell_string(timer->kind == TIMER_OF_WHEEL ? "wheel" : "hrtimer");
	row.cells[COLUMN_CPU] = cell_number(timer->cpu);
	row.cells[COLUMN_CLOCK] = cell_string(timer->clock);
	row.cells[COLUMN_BASE] = cell_string(timer->base);
	row.cells[COLUMN_FUNCTION] =
		function_cell(listing->run->kernel, code, timer->function, row.function);
	row.cells[COLUMN_MODULE] = code_module_cell(code, timer->function);
	row.cells[COLUMN_HANDLER] = cell_number(timer->function);
	row.cells[COLUMN_TIMER] = cell_number(timer->address);
	time_cells(&row, timer);
	flags_cell(&row, timer);
	purpose_cells(&row, timer);
	TRY(listing->stopped);
	if (owned) {
		owned->is_pending = true;
		owner_cells(&row, &owned->timer);
	}
	return give_row(&row);
}

static enum kioku_status run_timers(struct view_run *run, struct kioku_error *error)
{
	CLEANUP(listing_release) struct listing listing = { .run = run };

	if (!kernel_code_read(run->kernel, &listing.code))
		return error_no_memory(error);
	TRY(view_meet_processes(run, error));
	TRY(read_owned(&listing, error));
	TRY(timer_each(run->kernel, give_timer, &listing, error));
	for (size_t i = 0; i < listing.count; i++)
		if (!listing.owned[i].is_pending && listing.owned[i].timer.kind != TIMER_REAL)
			TRY(give_owned(&listing, &listing.owned[i].timer));
	return KIOKU_OK;
}

const struct kioku_view timers_view = {
	.name = "timers",
	.help = "what the kernel is to call later, and what processes have set",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_PID,
	.needs_symbols = true,
	.needs_tasks = true,
	.records = records,
	.run = run_timers,
};
