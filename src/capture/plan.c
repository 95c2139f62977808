/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/plan.h"

#include <stdio.h>

#include "source/source.h"

/* Zeros that the source knows of are memory like any other. */
static struct plan_range make_range(const struct kioku_range *range)
{
	return (struct plan_range){
		.start = range->start,
		.size = range->size,
		.is_stored = range->state <= KIOKU_RANGE_ZERO,
		.absent = range->state == KIOKU_RANGE_EXCLUDED ? PAGE_EXCLUDED : PAGE_MISSING,
	};
}

static bool goes_on(const struct plan_range *last, const struct plan_range *next)
{
	return last->start + last->size == next->start && last->is_stored == next->is_stored &&
	       (last->is_stored || last->absent == next->absent);
}

enum kioku_status plan_make(const struct kioku_source *source, struct plan *out,
			    struct kioku_error *error)
{
	size_t count;
	const struct kioku_range *ranges = kioku_source_ranges(source, &count);

	*out = (struct plan){ 0 };
	out->ranges = calloc(count + 1, sizeof(*out->ranges));
	if (!out->ranges)
		return error_no_memory(error);
	for (size_t i = 0; i < count; i++) {
		struct plan_range range = make_range(&ranges[i]);
		struct plan_range *last = out->count ? &out->ranges[out->count - 1] : NULL;
		if (last && goes_on(last, &range))
			last->size += range.size;
		else
			out->ranges[out->count++] = range;
		out->size += range.size;
	}
	return KIOKU_OK;
}

void plan_release(struct plan *plan)
{
	free(plan->ranges);
	*plan = (struct plan){ 0 };
}

const struct plan_range *plan_next(const struct plan *plan, struct plan_walk *walk,
				   uint64_t *physical, uint64_t *size)
{
	if (walk->range == plan->count)
		return NULL;
	const struct plan_range *range = &plan->ranges[walk->range];
	*physical = range->start + walk->offset;
	*size = range->size - walk->offset;
	if (range->is_stored) {
		uint64_t room = CAPTURE_BLOCK - *physical % CAPTURE_BLOCK;
		*size = *size < room ? *size : room;
	}
	walk->offset += *size;
	if (walk->offset == range->size)
		*walk = (struct plan_walk){ walk->range + 1, 0 };
	return range;
}

enum { RUN_TEXT_SIZE = 24 }; /* a letter, 20 digits and a NUL */

/* Writes down the run that ends. */
static bool end_run(struct page_map *map)
{
	if (map->capacity - map->size < RUN_TEXT_SIZE) {
		size_t capacity = map->capacity ? 2 * map->capacity : 64;
		char *text = realloc(map->text, capacity);
		if (!text)
			return false;
		map->text = text;
		map->capacity = capacity;
	}
	map->text[map->size] = '\0';
	if (map->count > 0)
		map->size += (size_t)sprintf(map->text + map->size, "%c%llu",
					     PAGE_STATE_LETTERS[map->state],
					     (unsigned long long)map->count);
	map->count = 0;
	return true;
}

bool page_map_add(struct page_map *map, enum page_state state, uint64_t count)
{
	if (map->count > 0 && map->state != state && !end_run(map))
		return false;
	map->state = state;
	map->count += count;
	map->pages += count;
	return true;
}

char *page_map_finish(struct page_map *map)
{
	return end_run(map) ? TAKE(map->text) : NULL;
}

void page_map_release(struct page_map *map)
{
	free(map->text);
	*map = (struct page_map){ 0 };
}
