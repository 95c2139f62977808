/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Comma-separated values (RFC 4180). Text is always quoted, so that an empty text ("") differs from
 * an absent cell (nothing at all).
 */
#include <inttypes.h>
#include <string.h>

#include "escape.h"
#include "output.h"

/* Escapes leave no line break in a text; a quote is doubled by ending the quoted part with it. */
static void write_part(const struct output *output, const char *data, size_t size)
{
	for (const char *quote; size > 0 && (quote = memchr(data, '"', size));) {
		size_t length = (size_t)(quote - data) + 1;
		escape_write(output->file, data, length, output->ascii);
		putc('"', output->file);
		data += length;
		size -= length;
	}
	escape_write(output->file, data, size, output->ascii);
}

static void write_quoted(const struct output *output, const char *data, size_t size)
{
	putc('"', output->file);
	write_part(output, data, size);
	putc('"', output->file);
}

/* As one text, with spaces between them. */
static void write_texts(const struct output *output, const char *data, size_t size)
{
	putc('"', output->file);
	for (size_t at = 0, length; at < size; at += length + 1) {
		length = strnlen(data + at, size - at);
		if (at > 0)
			putc(' ', output->file);
		write_part(output, data + at, length);
	}
	putc('"', output->file);
}

static void write_cell(const struct output *output, enum kioku_kind kind,
		       const struct kioku_cell *cell)
{
	FILE *file = output->file;
	char time[TIME_SIZE];

	if (cell->presence != KIOKU_CELL_PRESENT)
		return;
	switch (kind) {
	case KIOKU_KIND_INTEGER: fprintf(file, "%" PRId64, cell->value.integer); break;
	case KIOKU_KIND_UNSIGNED:
	case KIOKU_KIND_SIZE: fprintf(file, "%" PRIu64, cell->value.number); break;
	case KIOKU_KIND_ADDRESS: fprintf(file, "0x%" PRIx64, cell->value.number); break;
	case KIOKU_KIND_BOOLEAN: fputs(cell->value.boolean ? "true" : "false", file); break;
	case KIOKU_KIND_TIME:
		time_format(time, cell->value.integer, false);
		fputs(time, file);
		break;
	case KIOKU_KIND_TEXT:
		write_quoted(output, cell->value.text.data, cell->value.text.size);
		break;
	case KIOKU_KIND_TEXTS:
		write_texts(output, cell->value.text.data, cell->value.text.size);
		break;
	}
}

static bool begin(struct output *output)
{
	for (size_t i = 0; i < output->selected_count; i++)
		fprintf(output->file, "%s%s", i > 0 ? "," : "",
			output->columns[output->selected[i]].name);
	fputs("\r\n", output->file);
	return true;
}

static bool row(struct output *output, const struct kioku_cell *cells)
{
	for (size_t i = 0; i < output->selected_count; i++) {
		size_t column = output->selected[i];
		if (i > 0)
			putc(',', output->file);
		write_cell(output, output->columns[column].kind, &cells[column]);
	}
	fputs("\r\n", output->file);
	return true;
}

static bool end(struct output *output)
{
	return true;
}

const struct output_format csv_output = { "csv", begin, row, end };
