/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Page 0 of a swap area: union swap_header (include/linux/swap.h, v4.18 to v7.0), and what suspending to disk makes of
 * it (kernel/power/swap.c).
 */
#ifndef FORMAT_SWAP_FORMAT_H
#define FORMAT_SWAP_FORMAT_H

#include "base/bytes.h"

#define SWAP_PAGE_SIZE 4096 /* bytes, of x86-64 */
#define SWAP_UUID_SIZE 16

enum swap_header_kind {
	SWAP_HEADER_NONE,
	SWAP_HEADER_AREA,
	SWAP_HEADER_HIBERNATED, /* a system that was suspended is in it; the rest is as it was */
};

struct swap_header {
	uint32_t last_page; /* pages, the header included, less 1 */
	uint32_t bad_pages;
	uint8_t uuid[SWAP_UUID_SIZE];
};

/* out is filled in unless it is NONE. */
enum swap_header_kind swap_header_decode(struct bytes page, struct swap_header *out);

#endif
