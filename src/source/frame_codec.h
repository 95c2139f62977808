/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unpacking frames; what they are is in format/frame_format.h. */
#ifndef SOURCE_FRAME_CODEC_H
#define SOURCE_FRAME_CODEC_H

#include "format/frame_format.h"

/* "zstd", "lz4", "gzip", "snappy". */
const char *frame_codec_name(enum frame_codec codec);

/* Whether this build can unpack them. */
bool frame_codec_is_here(enum frame_codec codec);

enum frame_result { FRAME_UNPACKED, FRAME_DAMAGED, FRAME_TOO_LARGE };

struct frame_sizes {
	uint64_t packed, content; /* bytes that were used and filled in */
};

/*
 * Unpacks the frame at the start of packed, and never more than capacity bytes of it. Checksums
 * that are there are compared. What out holds means nothing unless it is UNPACKED.
 */
enum frame_result frame_unpack(enum frame_codec codec, struct bytes packed, uint8_t *out,
			       size_t capacity, struct frame_sizes *sizes);

#endif
