/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "source/frame_cache.h"

static struct cached_frame *use(struct frame_cache *cache, struct cached_frame *slot)
{
	slot->used = ++cache->clock;
	cache->last = (size_t)(slot - cache->slots);
	return slot;
}

struct cached_frame *frame_cache_find(struct frame_cache *cache, const struct frame *frame)
{
	if (cache->slots[cache->last].frame == frame)
		return use(cache, &cache->slots[cache->last]);
	for (size_t i = 0; i < FRAME_CACHE_COUNT; i++)
		if (cache->slots[i].frame == frame)
			return use(cache, &cache->slots[i]);
	return NULL;
}

static void drop(struct cached_frame *slot)
{
	free(slot->data);
	*slot = (struct cached_frame){ 0 };
}

/* The slot that was used longest ago, of those that have memory if so wanted; or NULL. */
static struct cached_frame *find_oldest(struct frame_cache *cache, bool with_memory)
{
	struct cached_frame *oldest = NULL;

	for (size_t i = 0; i < FRAME_CACHE_COUNT; i++) {
		struct cached_frame *slot = &cache->slots[i];
		if ((slot->data || !with_memory) && (!oldest || slot->used < oldest->used))
			oldest = slot;
	}
	return oldest;
}

static size_t memory_of(const struct frame_cache *cache)
{
	size_t size = 0;

	for (size_t i = 0; i < FRAME_CACHE_COUNT; i++)
		size += cache->slots[i].capacity;
	return size;
}

struct cached_frame *frame_cache_claim(struct frame_cache *cache, const struct frame *frame)
{
	struct cached_frame *slot = find_oldest(cache, false), *oldest;
	size_t needed = frame->content_size;

	if (slot->capacity < needed) {
		drop(slot);
		while (memory_of(cache) + needed > FRAME_CACHE_SIZE &&
		       (oldest = find_oldest(cache, true)))
			drop(oldest);
		slot->data = malloc(needed);
		if (!slot->data)
			return NULL;
		slot->capacity = needed;
	}
	slot->frame = frame;
	slot->problem = NULL;
	return use(cache, slot);
}

void frame_cache_release(struct frame_cache *cache)
{
	for (size_t i = 0; i < FRAME_CACHE_COUNT; i++)
		drop(&cache->slots[i]);
}
