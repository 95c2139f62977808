/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "view/view.h"

/* clang-format off */
static const struct kioku_view *const views[] = {
	&ps_view,
	&pstree_view,
	&threads_view,
	&psscan_view,
	&args_view,
	&env_view,
	&history_view,
	&maps_view,
	&elf_view,
	&lsof_view,
	&mounts_view,
	&files_view,
	&strings_view,
	&yara_view,
	&dmesg_view,
	&modules_view,
	&iomem_view,
	&panic_view,
	&bpf_view,
	&ftrace_view,
	&timers_view,
	&irq_view,
	&kconfig_view,
	&sockets_view,
	&interfaces_view,
	&arp_view,
	&routes_view,
	&netfilter_view,
	&check_view,
	&symbols_view,
	&members_view,
	&translate_view,
	&pagemap_view,
	NULL,
};
/* clang-format on */

const struct kioku_view *const *kioku_views(void)
{
	return views;
}

const struct kioku_view *kioku_view_find(const char *name)
{
	for (size_t i = 0; views[i]; i++)
		if (strcmp(views[i]->name, name) == 0)
			return views[i];
	return NULL;
}

const char *kioku_view_name(const struct kioku_view *view)
{
	return view->name;
}

const char *kioku_view_help(const struct kioku_view *view)
{
	return view->help;
}

const struct kioku_column *kioku_view_column(const struct kioku_view *view, size_t index)
{
	static const struct kioku_column basis = {
		"basis", KIOKU_KIND_TEXT,
		"what the row rests on: types, or what is less sure: inferred, forced", true
	};

	if (index < view->column_count)
		return &view->columns[index];
	return index == view->column_count ? &basis : NULL;
}

size_t kioku_view_column_count(const struct kioku_view *view)
{
	return view->column_count + 1;
}

unsigned kioku_view_option_mask(const struct kioku_view *view)
{
	return view->options;
}

const char *kioku_presence_name(enum kioku_presence presence)
{
	switch (presence) {
	case KIOKU_CELL_PRESENT: return "present";
	case KIOKU_CELL_NOT_APPLICABLE: return "not applicable";
	case KIOKU_CELL_UNREADABLE: return "unreadable";
	case KIOKU_CELL_UNMAPPED: return "unmapped";
	case KIOKU_CELL_PAGED_OUT: return "paged out";
	case KIOKU_CELL_UNSUPPORTED: return "unsupported";
	case KIOKU_CELL_CORRUPT: return "corrupt";
	}
	return "unknown";
}

enum kioku_presence presence_of(enum kioku_status status)
{
	switch (status) {
	case KIOKU_OK: return KIOKU_CELL_PRESENT;
	case KIOKU_ERROR_ABSENT: return KIOKU_CELL_UNREADABLE;
	case KIOKU_ERROR_UNMAPPED: return KIOKU_CELL_UNMAPPED;
	case KIOKU_ERROR_UNSUPPORTED: return KIOKU_CELL_UNSUPPORTED;
	case KIOKU_ERROR_PAGED_OUT: return KIOKU_CELL_PAGED_OUT;
	default: return KIOKU_CELL_CORRUPT;
	}
}

enum kioku_status view_make_texts(view_texts_fn *list, void *user, char **out,
				  struct kioku_cell *cell)
{
	size_t size = 0;
	FILE *stream = open_memstream(out, &size);
	enum kioku_status status = stream ? list(user, stream) : KIOKU_ERROR_NO_MEMORY;

	if (stream && fclose(stream) != 0)
		status = KIOKU_ERROR_NO_MEMORY;
	if (status == KIOKU_OK)
		*cell = cell_text(*out, size);
	return status;
}

/*
 * What was read by types since the view began may be in any row that follows. What is forced may be symbols, which
 * everything rests on.
 */
static enum kioku_basis row_basis(const struct kioku_kernel *kernel)
{
	return kernel->forced || kernel->was_read ? kioku_kernel_basis(kernel) : KIOKU_BASIS_NONE;
}

enum kioku_status view_row(struct view_run *run, const struct kioku_cell *cells)
{
	enum kioku_basis basis = row_basis(run->kernel);
	struct kioku_cell *row = run->cells;

	memcpy(row, cells, run->column_count * sizeof(*row));
	/* Where a member was not found, it cannot be told that a row has no such thing. */
	bool is_doubtful = run->kernel->types_are_inferred && run->kernel->was_read;
	for (size_t i = 0; i < run->column_count && is_doubtful; i++)
		if (row[i].presence == KIOKU_CELL_NOT_APPLICABLE)
			row[i].presence = KIOKU_CELL_UNSUPPORTED;
	row[run->column_count] = basis == KIOKU_BASIS_NONE ? cell_absent(KIOKU_CELL_NOT_APPLICABLE)
							   : cell_string(kioku_basis_name(basis));
	return run->row(run->user, row, run->column_count + 1);
}

bool view_wants_pid(const struct view_run *run, int32_t pid)
{
	bool is_named = false;

	for (size_t i = 0; i < run->options.pid_count; i++) {
		if (run->options.pids[i] != pid)
			continue;
		run->met[i] = is_named = true;
	}
	return is_named || run->options.pid_count == 0;
}

static void report_unmet(const struct view_run *run)
{
	for (size_t i = 0; i < run->options.pid_count; i++)
		/* The idle tasks are no processes; --all shows them. */
		if (!run->met[i] && run->options.pids[i] != 0)
			diagnose(&run->kernel->diagnostics, KIOKU_GAP, "process %d was not found",
				 run->options.pids[i]);
}

enum kioku_status view_space(struct view_run *run, struct kioku_address_space **space,
			     struct kioku_address_space **owned, bool *user_only,
			     struct kioku_error *error)
{
	*user_only = false;
	*space = run->options.space ? run->options.space : kioku_kernel_space(run->kernel);
	if (run->options.pid_count > 1)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "one address space at a time: name one process");
	if (run->options.pid_count == 1) {
		TRY(kioku_process_space_open(run->kernel, run->options.pids[0], owned, error));
		*space = *owned;
		*user_only = true;
	}
	return KIOKU_OK;
}

enum kioku_status kioku_view_supported(const struct kioku_view *view, struct kioku_kernel *kernel,
				       struct kioku_error *error)
{
	const struct binding *binding;

	if (kernel->proof == PROOF_NONE && !(view->options & KIOKU_VIEW_MEMORY))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "no kernel proves itself in this image");
	if (view->needs_symbols && !kernel->symbols)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "this image has no symbols (kallsyms)");
	if (view->records && !kernel->types)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "this image has no type information (BTF)");
	for (size_t i = 0; view->records && view->records[i]; i++)
		TRY(record_bind(kernel, view->records[i], &binding, error));
	if (view->needs_tasks && !kernel->init_task)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "init_task was not found");
	return KIOKU_OK;
}

enum kioku_status kioku_view_run(const struct kioku_view *view, struct kioku_kernel *kernel,
				 const struct kioku_view_options *options, kioku_row_fn *row,
				 void *user, struct kioku_error *error)
{
	struct view_run run = {
		.kernel = kernel, .row = row, .user = user, .column_count = view->column_count
	};

	if (options)
		memcpy(&run.options, options,
		       options->size < sizeof(run.options) ? options->size : sizeof(run.options));
	AUTO_FREE bool *met = calloc(run.options.pid_count + 1, sizeof(*met));
	if (!met)
		return error_no_memory(error);
	AUTO_FREE struct kioku_cell *cells = calloc(view->column_count + 1, sizeof(*cells));
	if (!cells)
		return error_no_memory(error);
	run.met = met;
	run.cells = cells;
	/* That of a process was found by its structures. */
	kernel->was_read = run.options.space && run.options.space != &kernel->space;
	enum kioku_status status = kioku_view_supported(view, kernel, error);
	if (status == KIOKU_OK)
		status = view->run(&run, error);
	if (status == KIOKU_OK && view->options & KIOKU_VIEW_PID)
		report_unmet(&run);
	if (status == KIOKU_ERROR_STOPPED)
		return error_set(error, status, "stopped");
	if (status != KIOKU_OK)
		error_prefix(error, "%s", view->name);
	return status;
}
