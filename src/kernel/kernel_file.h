/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A kernel's own file: a vmlinux, or a vmlinuz that has one in it. */
#ifndef KERNEL_KERNEL_FILE_H
#define KERNEL_KERNEL_FILE_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"

struct kernel_file_part {
	uint64_t virtual;   /* where it is linked to */
	struct bytes bytes; /* in data */
};

struct kernel_file {
	uint8_t *data;
	size_t size;
	struct kernel_file_part *parts;
	size_t count, capacity;
	struct bytes build_id; /* in data; size 0: it has none */
};

/*
 * Reads what a file loads. Errors: OS, NO_MEMORY, CORRUPT, LIMIT (larger than any kernel), UNSUPPORTED (no
 * kernel for x86-64, or packed in a way that this build does not know).
 */
enum kioku_status kernel_file_open(const char *path, struct kernel_file *out,
				   struct kioku_error *error);

/* The same of a vmlinuz that is in memory. Errors: NO_MEMORY, CORRUPT, LIMIT, UNSUPPORTED. */
enum kioku_status kernel_file_parse(struct bytes vmlinuz, struct kernel_file *out);

void kernel_file_close(struct kernel_file *file);

/* What is linked to [virtual, virtual + size); NULL: it is not all there. */
const uint8_t *kernel_file_at(const struct kernel_file *file, uint64_t virtual, uint64_t size);

#define AUTO_KERNEL_FILE CLEANUP(kernel_file_close)

#endif
