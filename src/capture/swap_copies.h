/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Swap areas of the machine this runs on, copied to files beside its image. */
#ifndef CAPTURE_SWAP_COPIES_H
#define CAPTURE_SWAP_COPIES_H

#include "base/diagnostic.h"
#include "base/error.h"
#include "format/manifest_format.h"
#include "transfer/destination.h"

/* Bytes of this area so far, and of all of it. False stops. */
typedef bool swap_progress_fn(void *user, uint64_t done, uint64_t total);

struct swap_copies {
	struct manifest_file *files; /* allocated, with their strings */
	size_t count;
	uint64_t lost; /* bytes that could not be read: zeros stand for them */
	bool complete; /* false: it was stopped; the last file is a prefix */
};

/*
 * Copies each area of /proc/swaps as a whole, a partition or a file, to IMAGE.swap0, IMAGE.swap1 ...
 * Each is read and written in sequence, and neither side stays in the page cache. Blocks and areas
 * that cannot be read are diagnosed as KIOKU_GAP. rate: bytes a second at most; 0: no limit.
 * swap_copies_release() in any case. Errors: ARGUMENT (a file exists), OS (output), NO_MEMORY.
 */
enum kioku_status swap_copy(struct destination *destination, const char *image, uint64_t rate,
			    swap_progress_fn *progress, void *progress_user,
			    const struct diagnostics *diagnostics, struct swap_copies *out,
			    struct kioku_error *error);

/* The same with the text of another /proc/swaps, for tests. */
enum kioku_status swap_copy_listed(const char *swaps, struct destination *destination,
				   const char *image, uint64_t rate, swap_progress_fn *progress,
				   void *progress_user, const struct diagnostics *diagnostics,
				   struct swap_copies *out, struct kioku_error *error);

void swap_copies_release(struct swap_copies *copies);

#endif
