/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which memory is to be captured (struct plan is in writer.h), and what became of each page. */
#ifndef CAPTURE_PLAN_H
#define CAPTURE_PLAN_H

#include "capture/writer.h"

/*
 * Of all that a source has or should have, for an image of that format. plan_release() in any case.
 * Errors: NO_MEMORY.
 */
enum kioku_status plan_make(const struct kioku_source *source, const struct writer_format *format,
			    struct plan *out, struct kioku_error *error);
void plan_release(struct plan *plan);

/* Whether a range is zeros that the format omits. */
static inline bool plan_is_omitted(const struct plan_range *range)
{
	return !range->is_stored && range->absent == PAGE_ZERO;
}

/* A walk through the blocks of a plan: memory within one range that is_stored, or not. */
struct plan_walk {
	size_t range;
	uint64_t offset; /* in it */
};

/*
 * The next piece: at most CAPTURE_BLOCK bytes, not crossing a multiple of it, where range_stored;
 * the whole range elsewhere. Returns its range, or NULL at the end.
 */
const struct plan_range *plan_next(const struct plan *plan, struct plan_walk *walk,
				   uint64_t *physical, uint64_t *size);

/* Pages that [physical, physical + size) touches, size not 0. */
static inline uint64_t plan_pages(uint64_t physical, uint64_t size)
{
	return (physical + size - 1) / CAPTURE_PAGE - physical / CAPTURE_PAGE + 1;
}

/* The bytes of [physical, physical + size) that lie in its index-th page. */
static inline uint64_t plan_page_bytes(uint64_t physical, uint64_t size, uint64_t index)
{
	uint64_t page = (physical / CAPTURE_PAGE + index) * CAPTURE_PAGE;
	uint64_t start = page > physical ? page : physical;
	uint64_t end = physical + size;

	return (end < page + CAPTURE_PAGE ? end : page + CAPTURE_PAGE) - start;
}

/* What became of the pages of one range, as run lengths in text (struct manifest_range.states). */
struct page_map {
	char *text;
	size_t size, capacity;
	enum page_state state; /* of the run that goes on */
	uint64_t count;        /* of its pages; 0: none yet */
	uint64_t pages;        /* in all runs */
};

/* False: no memory. */
bool page_map_add(struct page_map *map, enum page_state state, uint64_t count);

/* Ends the last run; the text is the caller's then. NULL: no memory. */
char *page_map_finish(struct page_map *map);
void page_map_release(struct page_map *map);

#endif
