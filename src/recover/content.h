/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a file consists of: first where all of it is, then the bytes. */
#ifndef RECOVER_CONTENT_H
#define RECOVER_CONTENT_H

#include <kioku/recover.h>

#include "kernel/page_cache.h"
#include "recover/output.h"

/* What is missing, and what may be stale. */
struct missing {
	kioku_missing_fn *function;
	void *user;
	const char *path;
	uint64_t start, end; /* not told yet; end 0: none */
	const char *reason;
	uint64_t bytes, stale_bytes; /* in all */
};

/* Pages that are there. */
struct piece {
	uint64_t offset; /* in the file, bytes */
	struct page_run run;
};

struct file_content {
	uint64_t size;
	struct piece *pieces;
	size_t count, capacity;
	struct segment *segments;
	size_t segment_count, segment_capacity;
};

/*
 * Finds out where an inode's content is; what is missing is told. content_release() in any case.
 * Errors: CORRUPT (a size that is none), those of page_cache_open() and page_cache_each(), STOPPED.
 */
enum kioku_status content_find(struct kioku_kernel *kernel, const struct inode *inode,
			       struct file_content *out, struct missing *missing,
			       struct kioku_error *error);

/*
 * Writes all pieces; buffer has CONTENT_BUFFER bytes. What cannot be read after all is told, and is zeros.
 * Errors: the output's.
 */
#define CONTENT_BUFFER ((size_t)1 << 20)
enum kioku_status content_write(struct kioku_kernel *kernel, const struct file_content *content,
				struct output *output, uint8_t *buffer, struct missing *missing,
				struct kioku_error *error);

/* Tells what was not told yet. */
enum kioku_status missing_flush(struct missing *missing);
enum kioku_status missing_add(struct missing *missing, uint64_t start, uint64_t end,
			      const char *reason);

void content_release(struct file_content *content);

#endif
