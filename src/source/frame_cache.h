/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames of a compressed file as they were unpacked: bounded, those that were used last. */
#ifndef SOURCE_FRAME_CACHE_H
#define SOURCE_FRAME_CACHE_H

#include "format/frame_format.h"

/* Frames and bytes that a cache keeps; one frame, whatever its size. */
#define FRAME_CACHE_COUNT 128u
#define FRAME_CACHE_SIZE  (8u << 20)

struct cached_frame {
	const struct frame *frame; /* NULL: there is none */
	uint8_t *data;
	size_t capacity;
	uint64_t used;       /* by the clock */
	const char *problem; /* why it cannot be unpacked; NULL if it can */
};

/* All zero is an empty one. */
struct frame_cache {
	struct cached_frame slots[FRAME_CACHE_COUNT];
	size_t last; /* found or claimed */
	uint64_t clock;
};

/* NULL if it is not there; good until the next claim. */
struct cached_frame *frame_cache_find(struct frame_cache *cache, const struct frame *frame);

/* A place for a frame with room for its content, instead of those used longest ago; NULL: no memory. */
struct cached_frame *frame_cache_claim(struct frame_cache *cache, const struct frame *frame);

void frame_cache_release(struct frame_cache *cache);

#endif
