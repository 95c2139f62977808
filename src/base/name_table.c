/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/name_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

bool name_table_begin(struct name_table *table, size_t names, name_of_fn *name_of, const void *user)
{
	size_t count = 16;

	while (count < 2 * names)
		count *= 2;
	*table = (struct name_table){ .mask = count - 1, .name_of = name_of, .user = user };
	/* Without random bytes it works as well, for images that do not count on that. */
	if (getrandom(&table->seed, sizeof(table->seed), GRND_NONBLOCK) != sizeof(table->seed))
		table->seed = 0x9e3779b97f4a7c15ull;
	table->seed |= 1;
	table->slots = calloc(count, sizeof(*table->slots));
	return table->slots;
}

/* Both halves of a product by a secret: which names meet depends on it. */
static uint64_t mix(uint64_t hash, uint64_t word, uint64_t seed)
{
	unsigned __int128 product = (unsigned __int128)(hash ^ word) * seed;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t seeded_hash(uint64_t seed, const char *name)
{
	size_t size = strlen(name);
	uint64_t hash = mix(seed, size, seed);
	uint64_t word;

	for (; size >= sizeof(word); name += sizeof(word), size -= sizeof(word)) {
		memcpy(&word, name, sizeof(word));
		hash = mix(hash, word, seed);
	}
	word = 0;
	memcpy(&word, name, size);
	return (uint32_t)mix(hash, word, seed);
}

uint32_t *name_table_at(struct name_table *table, const char *name)
{
	uint32_t hash = seeded_hash(table->seed, name);

	for (size_t at = hash & table->mask;; at = (at + 1) & table->mask) {
		struct name_slot *slot = &table->slots[at];
		if (!slot->item)
			slot->hash = hash;
		if (!slot->item || (slot->hash == hash &&
				    strcmp(table->name_of(table->user, slot->item - 1), name) == 0))
			return &slot->item;
	}
}

void name_table_release(struct name_table *table)
{
	free(table->slots);
	table->slots = NULL;
}
