/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* modules: what is loaded into the kernel. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kernel/module.h"
#include "view/view.h"

enum {
	COLUMN_NAME,
	COLUMN_BASE,
	COLUMN_SIZE,
	COLUMN_REFERENCES,
	COLUMN_USERS,
	COLUMN_STATE,
	COLUMN_TAINTS,
	COLUMN_VERSION,
	COLUMN_SOURCE_VERSION,
	COLUMN_ARGUMENTS,
	COLUMN_PARAMETERS,
	COLUMN_SECTIONS,
	COLUMN_ADDRESS,
	COLUMNS
};

static const struct kioku_column columns[COLUMNS] = {
	[COLUMN_NAME] = { "name", KIOKU_KIND_TEXT, "of the module", 0 },
	[COLUMN_BASE] = { "base", KIOKU_KIND_ADDRESS, "where its code is", 0 },
	[COLUMN_SIZE] = { "size", KIOKU_KIND_SIZE, "of its code and data", 0 },
	[COLUMN_REFERENCES] = { "references", KIOKU_KIND_INTEGER, "how often it is in use", 0 },
	[COLUMN_USERS] = { "users", KIOKU_KIND_TEXTS, "modules that use it", 0 },
	[COLUMN_STATE] = { "state", KIOKU_KIND_TEXT, "Live, Loading, Unloading, Unformed", 0 },
	[COLUMN_TAINTS] = { "taints", KIOKU_KIND_TEXT, "O: out of tree, E: not signed ...", 0 },
	[COLUMN_VERSION] = { "version", KIOKU_KIND_TEXT, "as its author says", 1 },
	[COLUMN_SOURCE_VERSION] = { "srcversion", KIOKU_KIND_TEXT, "sum over its source", 1 },
	[COLUMN_ARGUMENTS] = { "args", KIOKU_KIND_TEXT, "what it was loaded with", 1 },
	[COLUMN_PARAMETERS] = { "parameters", KIOKU_KIND_TEXTS,
				"NAME=VALUE as they are now; NAME alone: not known", 1 },
	[COLUMN_SECTIONS] = { "sections", KIOKU_KIND_TEXTS, "NAME=ADDRESS", 1 },
	[COLUMN_ADDRESS] = { "module", KIOKU_KIND_ADDRESS, "address of the struct module", 1 },
};

static const struct record *const records[] = { &module_record, NULL };

enum { TEXT_ROOM = 4096 };

struct row {
	struct view_run *run;
	const struct module *module;
	struct kioku_cell cells[COLUMNS];
	char taints[MODULE_TAINT_ROOM];
	char texts[3][TEXT_ROOM];
	/* Each made by a stream; to be freed. */
	char *users, *parameters, *sections;
};

static void row_release(struct row *row)
{
	free(row->users);
	free(row->parameters);
	free(row->sections);
	free(row);
}
DEFINE_CLEANUP(row, struct row, row_release)

static struct kioku_cell lost(const struct row *row, const char *what, enum kioku_status status)
{
	diagnose(&row->run->kernel->diagnostics, KIOKU_GAP, "module %s: %s: %s", row->module->name,
		 what, kioku_status_name(status));
	return cell_absent(presence_of(status));
}

static struct kioku_cell text_cell(struct row *row, unsigned which, const char *what,
				   uint64_t address)
{
	size_t size;

	if (address == 0)
		return cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	enum kioku_status status =
		kernel_read_string(row->run->kernel, address, row->texts[which], TEXT_ROOM, &size);
	return status == KIOKU_OK ? cell_text(row->texts[which], size) : lost(row, what, status);
}

/* --- texts */

static enum kioku_status add_user(void *stream, const char *name)
{
	fprintf(stream, "%s%c", name, 0);
	return KIOKU_OK;
}

static enum kioku_status add_parameter(void *stream, const char *name, const char *value)
{
	fprintf(stream, "%s%s%s%c", name, value ? "=" : "", value ? value : "", 0);
	return KIOKU_OK;
}

static enum kioku_status add_section(void *stream, const char *name, uint64_t address)
{
	fprintf(stream, "%s=0x%" PRIx64 "%c", name, address, 0);
	return KIOKU_OK;
}

static enum kioku_status list_users(void *user, FILE *stream)
{
	const struct row *row = user;

	return module_each_user(row->run->kernel, row->module, add_user, stream);
}

static enum kioku_status list_parameters(void *user, FILE *stream)
{
	const struct row *row = user;

	return module_each_parameter(row->run->kernel, row->module, add_parameter, stream);
}

static enum kioku_status list_sections(void *user, FILE *stream)
{
	const struct row *row = user;

	return module_each_section(row->run->kernel, row->module, add_section, stream);
}

static void texts_cell(struct row *row, unsigned column, char **out, view_texts_fn *list)
{
	if (!view_wants_column(row->run, column))
		return;
	enum kioku_status status = view_make_texts(list, row, out, &row->cells[column]);
	if (status != KIOKU_OK && status != KIOKU_ERROR_NOT_FOUND)
		row->cells[column] = lost(row, columns[column].name, status);
}

/* --- rows */

static void taints_cell(struct row *row)
{
	enum kioku_status status = module_taints(row->run->kernel, row->module, row->taints);

	if (status != KIOKU_OK)
		row->cells[COLUMN_TAINTS] = lost(row, "its taints", status);
	else if (row->taints[0])
		row->cells[COLUMN_TAINTS] = cell_text(row->taints, strlen(row->taints));
}

static void fill(struct row *row)
{
	const struct module *module = row->module;
	struct kioku_cell *cells = row->cells;
	const char *state = module_state(row->run->kernel, module);

	for (size_t i = 0; i < COLUMNS; i++)
		cells[i] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	cells[COLUMN_NAME] = cell_text(module->name, strlen(module->name));
	cells[COLUMN_BASE] = module->part_count ? cell_number(module->parts[0].base)
						: cell_absent(KIOKU_CELL_UNREADABLE);
	cells[COLUMN_SIZE] = module->part_count ? cell_number(module_size(module))
						: cell_absent(KIOKU_CELL_UNREADABLE);
	/* One reference is the module's own: kernel/module/main.c, module_refcount(). */
	cells[COLUMN_REFERENCES] = module->users_next ? cell_integer(module->references - 1)
						      : cell_absent(KIOKU_CELL_UNSUPPORTED);
	cells[COLUMN_STATE] =
		state ? cell_text(state, strlen(state)) : cell_absent(KIOKU_CELL_CORRUPT);
	cells[COLUMN_VERSION] = text_cell(row, 0, "its version", module->version);
	cells[COLUMN_SOURCE_VERSION] =
		text_cell(row, 1, "its source's version", module->source_version);
	cells[COLUMN_ARGUMENTS] = text_cell(row, 2, "its arguments", module->arguments);
	cells[COLUMN_ADDRESS] = cell_number(module->address);
	taints_cell(row);
	texts_cell(row, COLUMN_USERS, &row->users, list_users);
	texts_cell(row, COLUMN_PARAMETERS, &row->parameters, list_parameters);
	texts_cell(row, COLUMN_SECTIONS, &row->sections, list_sections);
}

static enum kioku_status give_module(void *user, const struct module *module)
{
	CLEANUP(cleanup_row) struct row *row = calloc(1, sizeof(*row));

	if (!row)
		return KIOKU_ERROR_NO_MEMORY;
	row->run = user;
	row->module = module;
	fill(row);
	return view_row(row->run, row->cells);
}

static enum kioku_status run_modules(struct view_run *run, struct kioku_error *error)
{
	return module_each(run->kernel, give_module, run, error);
}

const struct kioku_view modules_view = {
	.name = "modules",
	.help = "what is loaded into the kernel",
	VIEW_COLUMNS(columns),
	.records = records,
	.run = run_modules,
};
