/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file or stream that an image is written to. A file is made new, for its owner only, and what
 * was written is dropped from the page cache, so that a target's memory is not filled with it.
 */
#ifndef CAPTURE_IMAGE_SINK_H
#define CAPTURE_IMAGE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct image_sink {
	const char *path; /* borrowed; for messages */
	int descriptor;
	bool owns;                 /* the descriptor: not the standard output */
	bool can_seek;             /* a file that was made here */
	bool is_file;              /* a regular file, so that there is a page cache to drop from */
	uint64_t base;             /* where the image begins in it */
	uint64_t size;             /* bytes of the image so far, holes included */
	uint64_t flushed, dropped; /* up to here writing back was begun; it has left the cache */
};

/* path "-": the standard output. image_sink_release() in any case. Errors: ARGUMENT (it exists), OS. */
enum kioku_status image_sink_open(struct image_sink *sink, const char *path,
				  struct kioku_error *error);
void image_sink_release(struct image_sink *sink);

/*
 * Writes at an offset of the image, which is the end where it cannot seek. *written: how much, also
 * after an error. Errors: OS.
 */
enum kioku_status image_sink_write(struct image_sink *sink, uint64_t offset, const void *data,
				   size_t size, size_t *written, struct kioku_error *error);

/* Makes [offset, offset + size), which was not written yet, zeros; only where it can seek. */
enum kioku_status image_sink_hole(struct image_sink *sink, uint64_t offset, uint64_t size,
				  struct kioku_error *error);

/* At least one byte at an offset before the end, if it can seek. Errors: OS. */
enum kioku_status image_sink_read(const struct image_sink *sink, uint64_t offset, void *buffer,
				  size_t size, size_t *got, struct kioku_error *error);

/* Brings a file to the disk. Errors: OS. */
enum kioku_status image_sink_sync(struct image_sink *sink, struct kioku_error *error);

#endif
