/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/growing.h"
#include "base/range_map.h"

bool range_map_add(struct range_map *map, struct extent extent)
{
	if (extent.size > UINT64_MAX - extent.start)
		extent.size = UINT64_MAX - extent.start;
	if (extent.size == 0)
		return true;
	if (!GROW(map->extents, map->count, map->capacity))
		return false;
	map->extents[map->count++] = extent;
	return true;
}

struct entry {
	struct extent extent;
	size_t order; /* in which it was added */
};

static int compare_starts(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	return (a->extent.start > b->extent.start) - (a->extent.start < b->extent.start);
}

static bool wins(const struct entry *a, const struct entry *b)
{
	return a->extent.kind != b->extent.kind ? a->extent.kind < b->extent.kind
						: a->order < b->order;
}

/* The entries that cover the place a sweep has come to; the winner on top. */
struct heap {
	const struct entry **entries;
	size_t count;
};

static void heap_push(struct heap *heap, const struct entry *entry)
{
	size_t i = heap->count++;

	for (; i > 0 && wins(entry, heap->entries[(i - 1) / 2]); i = (i - 1) / 2)
		heap->entries[i] = heap->entries[(i - 1) / 2];
	heap->entries[i] = entry;
}

static void heap_pop(struct heap *heap)
{
	const struct entry *last = heap->entries[--heap->count];
	size_t i = 0;

	for (size_t child; (child = 2 * i + 1) < heap->count; i = child) {
		if (child + 1 < heap->count && wins(heap->entries[child + 1], heap->entries[child]))
			child++;
		if (!wins(heap->entries[child], last))
			break;
		heap->entries[i] = heap->entries[child];
	}
	heap->entries[i] = last;
}

/* Appends [start, end) of an extent, or grows the one before if it goes on there. */
static void emit(struct range_map *map, const struct extent *from, uint64_t start, uint64_t end)
{
	uint64_t offset = from->offset + (start - from->start);

	if (map->count > 0) {
		struct extent *last = &map->extents[map->count - 1];
		if (last->kind == from->kind && last->start + last->size == start &&
		    last->offset + last->size == offset) {
			last->size += end - start;
			return;
		}
	}
	map->extents[map->count++] = (struct extent){ start, end - start, offset, from->kind };
}

static void sweep(const struct entry *entries, size_t count, struct heap *heap,
		  struct range_map *out)
{
	uint64_t position = 0;
	size_t next = 0;

	while (next < count || heap->count > 0) {
		if (heap->count == 0)
			position = entries[next].extent.start;
		while (next < count && entries[next].extent.start <= position)
			heap_push(heap, &entries[next++]);

		const struct extent *top = &heap->entries[0]->extent;
		uint64_t end = top->start + top->size;
		if (end <= position) {
			heap_pop(heap);
			continue;
		}
		if (next < count && entries[next].extent.start < end)
			end = entries[next].extent.start;
		emit(out, top, position, end);
		position = end;
	}
}

static bool is_normal(const struct range_map *map)
{
	for (size_t i = 1; i < map->count; i++) {
		const struct extent *left = &map->extents[i - 1], *right = &map->extents[i];
		uint64_t end = left->start + left->size;
		bool goes_on = end == right->start && left->kind == right->kind &&
			       left->offset + left->size == right->offset;
		if (right->start < end || goes_on)
			return false;
	}
	return true;
}

bool range_map_normalise(struct range_map *map)
{
	/* Large maps mostly come in order; sorting one takes several times its memory. */
	if (is_normal(map))
		return true;

	/* Every emitted extent ends at another start or end of a given one: twice as many suffice. */
	struct range_map out = { .capacity = 2 * map->count };
	AUTO_FREE struct entry *entries = calloc(map->count, sizeof(*entries));
	AUTO_FREE const struct entry **active = calloc(map->count, sizeof(*active));
	out.extents = calloc(out.capacity, sizeof(*out.extents));
	if (!entries || !active || !out.extents) {
		range_map_release(&out);
		return false;
	}

	for (size_t i = 0; i < map->count; i++)
		entries[i] = (struct entry){ map->extents[i], i };
	qsort(entries, map->count, sizeof(*entries), compare_starts);
	sweep(entries, map->count, &(struct heap){ active, 0 }, &out);
	range_map_release(map);
	*map = out;
	return true;
}

size_t range_map_after(const struct range_map *map, uint64_t address)
{
	size_t low = 0, high = map->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct extent *extent = &map->extents[middle];
		if (extent->start + extent->size > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

const struct extent *range_map_find(const struct range_map *map, uint64_t address, size_t *hint)
{
	if (*hint < map->count) {
		const struct extent *last = &map->extents[*hint];
		/* Below start, the difference wraps and is larger than any size. */
		if (address - last->start < last->size)
			return last;
	}
	size_t index = range_map_after(map, address);
	if (index == map->count || map->extents[index].start > address)
		return NULL;
	*hint = index;
	return &map->extents[index];
}

void range_map_release(struct range_map *map)
{
	free(map->extents);
	*map = (struct range_map){ 0 };
}
