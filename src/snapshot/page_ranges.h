/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ranges of addresses in ascending order. */
#ifndef SNAPSHOT_PAGE_RANGES_H
#define SNAPSHOT_PAGE_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct page_range {
	uint64_t start, end; /* start < end */
};

/* One range after the other is handed to one. What it returns, if not KIOKU_OK, ends that. */
typedef enum kioku_status page_range_fn(void *user, uint64_t start, uint64_t end,
					struct kioku_error *error);

/* All zero is an empty list. */
struct page_ranges {
	struct page_range *ranges; /* ascending, disjoint, not touching */
	size_t count, capacity;
};

/* Adds [start, end), none of it below what is there; nothing if it is empty. False: no memory. */
bool page_ranges_add(struct page_ranges *list, uint64_t start, uint64_t end);

/* Adds to out, which is empty, what is in all and not in some. False: no memory. */
bool page_ranges_subtract(const struct page_ranges *all, const struct page_ranges *some,
			  struct page_ranges *out);

bool page_ranges_have(const struct page_ranges *list, uint64_t address);

/* Bytes. */
uint64_t page_ranges_size(const struct page_ranges *list);

void page_ranges_release(struct page_ranges *list);

#endif
