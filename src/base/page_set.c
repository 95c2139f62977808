/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "base/page_set.h"

#define LEAF_SHIFT 18 /* pages */
#define LEAF_PAGES (1ull << LEAF_SHIFT)

bool page_set_init(struct page_set *set, uint64_t space_size)
{
	uint64_t leaf_count = (space_size >> (PAGE_SET_SHIFT + LEAF_SHIFT)) + 1;

	*set = (struct page_set){ 0 };
	set->leaves = calloc(leaf_count, sizeof(*set->leaves));
	if (!set->leaves)
		return false;
	set->leaf_count = leaf_count;
	return true;
}

/* Sets the bits [first, last] of a leaf and returns how many were not set before. */
static uint64_t set_bits(uint64_t *leaf, uint64_t first, uint64_t last)
{
	uint64_t added = 0;

	for (uint64_t word = first / 64; word <= last / 64; word++) {
		uint64_t mask = UINT64_MAX;
		if (word == first / 64)
			mask &= UINT64_MAX << (first % 64);
		if (word == last / 64)
			mask &= UINT64_MAX >> (63 - last % 64);
		added += (uint64_t)__builtin_popcountll(mask & ~leaf[word]);
		leaf[word] |= mask;
	}
	return added;
}

void page_set_add(struct page_set *set, uint64_t address, uint64_t size)
{
	if (size == 0)
		return;
	uint64_t end = size > UINT64_MAX - address ? UINT64_MAX : address + size - 1;
	uint64_t page = address >> PAGE_SET_SHIFT, last = end >> PAGE_SET_SHIFT;

	while (page <= last && page >> LEAF_SHIFT < set->leaf_count) {
		uint64_t **leaf = &set->leaves[page >> LEAF_SHIFT];
		uint64_t leaf_last = page | (LEAF_PAGES - 1);
		if (leaf_last > last)
			leaf_last = last;
		if (!*leaf)
			*leaf = calloc(LEAF_PAGES / 64, sizeof(**leaf));
		/* A count that is too low is better than a read that fails for it. */
		if (*leaf)
			set->count += set_bits(*leaf, page % LEAF_PAGES, leaf_last % LEAF_PAGES);
		page = leaf_last + 1;
	}
}

void page_set_release(struct page_set *set)
{
	for (size_t i = 0; i < set->leaf_count; i++)
		free(set->leaves[i]);
	free(set->leaves);
	*set = (struct page_set){ 0 };
}
