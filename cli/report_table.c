/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdlib.h>

#include "report_html.h"
#include "report_table.h"

enum {
	HTML_ROWS = 2000,   /* more would take a browser a while before it shows anything */
	ROW_LIMIT = 200000, /* what one can still sort and search */
	SIZE_LIMIT = 64 << 20,
	DEEPEST = 20, /* levels that the style indents */
};

bool report_table_begin(struct report_table *table, const struct kioku_column *columns,
			const size_t *selected, size_t selected_count)
{
	*table = (struct report_table){ .columns = columns,
					.selected = selected,
					.selected_count = selected_count };
	table->scratch = open_memstream(&table->scratch_text, &table->scratch_size);
	table->html = open_memstream(&table->html_text, &table->html_size);
	table->json = open_memstream(&table->json_text, &table->json_size);
	return table->scratch && table->html && table->json;
}

static void close_stream(FILE **file)
{
	if (*file)
		fclose(*file);
	*file = NULL;
}

void report_table_release(struct report_table *table)
{
	close_stream(&table->scratch);
	close_stream(&table->html);
	close_stream(&table->json);
	free(table->scratch_text);
	free(table->html_text);
	free(table->json_text);
}

/* How a column is sorted and set: numbers, addresses, or texts. */
static const char *kind_class(enum kioku_kind kind)
{
	switch (kind) {
	case KIOKU_KIND_INTEGER:
	case KIOKU_KIND_UNSIGNED:
	case KIOKU_KIND_SIZE: return "number";
	case KIOKU_KIND_ADDRESS: return "address";
	case KIOKU_KIND_TIME: return "time";
	case KIOKU_KIND_BOOLEAN:
	case KIOKU_KIND_TEXT:
	case KIOKU_KIND_TEXTS: break;
	}
	return "text";
}

/* The escaped value, in table->scratch_text. False: no memory. */
static bool format_cell(struct report_table *table, size_t column, const struct kioku_cell *cell)
{
	rewind(table->scratch);
	html_cell_value(table->scratch, table->columns[column].kind, cell);
	if (fflush(table->scratch) != 0)
		return false;
	table->size += table->scratch_size;
	return true;
}

static void write_html_cell(struct report_table *table, size_t column,
			    const struct kioku_cell *cell)
{
	FILE *file = table->html;

	if (cell->presence == KIOKU_CELL_NOT_APPLICABLE) {
		fputs("<td class=\"none\">–</td>", file);
	} else if (cell->presence != KIOKU_CELL_PRESENT) {
		fputs("<td class=\"absent\">", file);
		html_string(file, kioku_presence_name(cell->presence));
		fputs("</td>", file);
	} else if (format_cell(table, column, cell)) {
		fprintf(file, "<td class=\"%s\">", kind_class(table->columns[column].kind));
		html_quote(file, table->scratch_text, table->scratch_size);
		fputs("</td>", file);
	}
}

/* null: there is no such thing; ["reason"]: absent. */
static void write_json_cell(struct report_table *table, size_t column,
			    const struct kioku_cell *cell)
{
	if (cell->presence == KIOKU_CELL_NOT_APPLICABLE)
		fputs("null", table->json);
	else if (cell->presence != KIOKU_CELL_PRESENT)
		fprintf(table->json, "[\"%s\"]", kioku_presence_name(cell->presence));
	else if (format_cell(table, column, cell))
		html_json_string(table->json, table->scratch_text, table->scratch_size);
}

void report_table_row(struct report_table *table, const struct kioku_cell *cells, uint64_t depth)
{
	if (table->row_count >= ROW_LIMIT || table->size >= SIZE_LIMIT) {
		table->left_out++;
		return;
	}
	bool in_html = table->row_count++ < HTML_ROWS;
	unsigned level = depth < DEEPEST ? (unsigned)depth : DEEPEST;
	if (in_html && table->is_tree)
		fprintf(table->html, "<tr class=\"d%u\" data-depth=\"%" PRIu64 "\">", level, depth);
	else if (in_html)
		fputs("<tr>", table->html);
	else
		fputs(table->row_count == HTML_ROWS + 1 ? "[" : ",\n[", table->json);
	for (size_t i = 0; i < table->selected_count; i++) {
		size_t column = table->selected[i];
		if (in_html) {
			write_html_cell(table, column, &cells[column]);
			continue;
		}
		if (i > 0)
			putc(',', table->json);
		write_json_cell(table, column, &cells[column]);
	}
	if (!in_html && table->is_tree)
		fprintf(table->json, ",%" PRIu64, depth);
	fputs(in_html ? "</tr>\n" : "]", in_html ? table->html : table->json);
}

static void write_heading(const struct report_table *table, FILE *file)
{
	fputs("<thead><tr>", file);
	for (size_t i = 0; i < table->selected_count; i++) {
		const struct kioku_column *column = &table->columns[table->selected[i]];
		fprintf(file, "<th scope=\"col\" class=\"%s\" title=\"", kind_class(column->kind));
		html_string(file, column->help);
		fprintf(file, "\">%s</th>", column->name);
	}
	fputs("</tr></thead>\n", file);
}

bool report_table_write(struct report_table *table, FILE *file, const char *name, const char *title)
{
	close_stream(&table->html);
	close_stream(&table->json);
	if (!table->html_text || !table->json_text)
		return false;
	if (table->left_out > 0)
		fprintf(file,
			"<p class=\"gap\">%" PRIu64
			" further rows are not in this page: it holds %" PRIu64 " at most.</p>\n",
			table->left_out, table->row_count);
	if (table->row_count > HTML_ROWS)
		fprintf(file,
			"<noscript><p class=\"gap\">Without the page's own script, only the first "
			"%d of "
			"%" PRIu64 " rows are shown.</p></noscript>\n",
			HTML_ROWS, table->row_count);
	if (table->row_count == 0) {
		fputs("<p class=\"nothing\">None.</p>\n", file);
		return true;
	}
	fprintf(file,
		"<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"%s\">"
		"<table id=\"table-%s\"%s>\n",
		title, name, table->is_tree ? " data-tree" : "");
	write_heading(table, file);
	fputs("<tbody>\n", file);
	fwrite(table->html_text, 1, table->html_size, file);
	fputs("</tbody></table></div>\n", file);
	if (table->row_count > HTML_ROWS) {
		fprintf(file, "<script type=\"application/json\" id=\"rest-%s\">[", name);
		fwrite(table->json_text, 1, table->json_size, file);
		fputs("]</script>\n", file);
	}
	return true;
}
