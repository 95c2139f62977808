/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Flattened files: what makedumpfile -F and QEMU write where they cannot seek. Instead of a file's
 * bytes they hold records that say where in the file each piece belongs; out of order, and a later
 * record replaces what an earlier one wrote. makedumpfile's IMPLEMENTATION, "The flattened format".
 */
#ifndef FORMAT_FLATTENED_FORMAT_H
#define FORMAT_FLATTENED_FORMAT_H

#include <kioku/error.h>

#include "base/bytes.h"
#include "base/range_map.h"

/* Before the first record. */
#define FLATTENED_HEADER_SIZE 4096u
#define FLATTENED_RECORD_SIZE 16u        /* before the bytes of each */
#define FLATTENED_END         UINT64_MAX /* offset and size of the record that ends the file */

/* All zero is an empty one. */
struct flattened {
	struct range_map records; /* of the file that is described; offset: in the flattened one */
	uint64_t size;            /* where its last record ends */
	bool complete;            /* the end marker was there: what no record wrote is zero */
};

bool flattened_is_magic(struct bytes file);

/* The first 32 bytes of a file of that size. Errors: CORRUPT. */
enum kioku_status flattened_check_header(struct bytes head, uint64_t file_size,
					 struct kioku_error *error);

/*
 * Takes the head of the record at *offset, which begins with FLATTENED_HEADER_SIZE, and moves on to
 * the next; a record that the file ends in is taken as far as it goes. After the end marker,
 * out->complete is set. Errors: CORRUPT (it is none), LIMIT (too many), NO_MEMORY.
 */
enum kioku_status flattened_take_record(struct flattened *out,
					const uint8_t raw[FLATTENED_RECORD_SIZE],
					uint64_t file_size, uint64_t *offset,
					struct kioku_error *error);

/* Puts the records in order, after the last one. Errors: NO_MEMORY. */
enum kioku_status flattened_finish(struct flattened *out, struct kioku_error *error);

void flattened_header_encode(uint8_t out[FLATTENED_HEADER_SIZE]);

/* Where the size bytes that follow belong; both FLATTENED_END for the end. */
void flattened_record_encode(uint64_t offset, uint64_t size, uint8_t out[FLATTENED_RECORD_SIZE]);

void flattened_release(struct flattened *flattened);

#endif
