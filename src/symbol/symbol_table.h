/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The opened form of a symbol block. */
#ifndef SYMBOL_SYMBOL_TABLE_H
#define SYMBOL_SYMBOL_TABLE_H

#include "symbol/symbols.h"

/* The digit changes with the block's layout or the hash. */
#define SYMBOL_BLOCK_MAGIC                             \
	{                                              \
		'k', 'i', 'o', 'k', 'u', 's', 'y', '1' \
	}

struct kioku_symbols {
	struct bytes block;
	void *owned; /* the block, if it is ours to free */
	uint64_t base;
	uint32_t count, head_count;
	/* Inside the block, for count (heads: head_count) elements; text ends in a NUL. */
	const uint8_t *values, *names, *types, *heads, *next;
	struct bytes text;
};

#endif
