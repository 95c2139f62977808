/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/page_ranges.h"

#include <stdlib.h>

#include "base/growing.h"

bool page_ranges_add(struct page_ranges *list, uint64_t start, uint64_t end)
{
	struct page_range *last = list->count > 0 ? &list->ranges[list->count - 1] : NULL;

	if (start >= end)
		return true;
	if (last && last->end >= start) {
		last->end = end > last->end ? end : last->end;
		return true;
	}
	if (!GROW(list->ranges, list->count, list->capacity))
		return false;
	list->ranges[list->count++] = (struct page_range){ start, end };
	return true;
}

bool page_ranges_subtract(const struct page_ranges *all, const struct page_ranges *some,
			  struct page_ranges *out)
{
	size_t next = 0;

	for (size_t i = 0; i < all->count; i++) {
		uint64_t at = all->ranges[i].start, end = all->ranges[i].end;
		while (next < some->count && some->ranges[next].end <= at)
			next++;
		for (size_t j = next; j < some->count && some->ranges[j].start < end; j++) {
			if (!page_ranges_add(out, at, some->ranges[j].start))
				return false;
			at = some->ranges[j].end;
		}
		if (!page_ranges_add(out, at, end))
			return false;
	}
	return true;
}

bool page_ranges_have(const struct page_ranges *list, uint64_t address)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (list->ranges[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < list->count && list->ranges[low].start <= address;
}

uint64_t page_ranges_size(const struct page_ranges *list)
{
	uint64_t size = 0;

	for (size_t i = 0; i < list->count; i++)
		size += list->ranges[i].end - list->ranges[i].start;
	return size;
}

void page_ranges_release(struct page_ranges *list)
{
	free(list->ranges);
	*list = (struct page_ranges){ 0 };
}
