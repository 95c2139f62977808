/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A set of 4 KiB pages that costs little until pages are added: 1 MiB for a 128 TiB space. */
#ifndef BASE_PAGE_SET_H
#define BASE_PAGE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SET_SHIFT 12

/* All zero is a set that holds nothing and can hold nothing. */
struct page_set {
	uint64_t **leaves; /* bitmaps of 1 GiB each, allocated when first needed */
	size_t leaf_count;
	uint64_t count; /* pages in the set */
};

/* Makes room for the pages of a space of so many bytes. False: no memory. */
bool page_set_init(struct page_set *set, uint64_t space_size);

/* Adds every page that [address, address + size) touches; what lies outside is ignored. */
void page_set_add(struct page_set *set, uint64_t address, uint64_t size);

void page_set_release(struct page_set *set);

#endif
