/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "escape.h"
#include "message.h"
#include "output.h"

static const struct output_format *const formats[] = {
	&table_output, &json_output, &json_lines_output, &csv_output, &config_output,
};

const char *const output_formats[] = { "table", "json", "jsonl", "csv", NULL };
const char *const config_formats[] = { "config", "table", "json", "jsonl", "csv", NULL };

int output_find_column(const struct kioku_view *view, const char *name)
{
	const struct kioku_column *column;

	for (size_t i = 0; (column = kioku_view_column(view, i)); i++)
		if (strcmp(column->name, name) == 0)
			return (int)i;
	return -1;
}

struct kioku_column *output_columns(const struct kioku_view *view, size_t *count)
{
	*count = kioku_view_column_count(view);
	struct kioku_column *columns = calloc(*count, sizeof(*columns));
	for (size_t i = 0; columns && i < *count; i++)
		columns[i] = *kioku_view_column(view, i);
	return columns;
}

static int unknown_column(const struct output *output, size_t count, const char *name)
{
	char *names = NULL;
	size_t size;
	FILE *file = open_memstream(&names, &size);

	for (size_t i = 0; file && i < count; i++)
		fprintf(file, "%s%s", i > 0 ? "," : "", output->columns[i].name);
	if (file)
		fclose(file);
	message_usage("no such column, or twice the same: \"%s\"; there are %s", name, names);
	free(names);
	return STATUS_USAGE;
}

int output_select(struct output *output, const struct kioku_view *view, const char *list)
{
	size_t count;
	bool all = list && strcmp(list, "all") == 0;

	output->columns = output->owned = output_columns(view, &count);
	output->selected = calloc(count, sizeof(*output->selected));
	output->depth = -1;
	output->chosen = list != NULL;
	if (!output->columns || !output->selected)
		return message_error("out of memory");
	if (kioku_view_option_mask(view) & KIOKU_VIEW_TREE)
		output->depth = output_find_column(view, "depth");
	if (!list || all) {
		for (size_t i = 0; i < count; i++)
			if (all || !output->columns[i].optional)
				output->selected[output->selected_count++] = i;
		return STATUS_COMPLETE;
	}

	AUTO_FREE char *copy = strdup(list);
	AUTO_FREE bool *seen = calloc(count, sizeof(*seen));
	char *rest = copy;
	if (!copy || !seen)
		return message_error("out of memory");
	for (char *name; (name = strsep(&rest, ","));) {
		int column = output_find_column(view, name);
		if (column < 0 || seen[column])
			return unknown_column(output, count, name);
		seen[column] = true;
		output->selected[output->selected_count++] = (size_t)column;
	}
	return STATUS_COMPLETE;
}

const char *output_mark_name(const struct kioku_kernel *kernel)
{
	enum kioku_basis basis = kioku_kernel_basis(kernel);

	return basis == KIOKU_BASIS_INFERRED || basis == KIOKU_BASIS_FORCED
		       ? kioku_basis_name(basis)
		       : NULL;
}

int output_mark_column(const struct kioku_view *view, const struct kioku_kernel *kernel)
{
	return output_mark_name(kernel) ? output_find_column(view, "basis") : -1;
}

void output_mark(struct output *output, const struct kioku_view *view,
		 const struct kioku_kernel *kernel)
{
	int mark = output_mark_column(view, kernel);

	for (size_t i = 0; i < output->selected_count; i++)
		if ((int)output->selected[i] == mark)
			return;
	if (mark < 0)
		return;
	output->selected[output->selected_count++] = (size_t)mark;
	output->is_marked = true;
}

void output_open(struct output *output, FILE *file, const char *format)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(formats[i]->name, format) == 0)
			output->format = formats[i];
	output->file = file;
	/*
	 * A terminal that does not speak UTF-8 may take its bytes for control characters. JSON and
	 * CSV are UTF-8 whatever the locale, unless such a terminal would show them.
	 */
	output->ascii =
		!locale_is_utf8() && (output->format == &table_output || isatty(fileno(file)));
	output->json = (struct json){ .file = file, .ascii = output->ascii };
}

static bool begin(struct output *output)
{
	if (output->begun)
		return true;
	output->begun = true;
	return output->format->begin(output);
}

enum kioku_status output_row(void *user, const struct kioku_cell *cells, size_t count)
{
	struct output *output = user;

	if (!begin(output) || !output->format->row(output, cells))
		return KIOKU_ERROR_NO_MEMORY;
	return ferror(output->file) ? KIOKU_ERROR_STOPPED : KIOKU_OK;
}

bool output_finish(struct output *output, bool complete)
{
	/* A view that failed before its first row leaves stdout empty. */
	if (!complete && !output->begun)
		return true;
	return begin(output) && output->format->end(output);
}

void output_release(struct output *output)
{
	free(output->owned);
	free(output->selected);
	table_release(output->table);
}

void time_format(char out[TIME_SIZE], int64_t nanoseconds, bool whole_seconds)
{
	int64_t fraction = nanoseconds % 1000000000;
	time_t seconds = nanoseconds / 1000000000;
	struct tm tm;

	if (fraction < 0) {
		fraction += 1000000000;
		seconds--;
	}
	gmtime_r(&seconds, &tm);
	size_t length = strftime(out, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!whole_seconds)
		length +=
			(size_t)snprintf(out + length, TIME_SIZE - length, ".%09" PRId64, fraction);
	snprintf(out + length, TIME_SIZE - length, "Z");
}
