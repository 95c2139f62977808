/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From names to numbers: a hash index that can be kept in a file, since it consists of nothing but
 * u32. Heads has the first item of each chain, next what follows an item; both count items from 1,
 * and 0 ends a chain. Chains ascend, so that the items of one name come in order, and that a chain
 * in a damaged or hostile file ends too.
 */
#ifndef BASE_NAME_INDEX_H
#define BASE_NAME_INDEX_H

#include "base/bytes.h"

static inline uint32_t name_hash(const char *name, size_t size)
{
	uint64_t hash = size;
	uint64_t word;

	for (; size >= sizeof(word); name += sizeof(word), size -= sizeof(word)) {
		memcpy(&word, name, sizeof(word));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 29;
	}
	word = 0;
	memcpy(&word, name, size);
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return (uint32_t)(hash >> 32);
}

/* How many heads that many items need: a power of two. */
static inline uint32_t name_index_heads(uint32_t items)
{
	uint32_t heads = 16;

	while (heads < items && heads < 1u << 31)
		heads *= 2;
	return heads;
}

/* Items are added from the last to the first. */
static inline void name_index_add(uint32_t *heads, uint32_t head_count, uint32_t *next,
				  uint32_t hash, uint32_t item)
{
	uint32_t *head = &heads[hash & (head_count - 1)];

	next[item] = *head;
	*head = item + 1;
}

/*
 * The next item that may have a name of this hash; *state is 0 at first. The name is for the caller
 * to check.
 */
static inline bool name_index_next(const uint8_t *heads, uint32_t head_count, const uint8_t *next,
				   uint32_t items, uint32_t hash, uint32_t *state, uint32_t *item)
{
	uint32_t found = *state ? load_le32(next + 4ull * (*state - 1))
				: load_le32(heads + 4ull * (hash & (head_count - 1)));

	if (found <= *state || found > items)
		return false;
	*state = found;
	*item = found - 1;
	return true;
}

#endif
