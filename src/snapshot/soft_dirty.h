/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Write tracking of another process by its soft-dirty bits (Documentation/admin-guide/mm/soft-dirty.rst, Linux
 * 3.11), where userfault.h has none. To begin, the bits of all its pages are cleared, after which a write to a page
 * sets that page's again. What they do not tell, the page's frame does, which /proc/PID/pagemap has beside the bit:
 * memory that was given back and only read since (MADV_DONTNEED), and memory that was moved with its page table
 * (mremap(2)) is in another frame than when it was copied.
 *
 * Nothing is injected. But cleared bits stay so, which whoever else goes by them would not know of; and both to
 * clear and to read them takes longer the more memory there is. Should another clear them meanwhile, that is found
 * out by a page of each of some stacks, which is written with what it holds in the stop in which they are cleared:
 * its bit is set until somebody clears it again.
 *
 * Not told: that memory was moved away and back within 250 us, in which a piece of it was copied.
 */
#ifndef SNAPSHOT_SOFT_DIRTY_H
#define SNAPSHOT_SOFT_DIRTY_H

#include "snapshot/page_copier.h"
#include "snapshot/page_ranges.h"
#include "snapshot/tracee.h"
#include "snapshot/tracking.h"

enum { SOFT_DIRTY_ENTRIES = 4096, SOFT_DIRTY_MARKS = 4 };

/* A file system, of which files are mapped. */
struct soft_dirty_device {
	uint32_t major, minor;
	bool has_huge_pages; /* it is a hugetlbfs, of whose pages the bits tell nothing */
};

/* A page whose bit we have set. */
struct soft_dirty_mark {
	uint64_t address, frame;
};

struct soft_dirty {
	struct tracking_input input;
	struct page_copier copier;
	int clear; /* descriptor of clear_refs; -1: not open */
	struct soft_dirty_device *devices;
	size_t device_count, device_capacity;
	/* Of the pages that were copied, by chunk of the spool; 0: not known. */
	uint64_t (*frames)[SPOOL_CHUNK_PAGES];
	struct process_maps maps;   /* when they were last looked at */
	struct page_ranges written; /* and not copied since */
	bool is_valid;              /* the bits have been cleared, and by nobody else since */
	bool has_copied;            /* all there was */
	struct soft_dirty_mark marks[SOFT_DIRTY_MARKS];
	size_t mark_count;
	uint64_t clearing; /* nanoseconds that it took to clear them, the last time */
	uint64_t looking; /* nanoseconds that it took to look for what was written, the last time */
	uint64_t copying; /* nanoseconds that it took to copy all that was, so far */
	uint64_t entries[SOFT_DIRTY_ENTRIES];
};

/* Nothing is tracked: soft_dirty_release() does nothing. */
void soft_dirty_init(struct soft_dirty *tracking);

/*
 * before: its mappings with flags, as they were shortly before. soft_dirty_release() in any case. Errors: OS,
 * NO_MEMORY.
 */
enum kioku_status soft_dirty_open(struct soft_dirty *tracking, const struct tracking_input *input,
				  const struct mapping_list *before, struct kioku_error *error);

/*
 * All threads are stopped, as between a look and the clearing none may write: lists what was written since they were
 * cleared, if they were, and clears the bits.
 */
void soft_dirty_clear(struct soft_dirty *tracking, const struct tracee *tracee);

/*
 * The target runs again: copies what was listed; the first time all there is. Errors: OS, NO_MEMORY, NOT_FOUND (it
 * has ended), STOPPED (terms.goes_on says no), LIMIT (the spool is full), REFUSED (the bits could not be
 * cleared, or were cleared by another since).
 */
enum kioku_status soft_dirty_copy(struct soft_dirty *tracking, struct kioku_error *error);

/* *dirty: bytes that were written, or have come, since they were copied. Errors: as soft_dirty_copy(). */
enum kioku_status soft_dirty_look(struct soft_dirty *tracking, uint64_t *dirty,
				  struct kioku_error *error);

/* Nanoseconds that it takes to copy so many bytes of it, by what it took so far. */
uint64_t soft_dirty_cost(const struct soft_dirty *tracking, uint64_t size);

/*
 * All threads are stopped: copies what they have written since. Errors: as tracking_take(); REFUSED (the bits were
 * cleared by another since, or that cannot be told).
 */
enum kioku_status soft_dirty_take(struct soft_dirty *tracking, struct kioku_error *error);

void soft_dirty_release(struct soft_dirty *tracking);

#endif
