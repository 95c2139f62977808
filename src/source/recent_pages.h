/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pages of a source that cannot be mapped, as its driver brought them in: bounded, the pages
 * that were used last. One stands above all drivers.
 */
#ifndef SOURCE_RECENT_PAGES_H
#define SOURCE_RECENT_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that a cache keeps. */
#define RECENT_PAGES_SIZE (8u << 20)

/* All zero is no cache; only recent_pages_release() may be called on it. */
struct recent_pages {
	struct cached_page *pages;
	uint8_t *data;
	size_t page_size;
	uint32_t clock; /* of what was used when */
};

/* page_size: a power of two from 4096 to 65536. False: no memory. */
bool recent_pages_init(struct recent_pages *cache, size_t page_size);

/* The page at an address that is a multiple of the page size, or NULL. Good until the next claim. */
const uint8_t *recent_pages_find(struct recent_pages *cache, uint64_t address);

/* Room to put that page, in place of the one of its set that was not used for longest. */
uint8_t *recent_pages_claim(struct recent_pages *cache, uint64_t address);

/* Takes back a claim: the page could not be had. */
void recent_pages_forget(struct recent_pages *cache, uint64_t address);

void recent_pages_release(struct recent_pages *cache);

#endif
