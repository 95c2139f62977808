/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packing an image in frames (format/frame_format.h), each on its own, on as many threads as wanted. */
#ifndef CAPTURE_CODEC_H
#define CAPTURE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "format/frame_format.h"

struct codec {
	const char *name;
	const char *extension; /* what the ordinary tool calls its files, without the dot */
	enum frame_codec frame;
	/* The default is the fastest and not the best: a live machine changes while it is read. */
	int level_low, level_high, level_default;
	size_t (*bound)(void);    /* bytes that FRAME_WRITE_SIZE may become */
	void *(*open)(int level); /* for one thread; NULL: no memory */
	void (*close)(void *context);
	/* At most FRAME_WRITE_SIZE bytes to a frame; its size, or 0 if the codec failed. */
	size_t (*pack)(void *context, const uint8_t *data, size_t size, uint8_t *out,
		       size_t capacity);
};

/* NULL if this build has none of that name. */
const struct codec *codec_named(const char *name);

/* The codec whose files end like that, without the dot; NULL. */
const struct codec *codec_of_extension(const char *extension);

/* Names, NULL last. */
const char *const *codec_names(void);

#endif
