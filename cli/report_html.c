/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "escape.h"
#include "output.h"
#include "report_html.h"

enum {
	TEXT_LIMIT = 1024
}; /* bytes of the target: no line of a log or command is longer by itself */

void html_quote(FILE *file, const char *escaped, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		switch (escaped[i]) {
		case '&': fputs("&amp;", file); break;
		case '<': fputs("&lt;", file); break;
		case '>': fputs("&gt;", file); break;
		case '"': fputs("&quot;", file); break;
		case '\'': fputs("&#39;", file); break;
		default: putc(escaped[i], file);
		}
	}
}

void html_json_string(FILE *file, const char *escaped, size_t size)
{
	putc('"', file);
	for (size_t i = 0; i < size; i++) {
		if (strchr("\"\\<>&", escaped[i]))
			fprintf(file, "\\u%04x", (unsigned char)escaped[i]);
		else
			putc(escaped[i], file);
	}
	putc('"', file);
}

void html_text(FILE *file, const char *data, size_t size)
{
	AUTO_FREE char *escaped = NULL;
	size_t escaped_size = 0;
	FILE *memory = open_memstream(&escaped, &escaped_size);

	if (!memory)
		return;
	escape_write(memory, data, size, false);
	if (fclose(memory) == 0)
		html_quote(file, escaped, escaped_size);
}

void html_string(FILE *file, const char *text)
{
	html_text(file, text, strlen(text));
}

/* A character is not cut in two. */
static size_t cut_size(const char *data, size_t size)
{
	if (size <= TEXT_LIMIT)
		return size;
	for (size_t back = 0; back < 4; back++)
		if (((unsigned char)data[TEXT_LIMIT - back] & 0xc0) != 0x80)
			return TEXT_LIMIT - back;
	return TEXT_LIMIT;
}

static void write_text(FILE *file, const char *data, size_t size, bool is_list)
{
	size_t shown = cut_size(data, size);

	if (size == 0 && !is_list)
		fputs("\"\"", file);
	for (size_t at = 0, length; at < shown; at += length + is_list) {
		length = is_list ? strnlen(data + at, shown - at) : shown;
		if (at > 0)
			putc(' ', file);
		escape_write(file, data + at, length, false);
	}
	if (shown < size)
		fprintf(file, "\\[+%zu bytes]", size - shown);
}

void html_cell_value(FILE *file, enum kioku_kind kind, const struct kioku_cell *cell)
{
	char time[TIME_SIZE];

	switch (kind) {
	case KIOKU_KIND_INTEGER: fprintf(file, "%" PRId64, cell->value.integer); break;
	case KIOKU_KIND_UNSIGNED:
	case KIOKU_KIND_SIZE: fprintf(file, "%" PRIu64, cell->value.number); break;
	case KIOKU_KIND_ADDRESS: fprintf(file, "0x%" PRIx64, cell->value.number); break;
	case KIOKU_KIND_BOOLEAN: fputs(cell->value.boolean ? "yes" : "no", file); break;
	case KIOKU_KIND_TIME:
		time_format(time, cell->value.integer, false);
		fputs(time, file);
		break;
	case KIOKU_KIND_TEXT:
	case KIOKU_KIND_TEXTS:
		write_text(file, cell->value.text.data, cell->value.text.size,
			   kind == KIOKU_KIND_TEXTS);
		break;
	}
}
