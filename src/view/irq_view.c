/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* irq: interrupts, softirqs and NMIs, how often they came, and which functions are called then. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/irq.h"
#include "kernel/percpu.h"
#include "kernel/task.h"
#include "view/code_cells.h"

enum {
	COLUMN_KIND,
	COLUMN_NUMBER,
	COLUMN_CHIP,
	COLUMN_HARDWARE,
	COLUMN_TYPE,
	COLUMN_FLOW,
	COLUMN_COUNT,
	COLUMN_COUNTS,
	COLUMN_NAME,
	COLUMN_FUNCTION,
	COLUMN_MODULE,
	COLUMN_THREAD_FUNCTION,
	COLUMN_PID,
	COLUMN_AFFINITY,
	COLUMN_EFFECTIVE,
	COLUMN_DISABLED,
	COLUMN_HANDLER,
	COLUMN_DEVICE,
	COLUMN_FLOW_FUNCTION,
	COLUMN_ADDRESS,
	COLUMNS
};

static const struct kioku_column columns[COLUMNS] = {
	[COLUMN_KIND] = { "kind", KIOKU_KIND_TEXT, "irq, softirq or nmi", 0 },
	[COLUMN_NUMBER] = { "number", KIOKU_KIND_UNSIGNED, "as in /proc/interrupts", 0 },
	[COLUMN_CHIP] = { "chip", KIOKU_KIND_TEXT, "IO-APIC, PCI-MSI ...; of an nmi its kind", 0 },
	[COLUMN_HARDWARE] = { "hwirq", KIOKU_KIND_UNSIGNED, "the chip's number", 0 },
	[COLUMN_TYPE] = { "type", KIOKU_KIND_TEXT, "edge or level", 0 },
	[COLUMN_FLOW] = { "flow", KIOKU_KIND_TEXT, "how it is handled: edge, fasteoi ...", 1 },
	[COLUMN_COUNT] = { "count", KIOKU_KIND_UNSIGNED, "how often it came, to all CPUs", 0 },
	[COLUMN_COUNTS] = { "counts", KIOKU_KIND_TEXTS, "to each CPU", 1 },
	[COLUMN_NAME] = { "name", KIOKU_KIND_TEXT, "of whoever handles it", 0 },
	[COLUMN_FUNCTION] = { "function", KIOKU_KIND_TEXT,
			      "that is called; none: it is in no code that is known", 0 },
	[COLUMN_MODULE] = { "module", KIOKU_KIND_TEXT, "whose code it is; none: the kernel's own",
			    0 },
	[COLUMN_THREAD_FUNCTION] = { "thread_function", KIOKU_KIND_TEXT,
				     "FUNCTION+0x0/0x2b [MODULE] that a thread calls then", 0 },
	[COLUMN_PID] = { "pid", KIOKU_KIND_INTEGER, "of that thread", 0 },
	[COLUMN_AFFINITY] = { "affinity", KIOKU_KIND_TEXT, "CPUs that it may go to", 0 },
	[COLUMN_EFFECTIVE] = { "effective_affinity", KIOKU_KIND_TEXT, "CPUs that it does go to",
			       1 },
	[COLUMN_DISABLED] = { "disabled", KIOKU_KIND_UNSIGNED, "how often it was; 0: it is enabled",
			      1 },
	[COLUMN_HANDLER] = { "handler", KIOKU_KIND_ADDRESS, "address of the function", 1 },
	[COLUMN_DEVICE] = { "dev_id", KIOKU_KIND_ADDRESS, "what the function gets", 1 },
	[COLUMN_FLOW_FUNCTION] = { "flow_function", KIOKU_KIND_TEXT,
				   "FUNCTION+0x0/0x2b [MODULE] that calls the handlers", 1 },
	[COLUMN_ADDRESS] = { "address", KIOKU_KIND_ADDRESS,
			     "of the irq_desc, softirq_action or nmiaction", 1 },
};

static const struct record *const records[] = { &interrupt_record, &interrupt_handler_record,
						NULL };

enum {
	MASK_ROOM = 1024,     /* bytes: 8192 CPUs */
	CPUS_ROOM = 5 * 8192, /* of a list of them as a text */
};

struct listing {
	struct view_run *run;
	struct kernel_code code;
	uint32_t cpus;
	bool had_handler; /* the line that is being listed has one */
	/* Of the line that is being listed. */
	struct kioku_cell cells[COLUMNS];
	char chip[INTERRUPT_NAME], flow[INTERRUPT_NAME], name[INTERRUPT_NAME];
	char function[CODE_TEXT], thread_function[CODE_TEXT], flow_function[CODE_TEXT];
	char affinity[CPUS_ROOM], effective[CPUS_ROOM];
	char *counts;
};

static void listing_free(struct listing *listing)
{
	if (listing) {
		kernel_code_release(&listing->code);
		free(listing->counts);
	}
	free(listing);
}
DEFINE_CLEANUP(listing, struct listing, listing_free)

static void begin_line(struct listing *listing, const char *kind)
{
	for (size_t i = 0; i < COLUMNS; i++)
		listing->cells[i] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	listing->cells[COLUMN_KIND] = cell_string(kind);
}

static struct kioku_cell lost(const struct listing *listing, const char *what,
			      enum kioku_status status)
{
	const struct kioku_cell *number = &listing->cells[COLUMN_NUMBER];
	const struct kioku_cell *kind = &listing->cells[COLUMN_KIND];

	diagnose(&listing->run->kernel->diagnostics, KIOKU_GAP, "%s %llu: %s: %s",
		 kind->value.text.data, (unsigned long long)number->value.number, what,
		 kioku_status_name(status));
	return cell_absent(presence_of(status));
}

static struct kioku_cell name_cell(const struct listing *listing, uint64_t address,
				   char room[INTERRUPT_NAME])
{
	size_t size;

	if (address == 0)
		return cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	enum kioku_status status =
		kernel_read_string(listing->run->kernel, address, room, INTERRUPT_NAME, &size);
	return status == KIOKU_OK ? cell_text_if_any(room, size)
				  : lost(listing, "its name", status);
}

static struct kioku_cell place_cell(const struct listing *listing, uint64_t address,
				    char room[CODE_TEXT])
{
	if (address == 0)
		return cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	return cell_text(room,
			 kernel_code_place(listing->run->kernel, &listing->code, address, room));
}

/* --- counts */

struct counting {
	struct listing *listing;
	const struct interrupt *interrupt; /* NULL: of a softirq */
	uint32_t softirq;
	uint64_t sum;
};

static enum kioku_status list_counts(void *user, FILE *stream)
{
	struct counting *counting = user;
	struct kioku_kernel *kernel = counting->listing->run->kernel;

	for (uint32_t cpu = 0; cpu < counting->listing->cpus; cpu++) {
		uint32_t count;
		if (!percpu_is_possible(kernel, cpu))
			continue;
		TRY(counting->interrupt ? interrupt_count(kernel, counting->interrupt, cpu, &count)
					: softirq_count(kernel, counting->softirq, cpu, &count));
		counting->sum += count;
		fprintf(stream, "%u%c", count, 0);
	}
	return KIOKU_OK;
}

static void count_cells(struct counting *counting)
{
	struct listing *listing = counting->listing;
	struct kioku_cell *cells = listing->cells;

	free(listing->counts);
	listing->counts = NULL;
	enum kioku_status status =
		view_make_texts(list_counts, counting, &listing->counts, &cells[COLUMN_COUNTS]);
	cells[COLUMN_COUNT] = status == KIOKU_OK ? cell_number(counting->sum)
						 : lost(listing, "how often it came", status);
	if (status != KIOKU_OK)
		cells[COLUMN_COUNTS] = cells[COLUMN_COUNT];
}

/* --- CPUs */

/* As in /proc/irq/N/smp_affinity_list: 0-3,5 */
static size_t make_cpus(const uint8_t mask[MASK_ROOM], uint32_t count, char out[CPUS_ROOM])
{
	size_t size = 0;

	for (uint32_t cpu = 0; cpu < count; cpu++) {
		uint32_t last = cpu;
		if (!(mask[cpu / 8] >> cpu % 8 & 1))
			continue;
		while (last + 1 < count && mask[(last + 1) / 8] >> (last + 1) % 8 & 1)
			last++;
		size += (size_t)sprintf(out + size, "%s%u", size ? "," : "", cpu);
		if (last > cpu)
			size += (size_t)sprintf(out + size, "-%u", last);
		cpu = last;
	}
	return size;
}

static struct kioku_cell cpus_cell(const struct listing *listing, const struct interrupt *interrupt,
				   enum interrupt_mask which, char room[CPUS_ROOM])
{
	uint8_t mask[MASK_ROOM];
	size_t size = ((size_t)listing->cpus + 63) / 64 * 8;

	enum kioku_status status =
		interrupt_cpus(listing->run->kernel, interrupt, which, mask, size);
	if (status == KIOKU_ERROR_UNSUPPORTED)
		return cell_absent(KIOKU_CELL_UNSUPPORTED);
	if (status != KIOKU_OK)
		return lost(listing, "its CPUs", status);
	return cell_text_if_any(room, make_cpus(mask, listing->cpus, room));
}

/* --- handlers */

/* A thread that has no process: its pid and tgid are the same. */
static struct kioku_cell thread_cell(const struct listing *listing, uint64_t thread)
{
	struct kioku_kernel *kernel = listing->run->kernel;
	struct task task;

	enum kioku_status status = task_read(kernel, thread, &task, NULL);
	if (status == KIOKU_OK && !task_is_plausible(kernel, &task))
		status = KIOKU_ERROR_CORRUPT;
	return status == KIOKU_OK ? cell_integer(task.pid) : lost(listing, "its thread", status);
}

static enum kioku_status give_handler(void *user, const struct interrupt_handler *handler)
{
	struct listing *listing = user;
	struct kioku_cell *cells = listing->cells;

	listing->had_handler = true;
	cells[COLUMN_NAME] = name_cell(listing, handler->name, listing->name);
	cells[COLUMN_FUNCTION] = function_cell(listing->run->kernel, &listing->code,
					       handler->function, listing->function);
	cells[COLUMN_MODULE] = code_module_cell(&listing->code, handler->function);
	cells[COLUMN_HANDLER] = cell_number(handler->function);
	cells[COLUMN_DEVICE] = handler->device ? cell_number(handler->device)
					       : cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	cells[COLUMN_THREAD_FUNCTION] =
		place_cell(listing, handler->thread_function, listing->thread_function);
	cells[COLUMN_PID] = handler->thread ? thread_cell(listing, handler->thread)
					    : cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	return view_row(listing->run, cells);
}

static enum kioku_status give_interrupt(void *user, const struct interrupt *interrupt)
{
	struct listing *listing = user;
	struct kioku_kernel *kernel = listing->run->kernel;
	struct counting counting = { .listing = listing, .interrupt = interrupt };
	struct kioku_cell *cells = listing->cells;

	begin_line(listing, "irq");
	cells[COLUMN_NUMBER] = cell_number(interrupt->number);
	enum kioku_status status = interrupt_chip(kernel, interrupt, listing->chip);
	cells[COLUMN_CHIP] = status == KIOKU_OK
				     ? cell_text_if_any(listing->chip, strlen(listing->chip))
				     : lost(listing, "its chip", status);
	if (interrupt->domain)
		cells[COLUMN_HARDWARE] = cell_number(interrupt->hardware);
	cells[COLUMN_TYPE] = cell_string(interrupt->is_level ? "level" : "edge");
	cells[COLUMN_FLOW] = name_cell(listing, interrupt->name, listing->flow);
	cells[COLUMN_FLOW_FUNCTION] = place_cell(listing, interrupt->flow, listing->flow_function);
	cells[COLUMN_DISABLED] = cell_number(interrupt->depth);
	cells[COLUMN_ADDRESS] = cell_number(interrupt->address);
	cells[COLUMN_AFFINITY] =
		cpus_cell(listing, interrupt, INTERRUPT_AFFINITY, listing->affinity);
	cells[COLUMN_EFFECTIVE] =
		cpus_cell(listing, interrupt, INTERRUPT_EFFECTIVE, listing->effective);
	count_cells(&counting);
	listing->had_handler = false;
	TRY(interrupt_each_handler(kernel, interrupt, give_handler, listing));
	return listing->had_handler ? KIOKU_OK : view_row(listing->run, cells);
}

static enum kioku_status give_softirq(void *user, uint32_t number, const char *name,
				      const struct interrupt_handler *handler)
{
	struct listing *listing = user;
	struct counting counting = { .listing = listing, .softirq = number };
	struct kioku_cell *cells = listing->cells;

	begin_line(listing, "softirq");
	cells[COLUMN_NUMBER] = cell_number(number);
	cells[COLUMN_NAME] = cell_string_if_any(name);
	cells[COLUMN_ADDRESS] = cell_number(handler->address);
	if (handler->function) {
		cells[COLUMN_FUNCTION] = function_cell(listing->run->kernel, &listing->code,
						       handler->function, listing->function);
		cells[COLUMN_MODULE] = code_module_cell(&listing->code, handler->function);
		cells[COLUMN_HANDLER] = cell_number(handler->function);
	}
	count_cells(&counting);
	return view_row(listing->run, cells);
}

static enum kioku_status give_nmi(void *user, const char *kind,
				  const struct interrupt_handler *handler)
{
	struct listing *listing = user;

	begin_line(listing, "nmi");
	listing->cells[COLUMN_CHIP] = cell_string(kind);
	listing->cells[COLUMN_ADDRESS] = cell_number(handler->address);
	return give_handler(listing, handler);
}

/* A machine of another kind may have no NMIs; without the lines there is nothing to list. */
static enum kioku_status run_irq(struct view_run *run, struct kioku_error *error)
{
	CLEANUP(cleanup_listing) struct listing *listing = calloc(1, sizeof(*listing));
	struct kioku_error why = { 0 };

	if (!listing || !kernel_code_read(run->kernel, &listing->code))
		return error_no_memory(error);
	listing->run = run;
	listing->cpus = percpu_count(run->kernel);
	TRY(interrupt_each(run->kernel, give_interrupt, listing, error));
	enum kioku_status status = softirq_each(run->kernel, give_softirq, listing, &why);
	if (status == KIOKU_OK)
		status = nmi_each(run->kernel, give_nmi, listing, &why);
	if (status == KIOKU_ERROR_UNSUPPORTED) {
		diagnose(&run->kernel->diagnostics, KIOKU_GAP, "%s", why.message);
		return KIOKU_OK;
	}
	return status;
}

const struct kioku_view irq_view = {
	.name = "irq",
	.help = "interrupts, softirqs and NMIs, and which functions handle them",
	VIEW_COLUMNS(columns),
	.needs_symbols = true,
	.records = records,
	.run = run_irq,
};
