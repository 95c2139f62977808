/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fnmatch.h>
#include <string.h>

#include "kernel/crosscheck.h"
#include "kernel/live_symbols.h"
#include "view/view.h"

static const struct kioku_column columns[] = {
	{ "address", KIOKU_KIND_ADDRESS, "as the running kernel uses it; per-CPU: the offset", 0 },
	{ "type", KIOKU_KIND_TEXT, "the letter that nm and /proc/kallsyms show", 0 },
	{ "name", KIOKU_KIND_TEXT, "the symbol", 0 },
	{ "module", KIOKU_KIND_TEXT, "whose it is; bpf; __builtin__ftrace, __builtin__kprobes", 0 },
};

static enum kioku_status give(struct view_run *run, const struct live_symbol *symbol)
{
	if (run->options.name && fnmatch(run->options.name, symbol->name, 0) != 0)
		return KIOKU_OK;
	struct kioku_cell cells[] = {
		cell_number(symbol->address),
		cell_text(&symbol->type, 1),
		cell_string(symbol->name),
		cell_string_if_any(symbol->module),
	};
	return view_row(run, cells);
}

static enum kioku_status give_live(void *user, const struct live_symbol *symbol)
{
	return give(user, symbol);
}

static enum kioku_status run_symbols(struct view_run *run, struct kioku_error *error)
{
	const struct kioku_symbols *symbols = kioku_kernel_symbols(run->kernel);
	size_t count = kioku_symbols_count(symbols);

	if (run->kernel->types && !crosscheck_names(symbols, run->kernel->types))
		diagnose(&run->kernel->diagnostics, KIOKU_GAP,
			 "symbols: many functions that the types name are missing, so that names "
			 "may "
			 "be damaged");
	for (size_t i = 0; i < count; i++) {
		struct kioku_symbol symbol = kioku_symbols_get(symbols, i);
		struct live_symbol shown = { symbol.address, symbol.type, symbol.name, NULL };
		TRY(give(run, &shown));
	}
	return live_symbols_each(run->kernel, give_live, run);
}

const struct kioku_view symbols_view = {
	.name = "symbols",
	.help = "symbols of the kernel (kallsyms), its modules, and BPF programs",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_NAME,
	.needs_symbols = true,
	.run = run_symbols,
};
