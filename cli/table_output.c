/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Aligned columns for people. Widths come from the first rows, so that a long list starts at once
 * and takes no memory; a tree needs all its rows before the first line can be drawn.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "escape.h"
#include "output.h"
#include "tree.h"

enum { MEASURED_ROWS = 1000, GAP = 2, NARROWEST = 8 };

struct table_row {
	struct tree_node node;
	char *cells; /* one NUL-terminated string a selected column */
};

struct table {
	struct table_row *rows;
	size_t row_count;
	unsigned *widths;  /* by selected column */
	int tree;          /* the selected column that the tree is drawn in, or -1 */
	unsigned terminal; /* its width in columns; 0: none, or nobody knows */
	bool started;      /* the heading is printed, and rows follow as they come */
};

void table_release(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->row_count; i++)
		free(table->rows[i].cells);
	free(table->rows);
	free(table->widths);
	free(table);
}

static unsigned text_width(const char *text)
{
	size_t size = strlen(text);
	unsigned width = 0;
	uint32_t character;

	for (size_t length; size > 0; text += length, size -= length) {
		length = utf8_decode(text, size, &character);
		if (length == 0)
			length = 1;
		else
			width += character_width(character);
	}
	return width;
}

static bool is_number(enum kioku_kind kind)
{
	return kind == KIOKU_KIND_INTEGER || kind == KIOKU_KIND_UNSIGNED ||
	       kind == KIOKU_KIND_SIZE || kind == KIOKU_KIND_ADDRESS;
}

/* 4096 as 4K: only where nothing is lost, in the form that the command line takes. */
static void write_size(FILE *file, uint64_t size)
{
	static const char units[] = " KMGT";
	size_t unit = 0;

	while (size > 0 && size % 1024 == 0 && unit < 4) {
		size /= 1024;
		unit++;
	}
	fprintf(file, "%" PRIu64, size);
	if (unit > 0)
		putc(units[unit], file);
}

/* With spaces between them, as ps shows arguments. */
static void write_texts(FILE *file, const char *data, size_t size, bool ascii)
{
	for (size_t at = 0, length; at < size; at += length + 1) {
		length = strnlen(data + at, size - at);
		if (at > 0)
			putc(' ', file);
		escape_write(file, data + at, length, ascii);
	}
}

static void write_cell(FILE *file, enum kioku_kind kind, const struct kioku_cell *cell, bool ascii)
{
	char time[TIME_SIZE];

	if (cell->presence == KIOKU_CELL_NOT_APPLICABLE) {
		putc('-', file);
		return;
	}
	if (cell->presence != KIOKU_CELL_PRESENT) {
		fprintf(file, "<%s>", kioku_presence_name(cell->presence));
		return;
	}
	switch (kind) {
	case KIOKU_KIND_INTEGER: fprintf(file, "%" PRId64, cell->value.integer); break;
	case KIOKU_KIND_UNSIGNED: fprintf(file, "%" PRIu64, cell->value.number); break;
	case KIOKU_KIND_SIZE: write_size(file, cell->value.number); break;
	case KIOKU_KIND_ADDRESS: fprintf(file, "0x%" PRIx64, cell->value.number); break;
	case KIOKU_KIND_BOOLEAN: fputs(cell->value.boolean ? "yes" : "no", file); break;
	case KIOKU_KIND_TIME:
		time_format(time, cell->value.integer, true);
		fputs(time, file);
		break;
	case KIOKU_KIND_TEXT:
		if (cell->value.text.size == 0)
			fputs("\"\"", file);
		escape_write(file, cell->value.text.data, cell->value.text.size, ascii);
		break;
	case KIOKU_KIND_TEXTS:
		write_texts(file, cell->value.text.data, cell->value.text.size, ascii);
		break;
	}
}

/* As much of text as fits into width columns, and a mark where it was cut. */
static void write_cut(const struct output *output, const char *text, unsigned width)
{
	uint32_t character;

	width--;
	for (size_t length; *text; text += length) {
		length = utf8_decode(text, strlen(text), &character);
		if (length == 0 || character_width(character) > width)
			break;
		width -= character_width(character);
		fwrite(text, 1, length, output->file);
	}
	fputs(output->ascii ? "+" : "…", output->file);
}

static void write_line(const struct output *output, const char *cells, const struct tree_node *node)
{
	const struct table *table = output->table;
	unsigned used = 0;

	for (size_t i = 0; i < output->selected_count; i++, cells += strlen(cells) + 1) {
		bool last = i + 1 == output->selected_count;
		bool number = is_number(output->columns[output->selected[i]].kind);
		bool tree = node && (int)i == table->tree;
		unsigned lines = tree ? tree_draw(NULL, node, output->ascii) : 0;
		unsigned width = lines + text_width(cells);
		unsigned pad = width < table->widths[i] ? table->widths[i] - width : 0;
		unsigned room = table->terminal > used + lines ? table->terminal - used - lines : 0;

		if (number)
			fprintf(output->file, "%*s", (int)pad, "");
		if (tree)
			tree_draw(output->file, node, output->ascii);
		if (last && !number && room >= NARROWEST && width - lines > room)
			write_cut(output, cells, room);
		else
			fputs(cells, output->file);
		if (!last)
			fprintf(output->file, "%*s", (int)(number ? 0 : pad) + GAP, "");
		used += (width > table->widths[i] ? width : table->widths[i]) + GAP;
	}
	putc('\n', output->file);
}

/* Prints what was collected and goes on without collecting. */
static bool start(struct output *output)
{
	struct table *table = output->table;
	char *heading = NULL;
	size_t size;
	FILE *file = open_memstream(&heading, &size);

	if (!file)
		return false;
	for (size_t i = 0; i < output->selected_count; i++) {
		for (const char *p = output->columns[output->selected[i]].name; *p; p++)
			putc(toupper((unsigned char)*p), file);
		putc('\0', file);
	}
	if (fclose(file) != 0)
		return false;
	write_line(output, heading, NULL);
	free(heading);

	if (table->row_count > 0)
		tree_connect(&table->rows[0].node, table->row_count, sizeof(table->rows[0]));
	for (size_t i = 0; i < table->row_count; i++) {
		write_line(output, table->rows[i].cells, &table->rows[i].node);
		free(table->rows[i].cells);
	}
	table->row_count = 0;
	table->started = true;
	return true;
}

/* In front, where no long text before it moves it out of sight. */
static void arrange_mark(struct output *output)
{
	size_t *selected = output->selected, last = output->selected_count - 1;
	size_t mark = selected[last];

	if (!output->is_marked)
		return;
	memmove(selected + 1, selected, last * sizeof(*selected));
	selected[0] = mark;
}

/* The lines of a tree say what the column depth says, unless it was asked for. */
static void arrange_tree(struct output *output)
{
	size_t kept = 0;

	output->table->tree = -1;
	if (output->depth < 0)
		return;
	for (size_t i = 0; i < output->selected_count; i++)
		if (output->chosen || (int)output->selected[i] != output->depth)
			output->selected[kept++] = output->selected[i];
	output->selected_count = kept;
	for (size_t i = 0; i < kept; i++)
		if (output->columns[output->selected[i]].kind == KIOKU_KIND_TEXT)
			output->table->tree = (int)i;
}

static bool begin(struct output *output)
{
	struct table *table = output->table = calloc(1, sizeof(*table));
	struct winsize window;

	if (!table)
		return false;
	arrange_mark(output);
	arrange_tree(output);
	table->widths = calloc(output->selected_count, sizeof(*table->widths));
	if (!table->widths)
		return false;
	for (size_t i = 0; i < output->selected_count; i++)
		table->widths[i] = (unsigned)strlen(output->columns[output->selected[i]].name);
	if (ioctl(fileno(output->file), TIOCGWINSZ, &window) == 0)
		table->terminal = window.ws_col;
	return true;
}

static char *render(const struct output *output, const struct kioku_cell *cells)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	for (size_t i = 0; file && i < output->selected_count; i++) {
		size_t column = output->selected[i];
		write_cell(file, output->columns[column].kind, &cells[column], output->ascii);
		putc('\0', file);
	}
	if (file && fclose(file) == 0)
		return text;
	free(text);
	return NULL;
}

static void measure(struct output *output, const struct table_row *row)
{
	const char *text = row->cells;

	for (size_t i = 0; i < output->selected_count; i++, text += strlen(text) + 1) {
		unsigned width = text_width(text);
		if ((int)i == output->table->tree)
			width += tree_draw(NULL, &row->node, output->ascii);
		if (width > output->table->widths[i])
			output->table->widths[i] = width;
	}
}

static bool row(struct output *output, const struct kioku_cell *cells)
{
	struct table *table = output->table;
	struct table_row row = { .cells = render(output, cells) };

	if (!row.cells)
		return false;
	if (table->started) {
		write_line(output, row.cells, NULL);
		free(row.cells);
		return true;
	}
	if (output->depth >= 0 && cells[output->depth].presence == KIOKU_CELL_PRESENT)
		row.node.depth = cells[output->depth].value.number;
	measure(output, &row);

	/* Grown at powers of two. */
	if ((table->row_count & (table->row_count - 1)) == 0) {
		size_t room = table->row_count > 0 ? 2 * table->row_count : 1;
		struct table_row *grown = reallocarray(table->rows, room, sizeof(*grown));
		if (!grown) {
			free(row.cells);
			return false;
		}
		table->rows = grown;
	}
	table->rows[table->row_count++] = row;
	return table->tree >= 0 || table->row_count < MEASURED_ROWS || start(output);
}

static bool end(struct output *output)
{
	return output->table->started || start(output);
}

const struct output_format table_output = { "table", begin, row, end };
