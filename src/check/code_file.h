/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel has of files that processes run: where in memory each of their pages is. */
#ifndef CHECK_CODE_FILE_H
#define CHECK_CODE_FILE_H

#include "kernel/page_cache.h"

struct code_file {
	uint64_t inode;           /* address */
	enum kioku_status status; /* not OK: of its pages nothing is known */
	struct page_cache cache;
	struct page_run *runs; /* all of them, ascending */
	size_t count, capacity;
};

/* Those that were asked for. All zero is none. */
struct code_files {
	struct kioku_kernel *kernel;
	struct code_file *files;
	size_t count, capacity;
};

void code_files_release(struct code_files *files);

/* That of an inode, borrowed until the next call; NULL: no memory. Look at its status. */
const struct code_file *code_files_find(struct code_files *files, uint64_t inode);

/* The run that has a page, by its index in the file; NULL: nothing is known of it. */
const struct page_run *code_file_run(const struct code_file *file, uint64_t index);

/* Reads a page of a run. Errors: ABSENT (the kernel does not have it), PAGED_OUT, NO_MEMORY and those of reading. */
enum kioku_status code_file_read(struct kioku_kernel *kernel, const struct page_run *run,
				 uint64_t index, uint8_t out[PAGE_SIZE]);

#endif
