/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a view is made: a table of columns, what it needs, and a function that gives rows. */
#ifndef VIEW_VIEW_H
#define VIEW_VIEW_H

#include <stdio.h>
#include <string.h>

#include <kioku/view.h>

#include "kernel/record.h"

struct view_run {
	struct kioku_kernel *kernel;
	struct kioku_view_options options;
	kioku_row_fn *row;
	void *user;
	size_t column_count;      /* the view's own, without what rows rest on */
	bool *met;                /* which of options.pids were there */
	struct kioku_cell *cells; /* room for a row, what it rests on included */
};

struct kioku_view {
	const char *name, *help;
	const struct kioku_column *columns;
	size_t column_count;
	unsigned options; /* enum kioku_view_option */
	bool needs_symbols;
	bool needs_tasks;                    /* init_task */
	const struct record *const *records; /* NULL-terminated; NULL: none */
	enum kioku_status (*run)(struct view_run *run, struct kioku_error *error);
};

#define VIEW_COLUMNS(array) .columns = (array), .column_count = sizeof(array) / sizeof(*(array))

static inline struct kioku_cell cell_absent(enum kioku_presence presence)
{
	return (struct kioku_cell){ .presence = presence };
}

static inline struct kioku_cell cell_integer(int64_t value)
{
	return (struct kioku_cell){ .value.integer = value };
}

/* Also for addresses and sizes. */
static inline struct kioku_cell cell_number(uint64_t value)
{
	return (struct kioku_cell){ .value.number = value };
}

static inline struct kioku_cell cell_boolean(bool value)
{
	return (struct kioku_cell){ .value.boolean = value };
}

static inline struct kioku_cell cell_text(const char *data, size_t size)
{
	return (struct kioku_cell){ .value.text = { data, size } };
}

static inline struct kioku_cell cell_string(const char *string)
{
	return cell_text(string, strlen(string));
}

/* NULL, or an empty text: this row has no such thing. */
static inline struct kioku_cell cell_string_if_any(const char *string)
{
	return string ? cell_string(string) : cell_absent(KIOKU_CELL_NOT_APPLICABLE);
}

static inline struct kioku_cell cell_text_if_any(const char *data, size_t size)
{
	return size ? cell_text(data, size) : cell_absent(KIOKU_CELL_NOT_APPLICABLE);
}

/* What a failed read means for a cell. */
enum kioku_presence presence_of(enum kioku_status status);

/* Gives a row of as many cells as the view has columns of its own; what it rests on is put behind them. */
enum kioku_status view_row(struct view_run *run, const struct kioku_cell *cells);

/* Whether anybody will look at a column of a row. */
static inline bool view_wants_column(const struct view_run *run, size_t column)
{
	return !run->options.columns || (run->options.columns >> column & 1);
}

/*
 * A cell of any number of texts, which list() writes to a stream, each with a NUL behind it. *out is to be
 * freed, also on failure. Errors: list's, NO_MEMORY.
 */
typedef enum kioku_status view_texts_fn(void *user, FILE *stream);
enum kioku_status view_make_texts(view_texts_fn *list, void *user, char **out,
				  struct kioku_cell *cell);

/*
 * Whether --pid lets a process through. Every process that is found is asked about, and so is known to be
 * there: for one that --pid names and nobody asked about, kioku_view_run() reports a gap.
 */
bool view_wants_pid(const struct view_run *run, int32_t pid);

/*
 * The address space that the options name: given, of one process, or the kernel's. *user_only says
 * whether only the lower half is meant. The caller closes *owned, which may stay NULL.
 */
enum kioku_status view_space(struct view_run *run, struct kioku_address_space **space,
			     struct kioku_address_space **owned, bool *user_only,
			     struct kioku_error *error);

extern const struct kioku_view ps_view, pstree_view, threads_view, psscan_view, args_view, env_view,
	history_view, maps_view, elf_view, lsof_view, mounts_view, files_view, strings_view,
	yara_view, dmesg_view, modules_view, iomem_view, panic_view, bpf_view, ftrace_view,
	timers_view, irq_view, kconfig_view, members_view, sockets_view, interfaces_view, arp_view,
	routes_view, netfilter_view, check_view, symbols_view, translate_view, pagemap_view;

#endif
