/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/plan.h"

#include <stdio.h>

#include "source/source.h"

/* What starts a range: all of it, if it can be read or was left out on purpose. */
static struct plan_range make_range(const struct kioku_source *source,
				    const struct writer_format *format,
				    const struct kioku_range *range)
{
	struct plan_range out = { .start = range->start,
				  .size = range->size,
				  .is_stored = range->state == KIOKU_RANGE_PRESENT,
				  .absent = PAGE_EXCLUDED };

	/* To most formats, zeros that the source knows of are memory like any other. */
	if (range->state == KIOKU_RANGE_ZERO) {
		out.is_stored = !format->omits_zeros;
		out.absent = PAGE_ZERO;
	}
	if (range->state == KIOKU_RANGE_UNREADABLE)
		out.size = source_absent_run(source, range->start, range->size, &out.absent);
	return out;
}

static bool goes_on(const struct plan_range *last, const struct plan_range *next)
{
	return last->start + last->size == next->start && last->is_stored == next->is_stored &&
	       (last->is_stored || last->absent == next->absent);
}

static bool add_range(struct plan *plan, const struct plan_range *range)
{
	struct plan_range *last = plan->count ? &plan->ranges[plan->count - 1] : NULL;

	plan->size += plan_is_omitted(range) ? 0 : range->size;
	if (last && goes_on(last, range)) {
		last->size += range->size;
		return true;
	}
	/* Doubling: the array is full whenever its count is a power of two. */
	if ((plan->count & (plan->count - 1)) == 0) {
		size_t capacity = plan->count ? plan->count * 2 : 1;
		struct plan_range *ranges =
			reallocarray(plan->ranges, capacity, sizeof(*plan->ranges));
		if (!ranges)
			return false;
		plan->ranges = ranges;
	}
	plan->ranges[plan->count++] = *range;
	return true;
}

enum kioku_status plan_make(const struct kioku_source *source, const struct writer_format *format,
			    struct plan *out, struct kioku_error *error)
{
	size_t count;
	const struct kioku_range *ranges = kioku_source_ranges(source, &count);

	*out = (struct plan){ 0 };
	for (size_t i = 0; i < count; i++) {
		struct kioku_range left = ranges[i];
		for (struct plan_range range; left.size > 0;
		     left.start += range.size, left.size -= range.size) {
			range = make_range(source, format, &left);
			if (!add_range(out, &range))
				return error_no_memory(error);
		}
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
