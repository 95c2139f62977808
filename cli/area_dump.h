/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* maps --dump: the memory of the areas that are listed, a file for each. */
#ifndef CLI_AREA_DUMP_H
#define CLI_AREA_DUMP_H

#include <stdint.h>
#include <stdio.h>

#include <kioku/kernel.h>
#include <kioku/view.h>

#include "options.h"

#define AREA_DUMP_OPTION_COUNT 1

extern const struct option_row area_dump_options[AREA_DUMP_OPTION_COUNT];

struct area_dump {
	struct kioku_kernel *kernel;
	int folder;             /* -1: nothing is asked for */
	FILE *missing;          /* the list of what is not in memory, in the folder */
	size_t pid, start, end; /* indexes of these columns */
	int32_t of;             /* whose memory is open */
	struct kioku_source *memory;
	uint8_t *buffer;
	uint64_t lost; /* bytes of this area that cannot be read, though they were somewhere */
};

/* The columns that it reads, as bits. */
uint64_t area_dump_columns(const struct kioku_view *view);

/* Makes the folder, which must be new or empty of such files. Returns an enum exit_status. */
int area_dump_begin(struct area_dump *dump, const char *folder, const struct kioku_view *view,
		    struct kioku_kernel *kernel);

/* Writes the area of a row. Returns an enum exit_status. */
int area_dump_row(struct area_dump *dump, const struct kioku_cell *cells);

/* Returns an enum exit_status. */
int area_dump_end(struct area_dump *dump);

#endif
