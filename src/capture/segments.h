/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The digests of an image's segments, and the journal that notes each down once its bytes were
 * handed to the kernel. An image of two parts, each written in sequence, has segments of both.
 */
#ifndef CAPTURE_SEGMENTS_H
#define CAPTURE_SEGMENTS_H

#include "base/digest.h"
#include "format/manifest_format.h"
#include "transfer/destination.h"

enum image_part { PART_FRONT, PART_BACK, PART_COUNT };

struct segment_part {
	struct digest digest;
	uint64_t position; /* in the image */
	double begin, end; /* of the segment that is being filled; begin < 0: no memory in it */
};

struct segments {
	struct segment_part parts[PART_COUNT];
	struct manifest_segment *segments; /* owned */
	size_t count, capacity;
	double last;                      /* when memory was read last */
	struct destination_file *journal; /* borrowed; NULL: there is none, or it failed */
	bool journal_failed;
};

/* segments_release() in any case. Errors: of digest_init(). */
enum kioku_status segments_init(struct segments *segments, struct kioku_error *error);
void segments_release(struct segments *segments);

/* The next bytes of a part; data NULL: zeros. begin < 0: there is no memory in them. */
enum kioku_status segments_add(struct segments *segments, enum image_part part, const void *data,
			       uint64_t size, double begin, double end, struct kioku_error *error);

/* Ends the last segment of a part. */
enum kioku_status segments_finish(struct segments *segments, enum image_part part,
				  struct kioku_error *error);

#endif
