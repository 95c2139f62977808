/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Options of a kernel as the text of a .config, which "make olddefconfig" takes. Names and values are printable ASCII
 * of a form that the library has checked, and go out as they are: an escape would be another value.
 */
#include <string.h>

#include "escape.h"
#include "output.h"

/* A cell by its column's name; NULL: it is absent. */
static const struct kioku_cell *find(const struct output *output, const struct kioku_cell *cells,
				     const char *name)
{
	for (size_t i = 0; i < output->selected_count; i++) {
		size_t column = output->selected[i];
		if (strcmp(output->columns[column].name, name) == 0)
			return cells[column].presence == KIOKU_CELL_PRESENT ? &cells[column] : NULL;
	}
	return NULL;
}

static bool is(const struct kioku_cell *cell, const char *text)
{
	return cell && cell->value.text.size == strlen(text) &&
	       memcmp(cell->value.text.data, text, strlen(text)) == 0;
}

/* A comment whenever what follows has another origin. */
static void write_origin(struct output *output, const struct kioku_cell *cells)
{
	const struct kioku_cell *source = find(output, cells, "source");
	const struct kioku_cell *path = find(output, cells, "path");
	const struct kioku_cell *evidence = find(output, cells, "confirmed_by");
	const struct kioku_cell *basis = find(output, cells, "basis");
	bool is_shown = is(source, "kernel");
	bool is_possible = is(find(output, cells, "certainty"), "possible");
	size_t path_size = path ? path->value.text.size : 0;

	/* Texts of the view that stay where they are, but for the path, which is as long as its file. */
	if (!is_shown && source && output->origin.source == source->value.text.data &&
	    output->origin.path_size == path_size && output->origin.is_possible == is_possible)
		return;
	output->origin.source = source ? source->value.text.data : NULL;
	output->origin.path_size = path_size;
	output->origin.is_possible = is_possible;
	fputs("# from: ", output->file);
	if (source)
		escape_write(output->file, source->value.text.data, source->value.text.size,
			     output->ascii);
	if (path)
		putc(' ', output->file);
	if (path)
		escape_write(output->file, path->value.text.data, path_size, output->ascii);
	if (is_shown && evidence)
		putc(' ', output->file);
	if (is_shown && evidence)
		escape_write(output->file, evidence->value.text.data, evidence->value.text.size,
			     output->ascii);
	if (basis && output->is_marked)
		fprintf(output->file, " (%.*s)", (int)basis->value.text.size,
			basis->value.text.data);
	fputs(is_possible ? " (possible)\n" : "\n", output->file);
}

static bool begin(struct output *output)
{
	fputs("#\n# Kernel configuration, as memory has it\n#\n", output->file);
	return true;
}

static bool row(struct output *output, const struct kioku_cell *cells)
{
	const struct kioku_cell *name = find(output, cells, "name");
	const struct kioku_cell *value = find(output, cells, "value");

	if (!name || !value)
		return true;
	write_origin(output, cells);
	bool is_set = !is(value, "n");
	fputs(is_set ? "" : "# ", output->file);
	fwrite(name->value.text.data, 1, name->value.text.size, output->file);
	fputs(is_set ? "=" : " is not set", output->file);
	if (is_set)
		fwrite(value->value.text.data, 1, value->value.text.size, output->file);
	putc('\n', output->file);
	return true;
}

static bool end(struct output *output)
{
	return true;
}

const struct output_format config_output = { "config", begin, row, end };
