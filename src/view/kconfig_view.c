/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kconfig: the options that the kernel was built with. */
#include "kconfig/kconfig.h"
#include "view/view.h"

enum cell {
	NAME,
	VALUE,
	SOURCE,
	PATH,
	PHYSICAL,
	CERTAINTY,
	CONFIRMED_BY,
	CANDIDATE,
	VERSION,
	CELLS
};

static const struct kioku_column columns[CELLS] = {
	[NAME] = { "name", KIOKU_KIND_TEXT, "of the option, with CONFIG_ before it", 0 },
	[VALUE] = { "value", KIOKU_KIND_TEXT,
		    "y, m, a number, or a text in quotes; n if it is not set", 0 },
	[SOURCE] = { "source", KIOKU_KIND_TEXT,
		     "built-in, packed copy, file, page, joined pages, or kernel: what this shows",
		     0 },
	[PATH] = { "path", KIOKU_KIND_TEXT, "of the file, in its file system", 0 },
	[PHYSICAL] = { "physical", KIOKU_KIND_ADDRESS, "where in memory the line begins", 0 },
	[CERTAINTY] = { "certainty", KIOKU_KIND_TEXT, "certain, likely or possible", 0 },
	[CONFIRMED_BY] = { "confirmed_by", KIOKU_KIND_TEXT,
			   "what the kernel has only with this option", 0 },
	[CANDIDATE] = { "candidate", KIOKU_KIND_UNSIGNED, "which configuration, the best is 1", 1 },
	[VERSION] = { "version", KIOKU_KIND_TEXT, "of the kernel that this one says to be of", 1 },
};

static const char *source_name(const struct config_row *row)
{
	if (!row->text)
		return "kernel";
	switch (row->text->origin) {
	case CONFIG_BUILT_IN: return "built-in";
	case CONFIG_PACKED: return "packed copy";
	case CONFIG_FILE: return "file";
	case CONFIG_PAGES: break;
	}
	return row->line.is_joined ? "joined pages" : "page";
}

static const char *certainty_name(enum config_certainty certainty)
{
	switch (certainty) {
	case CONFIG_CERTAIN: return "certain";
	case CONFIG_LIKELY: return "likely";
	case CONFIG_POSSIBLE: break;
	}
	return "possible";
}

static struct kioku_cell bytes_cell(struct bytes bytes)
{
	return cell_text_if_any((const char *)bytes.data, bytes.size);
}

static enum kioku_status give_row(void *user, const struct config_row *row)
{
	struct kioku_cell cells[CELLS];
	const struct config_text *text = row->text;

	cells[NAME] = bytes_cell(row->line.name);
	cells[VALUE] = bytes_cell(row->line.value);
	cells[SOURCE] = cell_string(source_name(row));
	cells[PATH] = cell_string_if_any(text ? text->path : NULL);
	cells[PHYSICAL] = text && row->line.has_physical ? cell_number(row->line.physical)
							 : cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	cells[CERTAINTY] = cell_string(certainty_name(row->certainty));
	cells[CONFIRMED_BY] = cell_string_if_any(row->confirmed_by);
	cells[CANDIDATE] =
		row->number ? cell_number(row->number) : cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	cells[VERSION] = bytes_cell(text ? text->version : (struct bytes){ 0 });
	return view_row(user, cells);
}

static enum kioku_status run_kconfig(struct view_run *run, struct kioku_error *error)
{
	const struct config_request request = {
		.all = run->options.all,
		.progress = { run->options.progress, run->options.progress_user },
		.row = give_row,
		.user = run,
	};

	return kconfig_find(run->kernel, &request, error);
}

const struct kioku_view kconfig_view = {
	.name = "kconfig",
	.help = "the configuration that the kernel was built with",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_ALL | KIOKU_VIEW_MEMORY | KIOKU_VIEW_CONFIG,
	.run = run_kconfig,
};
