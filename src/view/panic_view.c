/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* panic: what a machine that has panicked said, where, with which registers, and who had called it. */
#include <stdlib.h>
#include <string.h>

#include "kernel/cpu_stacks.h"
#include "kernel/panic.h"
#include "view/task_cells.h"

enum {
	COLUMN_CPU,
	COLUMN_PID,
	COLUMN_COMM,
	COLUMN_PART,
	COLUMN_NAME,
	COLUMN_VALUE,
	COLUMN_TEXT,
	COLUMN_TASK,
	COLUMNS
};

static const struct kioku_column columns[COLUMNS] = {
	[COLUMN_CPU] = { "cpu", KIOKU_KIND_UNSIGNED, "that panicked", 0 },
	[COLUMN_PID] = { "pid", KIOKU_KIND_INTEGER, "thread that it ran", 0 },
	[COLUMN_COMM] = { "comm", KIOKU_KIND_TEXT, "name of that thread", 0 },
	[COLUMN_PART] = { "part", KIOKU_KIND_TEXT, "message, call, interrupted, register", 0 },
	[COLUMN_NAME] = { "name", KIOKU_KIND_TEXT, "of the register", 0 },
	[COLUMN_VALUE] = { "value", KIOKU_KIND_ADDRESS, "of the register, or where in code", 0 },
	[COLUMN_TEXT] = { "text", KIOKU_KIND_TEXT,
			  "the message's line, or FUNCTION+0x1a/0x2b [MODULE]", 0 },
	[COLUMN_TASK] = { "task", KIOKU_KIND_ADDRESS, "address of the task_struct", 1 },
};

static const struct record *const records[] = { &task_record, NULL };

struct listing {
	struct view_run *run;
	struct kernel_code code;
	struct kernel_stack stack;
	struct kioku_cell cells[COLUMNS]; /* what is the same in all rows */
	struct task task;
	bool has_task;
	uint32_t cpu;
};

static void listing_free(struct listing *listing)
{
	if (listing)
		kernel_code_release(&listing->code);
	free(listing);
}
DEFINE_CLEANUP(listing, struct listing, listing_free)

static enum kioku_status give(const struct listing *listing, const char *part, const char *name,
			      struct kioku_cell value, struct kioku_cell text)
{
	struct kioku_cell cells[COLUMNS];

	memcpy(cells, listing->cells, sizeof(cells));
	cells[COLUMN_PART] = cell_string(part);
	cells[COLUMN_NAME] = cell_string_if_any(name);
	cells[COLUMN_VALUE] = value;
	cells[COLUMN_TEXT] = text;
	return view_row(listing->run, cells);
}

static enum kioku_status give_message(void *user, const struct printk_entry *entry)
{
	const char *at = entry->text, *end = at + entry->size;

	for (;;) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t size = (size_t)((newline ? newline : end) - at);
		TRY(give(user, "message", NULL, cell_absent(KIOKU_CELL_NOT_APPLICABLE),
			 cell_text(at, size)));
		if (!newline)
			return KIOKU_OK;
		at = newline + 1;
	}
}

/* --- registers and calls */

/* struct pt_regs of x86-64 (arch/x86/include/asm/ptrace.h), by the names that the kernel's reports have. */
static const char *const registers[] = { "R15", "R14",      "R13", "R12", "RBP",    "RBX", "R11",
					 "R10", "R09",      "R08", "RAX", "RCX",    "RDX", "RSI",
					 "RDI", "ORIG_RAX", "RIP", "CS",  "EFLAGS", "RSP", "SS" };

static enum kioku_status give_registers(struct listing *listing, uint64_t address)
{
	enum { COUNT = sizeof(registers) / sizeof(*registers) };
	struct kioku_kernel *kernel = listing->run->kernel;
	uint8_t raw[COUNT * 8];

	if (kernel_read(kernel, address, raw, sizeof(raw), NULL) != KIOKU_OK)
		return KIOKU_OK;
	for (size_t i = 0; i < COUNT; i++) {
		uint64_t value = load_le64(raw + 8 * i);
		struct kioku_cell text = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
		char place[CODE_TEXT];
		if (kernel_code_has(&listing->code, value))
			text = cell_text(place,
					 kernel_code_place(kernel, &listing->code, value, place));
		TRY(give(listing, "register", registers[i], cell_number(value), text));
	}
	return KIOKU_OK;
}

static enum kioku_status give_frame(struct listing *listing, const struct stack_frame *frame)
{
	struct kioku_kernel *kernel = listing->run->kernel;
	char text[CODE_TEXT + 2] = "? ";
	char *place = text + (frame->is_guess ? 2 : 0);

	size_t size = frame->was_interrupted
			      ? kernel_code_place(kernel, &listing->code, frame->address, place)
			      : kernel_code_text(kernel, &listing->code, frame->address, place);
	return give(listing, frame->was_interrupted ? "interrupted" : "call", NULL,
		    cell_number(frame->address), cell_text(text, size + (size_t)(place - text)));
}

static enum kioku_status give_stack(struct listing *listing)
{
	const struct kernel_stack *stack = &listing->stack;

	for (size_t i = 0; i < stack->count; i++) {
		TRY(give_frame(listing, &stack->frames[i]));
		if (stack->frames[i].registers)
			TRY(give_registers(listing, stack->frames[i].registers));
	}
	return stack->user_registers ? give_registers(listing, stack->user_registers) : KIOKU_OK;
}

static enum kioku_status find_stack(struct listing *listing)
{
	struct kioku_kernel *kernel = listing->run->kernel;
	const struct kernel_stack *stack = &listing->stack;
	enum kioku_status status = KIOKU_ERROR_NOT_FOUND;

	if (listing->has_task)
		status = panic_stack(kernel, &listing->code, listing->cpu, &listing->task,
				     &listing->stack);
	if (status != KIOKU_OK)
		diagnose(&kernel->diagnostics, KIOKU_GAP, "CPU %u: who has called panic(): %s",
			 listing->cpu, kioku_status_name(status));
	else if (stack->state == STACK_LOST)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "CPU %u: its stack is followed for %zu frames only: %s", listing->cpu,
			 stack->sure, stack->problem);
	return status;
}

/* --- all of it */

static void begin_cells(struct listing *listing)
{
	struct kioku_kernel *kernel = listing->run->kernel;
	struct kioku_cell *cells = listing->cells;
	enum kioku_status status = cpu_task(kernel, listing->cpu, &listing->task);

	cells[COLUMN_CPU] = cell_number(listing->cpu);
	listing->has_task = status == KIOKU_OK;
	if (!listing->has_task) {
		diagnose(&kernel->diagnostics, KIOKU_GAP, "CPU %u: the task that it ran: %s",
			 listing->cpu, kioku_status_name(status));
		cells[COLUMN_PID] = cells[COLUMN_COMM] = cells[COLUMN_TASK] =
			cell_absent(presence_of(status));
		return;
	}
	cells[COLUMN_PID] = cell_integer(listing->task.pid);
	cells[COLUMN_COMM] = cell_text(listing->task.comm,
				       strnlen(listing->task.comm, sizeof(listing->task.comm)));
	cells[COLUMN_TASK] = cell_number(listing->task.address);
}

static enum kioku_status run_panic(struct view_run *run, struct kioku_error *error)
{
	CLEANUP(cleanup_listing) struct listing *listing = calloc(1, sizeof(*listing));
	struct kioku_kernel *kernel = run->kernel;

	if (!listing || !kernel_code_read(kernel, &listing->code))
		return error_no_memory(error);
	listing->run = run;
	enum kioku_status status = panic_cpu(kernel, &listing->cpu);
	if (status == KIOKU_ERROR_NOT_FOUND) {
		diagnose(&kernel->diagnostics, KIOKU_NOTE, "this machine has not panicked");
		return KIOKU_OK;
	}
	if (status != KIOKU_OK)
		return error_set(error, status, "which CPU has panicked: %s",
				 kioku_status_name(status));
	begin_cells(listing);
	TRY(panic_each_message(kernel, give_message, listing, error));
	return find_stack(listing) == KIOKU_OK ? give_stack(listing) : KIOKU_OK;
}

const struct kioku_view panic_view = {
	.name = "panic",
	.help = "why a machine has panicked: message, registers, calls",
	VIEW_COLUMNS(columns),
	.needs_symbols = true,
	.needs_tasks = true,
	.records = records,
	.run = run_panic,
};
