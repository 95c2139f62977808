/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which addresses lie where: extents that are added in any order, overlapping or not, and become a
 * sorted, disjoint list that is searched in logarithmic time.
 */
#ifndef BASE_RANGE_MAP_H
#define BASE_RANGE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct extent {
	uint64_t start;  /* first address */
	uint64_t size;   /* addresses, never 0 */
	uint64_t offset; /* where start's byte is kept */
	int kind;        /* the caller's own; where extents overlap, the lowest kind wins */
};

/* All zero is an empty map. */
struct range_map {
	struct extent *extents;
	size_t count, capacity;
};

/*
 * Adds an extent; one of size 0 is ignored, and one that would pass the end of the address space is
 * cut, so that start + size never overflows. False: no memory.
 */
bool range_map_add(struct range_map *map, struct extent extent);

/*
 * Sorts and makes disjoint, in n log n time: of overlapping extents of the same kind the one that
 * was added first wins. Needed after the last range_map_add(). False: no memory.
 */
bool range_map_normalise(struct range_map *map);

/* The index of the first extent that ends after an address; count if there is none. */
size_t range_map_after(const struct range_map *map, uint64_t address);

/* The extent that holds an address, or NULL. *hint, 0 at first, speeds up nearby look-ups. */
const struct extent *range_map_find(const struct range_map *map, uint64_t address, size_t *hint);

void range_map_release(struct range_map *map);

#endif
