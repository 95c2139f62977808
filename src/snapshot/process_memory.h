/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory of a held process as a source. */
#ifndef SNAPSHOT_PROCESS_MEMORY_H
#define SNAPSHOT_PROCESS_MEMORY_H

#include "snapshot/layout.h"

struct process_memory {
	int held;   /* /proc/PID/mem of the duplicate, or of the target that is stopped */
	int target; /* of the target; -1 if that is the same */
	/* Borrowed. Where the spool has nothing, a mapping has the pages of its file, or zeros. */
	const struct spool *spool;
	const struct mapped_files *files;
	const struct mapping_list *mappings; /* at the instant of the stop */
};

/* Of the layout that the memory has: an extent's address and offset. Errors: ABSENT, OS. */
enum kioku_status process_memory_read(const struct process_memory *memory, uint64_t address,
				      uint64_t offset, void *buffer, size_t size,
				      struct kioku_error *error);

/* The driver of such sources, whose state is a struct process_memory, borrowed. */
extern const struct source_driver process_source;

#endif
