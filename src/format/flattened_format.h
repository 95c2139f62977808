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

struct flattened {
	struct range_map records; /* of the file that is described; offset: in the flattened one */
	uint64_t size;            /* where its last record ends */
	bool complete;            /* the end marker was there: what no record wrote is zero */
};

bool flattened_is_magic(struct bytes file);

/*
 * Lists all records; of a file that was cut off, as far as it goes. *out is the caller's to release
 * in any case. Errors: CORRUPT (the header, or a record's, is none), LIMIT (too many records),
 * NO_MEMORY.
 */
enum kioku_status flattened_decode(struct bytes file, struct flattened *out,
				   struct kioku_error *error);

void flattened_header_encode(uint8_t out[FLATTENED_HEADER_SIZE]);

/* Where the size bytes that follow belong; both FLATTENED_END for the end. */
void flattened_record_encode(uint64_t offset, uint64_t size, uint8_t out[FLATTENED_RECORD_SIZE]);

void flattened_release(struct flattened *flattened);

#endif
