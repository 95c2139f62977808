/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/key_table.h"

#include <stdlib.h>
#include <sys/random.h>

uint64_t key_seed(void)
{
	uint64_t seed;

	/* Without random bytes it works as well, for images that do not count on that. */
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = 0x9e3779b97f4a7c15ull;
	return seed | 1;
}

/* Both halves of a product by a secret: which keys meet depends on it. */
static uint64_t mix(uint64_t hash, uint64_t word, uint64_t seed)
{
	unsigned __int128 product = (unsigned __int128)(hash ^ word) * seed;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint32_t key_hash(uint64_t seed, struct bytes key)
{
	uint64_t hash = mix(seed, key.size, seed);
	uint64_t word = 0;

	for (; key.size >= sizeof(word); key.data += sizeof(word), key.size -= sizeof(word)) {
		memcpy(&word, key.data, sizeof(word));
		hash = mix(hash, word, seed);
	}
	word = 0;
	if (key.size)
		memcpy(&word, key.data, key.size);
	return (uint32_t)mix(hash, word, seed);
}

bool key_table_begin(struct key_table *table, size_t keys, key_of_fn *key_of, const void *user)
{
	size_t count = 16;

	while (count < 2 * keys)
		count *= 2;
	*table = (struct key_table){
		.count = count, .seed = key_seed(), .key_of = key_of, .user = user
	};
	table->slots = calloc(count, sizeof(*table->slots));
	return table->slots;
}

/* The slot that has a key, or where it would be. */
static struct key_slot *slot_of(const struct key_table *table, struct bytes key, uint32_t hash)
{
	for (size_t at = hash;; at++) {
		struct key_slot *slot = &table->slots[at & (table->count - 1)];
		if (!slot->item || (slot->hash == hash &&
				    bytes_equal(table->key_of(table->user, slot->item - 1), key)))
			return slot;
	}
}

/* More than half of it in use makes searches long. */
static bool make_room(struct key_table *table)
{
	struct key_slot *old = table->slots;
	size_t count = table->count;

	if (table->used < count / 2)
		return true;
	struct key_slot *slots = calloc(2 * count, sizeof(*slots));
	if (!slots)
		return false;
	table->used = 0;
	for (size_t i = 0; i < count; i++) {
		if (!old[i].item)
			continue;
		size_t at = old[i].hash;
		while (slots[at & (2 * count - 1)].item)
			at++;
		slots[at & (2 * count - 1)] = old[i];
		table->used++;
	}
	table->slots = slots;
	table->count = 2 * count;
	free(old);
	return true;
}

uint32_t *key_table_at(struct key_table *table, struct bytes key)
{
	uint32_t hash = key_hash(table->seed, key);
	struct key_slot *slot = slot_of(table, key, hash);

	if (slot->item)
		return &slot->item;
	if (!make_room(table))
		return NULL;
	slot = slot_of(table, key, hash);
	slot->hash = hash;
	table->used++;
	return &slot->item;
}

uint32_t key_table_find(const struct key_table *table, struct bytes key)
{
	return slot_of(table, key, key_hash(table->seed, key))->item;
}

void key_table_release(struct key_table *table)
{
	free(table->slots);
	table->slots = NULL;
}
