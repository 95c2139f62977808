/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ftrace: what hooks functions of the kernel, by ftrace or by probes. */
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel_code.h"
#include "kernel/tracing.h"
#include "view/view.h"

enum {
	COLUMN_KIND,
	COLUMN_ADDRESS,
	COLUMN_FUNCTION,
	COLUMN_CALLBACK,
	COLUMN_CALLBACK_FUNCTION,
	COLUMN_MODULE,
	COLUMN_FLAGS,
	COLUMN_HOOK,
	COLUMNS
};

static const struct kioku_column columns[COLUMNS] = {
	[COLUMN_KIND] = { "kind", KIOKU_KIND_TEXT, "ftrace, kprobe, kretprobe", 0 },
	[COLUMN_ADDRESS] = { "address", KIOKU_KIND_ADDRESS, "in the function that is hooked", 0 },
	[COLUMN_FUNCTION] = { "function", KIOKU_KIND_TEXT,
			      "FUNCTION+0x4/0x2b [MODULE]; *: every function", 0 },
	[COLUMN_CALLBACK] = { "callback", KIOKU_KIND_ADDRESS, "what is called", 0 },
	[COLUMN_CALLBACK_FUNCTION] = { "callback_function", KIOKU_KIND_TEXT,
				       "its name; absent: it is in no code that is known", 0 },
	[COLUMN_MODULE] = { "module", KIOKU_KIND_TEXT, "that has the callback", 0 },
	[COLUMN_FLAGS] = { "flags", KIOKU_KIND_TEXTS, "as the kernel's names, in lower case", 0 },
	[COLUMN_HOOK] = { "hook", KIOKU_KIND_ADDRESS, "address of the ftrace_ops or kprobe", 1 },
};

struct listing {
	struct view_run *run;
	struct kernel_code code;
	/* Of the hook that is being listed. */
	struct kioku_cell cells[COLUMNS];
	char callback[CODE_TEXT], flags[512];
};

static void listing_free(struct listing *listing)
{
	if (listing)
		kernel_code_release(&listing->code);
	free(listing);
}
DEFINE_CLEANUP(listing, struct listing, listing_free)

static void begin_hook(struct listing *listing, const char *kind, uint64_t hook, uint64_t callback)
{
	const struct kernel_code *code = &listing->code;
	const struct module *module = modules_at(&code->modules, callback);
	struct kioku_cell *cells = listing->cells;

	for (size_t i = 0; i < COLUMNS; i++)
		cells[i] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	cells[COLUMN_KIND] = cell_string(kind);
	cells[COLUMN_HOOK] = cell_number(hook);
	if (callback == 0)
		return;
	cells[COLUMN_CALLBACK] = cell_number(callback);
	if (kernel_code_has(code, callback))
		cells[COLUMN_CALLBACK_FUNCTION] = cell_text(
			listing->callback,
			kernel_code_place(listing->run->kernel, code, callback, listing->callback));
	if (module)
		cells[COLUMN_MODULE] = cell_string(module->name);
}

static void add_flag(struct listing *listing, const char *name)
{
	struct kioku_cell *cell = &listing->cells[COLUMN_FLAGS];
	size_t used = cell->presence == KIOKU_CELL_PRESENT ? cell->value.text.size : 0;
	size_t size = strlen(name) + 1;

	if (used + size > sizeof(listing->flags))
		return;
	memcpy(listing->flags + used, name, size);
	*cell = cell_text(listing->flags, used + size);
}

static enum kioku_status give_place(struct listing *listing, uint64_t address)
{
	struct kioku_cell cells[COLUMNS];
	char place[CODE_TEXT];

	memcpy(cells, listing->cells, sizeof(cells));
	cells[COLUMN_ADDRESS] = cell_number(address);
	cells[COLUMN_FUNCTION] = cell_text(
		place, kernel_code_place(listing->run->kernel, &listing->code, address, place));
	return view_row(listing->run, cells);
}

static enum kioku_status give_traced(void *user, uint64_t address)
{
	struct listing *listing = user;

	if (address)
		return give_place(listing, address);
	listing->cells[COLUMN_FUNCTION] = cell_string("*");
	return view_row(listing->run, listing->cells);
}

static enum kioku_status give_tracer(void *user, const struct tracer *tracer)
{
	struct listing *listing = user;
	char unnamed[16];

	begin_hook(listing, "ftrace", tracer->address, tracer->function);
	for (unsigned bit = 0; bit < 64; bit++) {
		const char *name = tracer_flag_name(bit);
		if (!(tracer->flags >> bit & 1))
			continue;
		if (!name)
			snprintf(unnamed, sizeof(unnamed), "bit%u", bit);
		add_flag(listing, name ? name : unnamed);
	}
	enum kioku_status status =
		tracer_each_function(listing->run->kernel, tracer, give_traced, listing);
	switch (status) {
	case KIOKU_OK:
	case KIOKU_ERROR_STOPPED:
	case KIOKU_ERROR_NO_MEMORY: return status;
	default:
		diagnose(&listing->run->kernel->diagnostics, KIOKU_GAP,
			 "ftrace_ops 0x%llx: some functions are missing: %s",
			 (unsigned long long)tracer->address, kioku_status_name(status));
		return KIOKU_OK;
	}
}

static enum kioku_status give_probe(void *user, const struct probe *probe)
{
	static const struct {
		enum probe_flag flag;
		const char *name;
	} flags[] = {
		{ PROBE_GONE, "gone" },
		{ PROBE_DISABLED, "disabled" },
		{ PROBE_OPTIMIZED, "optimized" },
		{ PROBE_BY_FTRACE, "ftrace" },
	};
	struct listing *listing = user;

	begin_hook(listing, probe->is_of_return ? "kretprobe" : "kprobe", probe->address,
		   probe->handler);
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if (probe->flags & flags[i].flag)
			add_flag(listing, flags[i].name);
	return give_place(listing, probe->place);
}

static enum kioku_status run_ftrace(struct view_run *run, struct kioku_error *error)
{
	CLEANUP(cleanup_listing) struct listing *listing = calloc(1, sizeof(*listing));
	struct kioku_kernel *kernel = run->kernel;

	if (!listing || !kernel_code_read(kernel, &listing->code))
		return error_no_memory(error);
	listing->run = run;
	/* A kernel may have one of both. */
	enum kioku_status traced = tracer_each(kernel, give_tracer, listing, error);
	if (traced != KIOKU_OK && traced != KIOKU_ERROR_UNSUPPORTED)
		return traced;
	enum kioku_status probed = probe_each(kernel, give_probe, listing, error);
	if (probed == KIOKU_ERROR_UNSUPPORTED && traced == KIOKU_OK)
		return KIOKU_OK;
	return probed;
}

const struct kioku_view ftrace_view = {
	.name = "ftrace",
	.help = "what hooks functions of the kernel: ftrace and kprobes",
	VIEW_COLUMNS(columns),
	.needs_symbols = true,
	.run = run_ftrace,
};
