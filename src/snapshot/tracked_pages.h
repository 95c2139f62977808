/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel tells of a running process's pages (pagemap_scan.h): which were written since they were
 * protected; and the copying of them into a spool.
 */
#ifndef SNAPSHOT_TRACKED_PAGES_H
#define SNAPSHOT_TRACKED_PAGES_H

#include "snapshot/pace.h"
#include "snapshot/page_copier.h"
#include "snapshot/page_ranges.h"

struct tracked_pages {
	struct page_copier copier;
	struct pace pace;
	uint64_t guard; /* PAGE_IS_GUARD_BIT, if the kernel knows it */
};

/* All functions that have an error return OS, LIMIT (the spool is full), or STOPPED (goes_on says no). */

/* Not open: tracked_pages_close() does nothing. */
void tracked_pages_init(struct tracked_pages *pages);

/* tracked_pages_close() in any case. */
enum kioku_status tracked_pages_open(struct tracked_pages *pages, const struct process *process,
				     struct spool *spool, const struct page_copier_terms *terms,
				     struct kioku_error *error);

/* Whether there is a page in [start, end) that is protected. */
enum kioku_status tracked_pages_find_protected(struct tracked_pages *pages, uint64_t start,
					       uint64_t end, bool *found,
					       struct kioku_error *error);

/*
 * What was written, or never looked at, is protected and then copied: a write after that shows. That is
 * done for pages that are there, and for the others of the same page tables, which the stop would take
 * for written otherwise; but not where there is no page table, as one would be made.
 */
enum kioku_status tracked_pages_copy_written(struct tracked_pages *pages,
					     const struct mapping *mapping,
					     struct kioku_error *error);

/* Copies whatever is there, written or not. */
enum kioku_status tracked_pages_copy_all(struct tracked_pages *pages, uint64_t start, uint64_t end,
					 struct kioku_error *error);

/* The target is stopped: copies what was found to be written. mapping: that of all of it; NULL: unknown. */
enum kioku_status tracked_pages_copy_found(struct tracked_pages *pages, uint64_t start,
					   uint64_t end, const struct mapping *mapping,
					   struct kioku_error *error);

/*
 * Tells of what was written, in ascending order, which may be across mappings; and of what is not there in a
 * page table that is.
 */
enum kioku_status tracked_pages_find_written(struct tracked_pages *pages, uint64_t start,
					     uint64_t end, page_range_fn *found, void *user,
					     struct kioku_error *error);

/* The same, of all these ranges. */
enum kioku_status tracked_pages_find_all_written(struct tracked_pages *pages,
						 const struct page_ranges *where,
						 page_range_fn *found, void *user,
						 struct kioku_error *error);

/*
 * Where memory was given back (spool_chunk.is_suspect), page tables may be gone, too, and nothing is told of
 * pages without them. While the target runs, a chunk that still has pages stays suspect: they may be about
 * to go.
 */
enum kioku_status tracked_pages_clear_suspects(struct tracked_pages *pages, bool is_stopped,
					       struct kioku_error *error);

void tracked_pages_close(struct tracked_pages *pages);

#endif
