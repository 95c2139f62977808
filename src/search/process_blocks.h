/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What of a process's memory can be had, in stretches that lie in a row for the process: what its page
 * tables map inside of its mappings, and what was swapped out. Mappings that touch are two stretches.
 */
#ifndef SEARCH_PROCESS_BLOCKS_H
#define SEARCH_PROCESS_BLOCKS_H

#include "kernel/memory_map.h"

struct block_run {
	uint64_t start, end; /* virtual */
};

struct process_blocks {
	struct kioku_kernel *kernel;
	struct kioku_address_space *space; /* owned */
	int32_t pid;
	struct block_run *runs; /* ascending */
	size_t count, capacity;
	uint64_t bytes;
	uint64_t limit;      /* of them */
	uint64_t lost_pages; /* that could not be read so far */
};

/* Errors: those of the memory map and its space, NO_MEMORY. */
enum kioku_status process_blocks_open(struct kioku_kernel *kernel, const struct task *task,
				      struct process_blocks *out, struct kioku_error *error);

/*
 * Reads from virtual on, up to size bytes that lie in one stretch; returns how many could be had in a row.
 * After 0, go on at the next page.
 */
size_t process_blocks_read(struct process_blocks *blocks, uint64_t virtual, size_t size,
			   uint8_t *buffer);

/* Says, as a gap, what could not be read, and releases everything. */
void process_blocks_close(struct process_blocks *blocks);

#endif
