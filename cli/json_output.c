/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One object a row: as an array (json), or one a line (jsonl). */
#include <string.h>

#include "output.h"

/* Whether all of them were UTF-8. */
static bool write_texts(struct json *json, const char *name, const char *data, size_t size)
{
	bool exact = true;

	json_open(json, name, '[');
	for (size_t at = 0, length; at < size; at += length + 1) {
		length = strnlen(data + at, size - at);
		exact &= json_text(json, NULL, data + at, length);
	}
	json_close(json, ']');
	return exact;
}

static bool write_cell(struct json *json, const struct kioku_column *column,
		       const struct kioku_cell *cell)
{
	char time[TIME_SIZE];

	if (cell->presence != KIOKU_CELL_PRESENT) {
		json_string(json, column->name, NULL);
		return true;
	}
	switch (column->kind) {
	case KIOKU_KIND_INTEGER: json_integer(json, column->name, cell->value.integer); break;
	case KIOKU_KIND_UNSIGNED:
	case KIOKU_KIND_SIZE: json_number(json, column->name, cell->value.number); break;
	case KIOKU_KIND_ADDRESS: json_address(json, column->name, cell->value.number); break;
	case KIOKU_KIND_BOOLEAN: json_boolean(json, column->name, cell->value.boolean); break;
	case KIOKU_KIND_TIME:
		time_format(time, cell->value.integer, false);
		json_string(json, column->name, time);
		break;
	case KIOKU_KIND_TEXT:
		return json_text(json, column->name, cell->value.text.data, cell->value.text.size);
	case KIOKU_KIND_TEXTS:
		return write_texts(json, column->name, cell->value.text.data,
				   cell->value.text.size);
	}
	return true;
}

/* Why a cell is null, and which texts were not UTF-8: said behind the cells, if there are any. */
static void write_remarks(struct output *output, const struct kioku_cell *cells, bool any_absent,
			  const size_t *inexact, size_t inexact_count)
{
	struct json *json = &output->json;

	if (any_absent) {
		json_open(json, "absent", '{');
		for (size_t i = 0; i < output->selected_count; i++) {
			size_t column = output->selected[i];
			if (cells[column].presence != KIOKU_CELL_PRESENT)
				json_string(json, output->columns[column].name,
					    kioku_presence_name(cells[column].presence));
		}
		json_close(json, '}');
	}
	if (inexact_count > 0) {
		json_open(json, "escaped", '[');
		for (size_t i = 0; i < inexact_count; i++)
			json_string(json, NULL, output->columns[inexact[i]].name);
		json_close(json, ']');
	}
}

static void write_object(struct output *output, const struct kioku_cell *cells)
{
	struct json *json = &output->json;
	size_t inexact[64], inexact_count = 0;
	bool any_absent = false;

	json->comma = false;
	json_open(json, NULL, '{');
	for (size_t i = 0; i < output->selected_count; i++) {
		size_t column = output->selected[i];
		any_absent |= cells[column].presence != KIOKU_CELL_PRESENT;
		if (!write_cell(json, &output->columns[column], &cells[column]) &&
		    inexact_count < sizeof(inexact) / sizeof(inexact[0]))
			inexact[inexact_count++] = column;
	}
	write_remarks(output, cells, any_absent, inexact, inexact_count);
	json_close(json, '}');
}

static bool begin_array(struct output *output)
{
	putc('[', output->file);
	output->first = true;
	return true;
}

static bool array_row(struct output *output, const struct kioku_cell *cells)
{
	fputs(output->first ? "\n" : ",\n", output->file);
	output->first = false;
	write_object(output, cells);
	return true;
}

static bool end_array(struct output *output)
{
	fputs(output->first ? "]\n" : "\n]\n", output->file);
	return true;
}

static bool nothing(struct output *output)
{
	return true;
}

static bool line_row(struct output *output, const struct kioku_cell *cells)
{
	write_object(output, cells);
	putc('\n', output->file);
	return true;
}

const struct output_format json_output = { "json", begin_array, array_row, end_array };
const struct output_format json_lines_output = { "jsonl", nothing, line_row, nothing };
