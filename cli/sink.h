/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where "kioku read" puts bytes: raw, as a hex dump, or as JSON. */
#ifndef CLI_SINK_H
#define CLI_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "json.h"

struct sink {
	const struct sink_format *format;
	FILE *file;
	bool pad; /* raw: a hole becomes zeros */
	const char *
		mark; /* json: see output_mark_name(); NULL: the address space rests on nothing such */
	struct json json;
	bool in_part;       /* json: the string of bytes is open */
	bool is_part_stale; /* json: that of the part */
};

struct sink_format {
	const char *name;
	bool skips_holes; /* what follows a hole stays in its place without --pad */
	void (*begin)(struct sink *sink, uint64_t address, uint64_t size);
	/* is_stale: it is of a swap area that may have been copied at another moment than the image. */
	void (*data)(struct sink *sink, uint64_t address, const uint8_t *data, size_t size,
		     bool is_stale);
	void (*hole)(struct sink *sink, uint64_t address, uint64_t size, const char *reason);
	void (*end)(struct sink *sink);
};

/* One of "hex", "raw" and "json". */
const struct sink_format *sink_format_find(const char *name);

#endif
