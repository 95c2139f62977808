/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "source/recent_pages.h"

#define WAYS 4u

struct cached_page {
	uint64_t address;
	uint32_t used; /* by the clock; 0: there is none */
};

bool recent_pages_init(struct recent_pages *cache, size_t page_size)
{
	*cache = (struct recent_pages){ .page_size = page_size };
	cache->pages = calloc(RECENT_PAGES_SIZE / page_size, sizeof(*cache->pages));
	cache->data = malloc(RECENT_PAGES_SIZE);
	return cache->pages && cache->data;
}

/* The first page of the set that an address belongs to. Neighbours get different sets. */
static struct cached_page *set_of(const struct recent_pages *cache, uint64_t address)
{
	size_t sets = RECENT_PAGES_SIZE / cache->page_size / WAYS;
	uint64_t number = address / cache->page_size;

	return &cache->pages[(number ^ number / sets) % sets * WAYS];
}

static struct cached_page *find(const struct recent_pages *cache, uint64_t address)
{
	struct cached_page *set = set_of(cache, address);

	for (size_t i = 0; i < WAYS; i++)
		if (set[i].used && set[i].address == address)
			return &set[i];
	return NULL;
}

static uint8_t *use(struct recent_pages *cache, struct cached_page *page)
{
	/* When the clock wraps around, some page that is in use goes first: no harm. */
	page->used = ++cache->clock ? cache->clock : ++cache->clock;
	return cache->data + (size_t)(page - cache->pages) * cache->page_size;
}

const uint8_t *recent_pages_find(struct recent_pages *cache, uint64_t address)
{
	struct cached_page *page = find(cache, address);

	return page ? use(cache, page) : NULL;
}

uint8_t *recent_pages_claim(struct recent_pages *cache, uint64_t address)
{
	struct cached_page *set = set_of(cache, address), *oldest = set;

	for (size_t i = 1; i < WAYS; i++)
		if (set[i].used < oldest->used)
			oldest = &set[i];
	oldest->address = address;
	return use(cache, oldest);
}

void recent_pages_forget(struct recent_pages *cache, uint64_t address)
{
	struct cached_page *page = find(cache, address);

	if (page)
		page->used = 0;
}

void recent_pages_release(struct recent_pages *cache)
{
	free(cache->pages);
	free(cache->data);
	*cache = (struct recent_pages){ 0 };
}
