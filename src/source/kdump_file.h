/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes of a kdump image, whether they lie in the file as they are or flattened. */
#ifndef SOURCE_KDUMP_FILE_H
#define SOURCE_KDUMP_FILE_H

#include "format/flattened_format.h"
#include "source/driver.h"

struct kdump_file {
	struct kioku_source *source;
	struct flattened flattened; /* if is_flattened */
	bool is_flattened;
	bool is_cut;   /* flattened, and without its end */
	uint64_t size; /* as if it were not flattened */
	size_t hint;   /* range_map_find()'s */
};

/* The caller releases *out in any case. Errors: as of flattened_decode(). */
enum kioku_status kdump_file_open(struct kioku_source *source, struct kdump_file *out,
				  struct kioku_error *error);

/* Whether all those bytes are there. */
bool kdump_file_has(struct kdump_file *file, uint64_t offset, uint64_t size);

/* Copies bytes, counted as touched; false if they are not all there. */
bool kdump_file_read(struct kdump_file *file, uint64_t offset, void *buffer, size_t size);

/*
 * Bytes that stay as long as the source: of the mapped file, else a copy in *copy, which the caller
 * frees. Errors: CORRUPT (they are not all there), NO_MEMORY.
 */
enum kioku_status kdump_file_keep(struct kdump_file *file, uint64_t offset, uint64_t size,
				  uint8_t **copy, struct bytes *out, struct kioku_error *error);

void kdump_file_release(struct kdump_file *file);

#endif
