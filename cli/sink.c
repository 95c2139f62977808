/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <string.h>

#include "sink.h"

enum { LINE = 16 };

static void no_begin(struct sink *sink, uint64_t address, uint64_t size)
{
}

static void no_end(struct sink *sink)
{
}

static void raw_data(struct sink *sink, uint64_t address, const uint8_t *data, size_t size,
		     bool is_stale)
{
	fwrite(data, 1, size, sink->file);
}

static void raw_hole(struct sink *sink, uint64_t address, uint64_t size, const char *reason)
{
	static const uint8_t zeros[65536];

	while (sink->pad && size > 0 && !ferror(sink->file)) {
		size_t step = size < sizeof(zeros) ? (size_t)size : sizeof(zeros);
		fwrite(zeros, 1, step, sink->file);
		size -= step;
	}
}

/* As hexdump -C prints it, at the addresses of the target. */
static void hex_data(struct sink *sink, uint64_t address, const uint8_t *data, size_t size,
		     bool is_stale)
{
	for (size_t offset = 0; offset < size; offset += LINE) {
		size_t length = size - offset < LINE ? size - offset : LINE;
		fprintf(sink->file, "%016" PRIx64 " ", address + offset);
		for (size_t i = 0; i < LINE; i++) {
			fputs(i == LINE / 2 ? "  " : " ", sink->file);
			if (i < length)
				fprintf(sink->file, "%02x", data[offset + i]);
			else
				fputs("  ", sink->file);
		}
		fputs("  |", sink->file);
		for (size_t i = 0; i < length; i++) {
			uint8_t c = data[offset + i];
			putc(c >= 0x20 && c < 0x7f ? c : '.', sink->file);
		}
		fputs(is_stale ? "|  may be stale\n" : "|\n", sink->file);
	}
}

static void hex_hole(struct sink *sink, uint64_t address, uint64_t size, const char *reason)
{
	fprintf(sink->file, "%016" PRIx64 "  <%s: %" PRIu64 " bytes>\n", address, reason, size);
}

/* {"address","size","parts":[{"address","bytes"} or {"address","size","missing"} ...]};
 * "bytes" may come with "may_be_stale". */
static void json_begin(struct sink *sink, uint64_t address, uint64_t size)
{
	sink->json = (struct json){ .file = sink->file };
	json_open(&sink->json, NULL, '{');
	json_address(&sink->json, "address", address);
	json_number(&sink->json, "size", size);
	if (sink->mark)
		json_string(&sink->json, "basis", sink->mark);
	json_open(&sink->json, "parts", '[');
}

static void json_end_part(struct sink *sink)
{
	if (!sink->in_part)
		return;
	putc('"', sink->file);
	json_close(&sink->json, '}');
	sink->in_part = false;
}

static void json_data(struct sink *sink, uint64_t address, const uint8_t *data, size_t size,
		      bool is_stale)
{
	if (sink->in_part && sink->is_part_stale != is_stale)
		json_end_part(sink);
	if (!sink->in_part) {
		json_open(&sink->json, NULL, '{');
		json_address(&sink->json, "address", address);
		if (is_stale)
			json_boolean(&sink->json, "may_be_stale", true);
		sink->is_part_stale = is_stale;
		fputs(",\"bytes\":\"", sink->file);
		sink->in_part = true;
	}
	for (size_t i = 0; i < size; i++)
		fprintf(sink->file, "%02x", data[i]);
}

static void json_hole(struct sink *sink, uint64_t address, uint64_t size, const char *reason)
{
	json_end_part(sink);
	json_open(&sink->json, NULL, '{');
	json_address(&sink->json, "address", address);
	json_number(&sink->json, "size", size);
	json_string(&sink->json, "missing", reason);
	json_close(&sink->json, '}');
}

static void json_end(struct sink *sink)
{
	json_end_part(sink);
	json_close(&sink->json, ']');
	json_close(&sink->json, '}');
	putc('\n', sink->file);
}

const struct sink_format *sink_format_find(const char *name)
{
	static const struct sink_format formats[] = {
		{ "hex", true, no_begin, hex_data, hex_hole, no_end },
		{ "raw", false, no_begin, raw_data, raw_hole, no_end },
		{ "json", true, json_begin, json_data, json_hole, json_end },
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	return NULL;
}
