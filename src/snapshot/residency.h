/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which pages of a process have content of their own, from /proc/PID/pagemap
 * (Documentation/admin-guide/mm/pagemap.rst): by the PAGEMAP_SCAN ioctl where there is one, which
 * passes over what was never touched.
 */
#ifndef SNAPSHOT_RESIDENCY_H
#define SNAPSHOT_RESIDENCY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "snapshot/pagemap_scan.h"

enum residency {
	RESIDENCY_NONE,      /* never touched, or a page of a file that no page table names */
	RESIDENCY_FILE,      /* a page of a file, or of shared memory */
	RESIDENCY_ANONYMOUS, /* the process's own, also when it is swapped out */
	RESIDENCY_GUARD, /* any access to it faults (MADV_GUARD_INSTALL): there is nothing to be had */
};

struct residency_run {
	uint64_t start, size; /* whole pages */
	enum residency kind;
};

enum { RESIDENCY_ENTRIES = 512 };

struct residency_walk {
	int pagemap; /* descriptor; borrowed */
	bool has_scan;
	bool has_guards; /* the kernel can tell them; Linux 6.13 and 6.14 have them, and do not tell */
	uint64_t at, end;
	uint64_t known_until; /* regions or entries tell all before it */
	size_t count, next;   /* of regions or entries */
	union {
		struct pagemap_region regions[RESIDENCY_ENTRIES];
		uint64_t entries[RESIDENCY_ENTRIES];
	};
};

/* Of [start, end), whole pages. */
void residency_begin(struct residency_walk *walk, int pagemap, uint64_t start, uint64_t end);

/*
 * The next run of pages of one kind; its size is 0 at the end. Neighbours may be of the same kind.
 * Errors: OS.
 */
enum kioku_status residency_next(struct residency_walk *walk, struct residency_run *run,
				 struct kioku_error *error);

#endif
