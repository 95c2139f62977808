/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares segments of an image file with their digests, on several threads. */
#ifndef CAPTURE_SEGMENT_CHECK_H
#define CAPTURE_SEGMENT_CHECK_H

#include <kioku/verify.h>

#include "format/manifest_format.h"

enum segment_state {
	SEGMENT_UNCHECKED, /* not asked for, or its digest is not known */
	SEGMENT_GOOD,
	SEGMENT_DIFFERS,
	SEGMENT_UNREADABLE, /* the file system failed */
	SEGMENT_CUT_OFF,    /* the file ends within it or before it */
};

struct segment_check {
	int descriptor;
	const struct manifest *manifest;
	uint64_t size;                      /* bytes of the image that the segments cover */
	uint64_t first, count;              /* the segments to check */
	unsigned threads;                   /* 0: as many as there are CPUs */
	kioku_verify_progress_fn *progress; /* may be NULL */
	void *progress_user;
};

/* The bytes of a segment: all have MANIFEST_SEGMENT_SIZE but the last one. */
uint64_t segment_length(const struct segment_check *check, uint64_t segment);

/* states[0 .. count) become enum segment_state. Errors: NO_MEMORY, OS (no thread), STOPPED. */
enum kioku_status segment_check_run(const struct segment_check *check, uint8_t *states,
				    struct kioku_error *error);

#endif
