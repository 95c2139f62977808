/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One item for each key, of keys that a hostile image or file may have chosen: the hash is seeded, so that they
 * cannot be chosen to meet. Items are numbers, whose keys the caller knows.
 */
#ifndef BASE_KEY_TABLE_H
#define BASE_KEY_TABLE_H

#include <stdbool.h>

#include "base/bytes.h"

typedef struct bytes key_of_fn(const void *user, uint32_t item);

/* All zero is a table without memory. */
struct key_table {
	struct key_slot {
		uint32_t hash;
		uint32_t item; /* and 1; 0: none has this key */
	} * slots;
	size_t count, used; /* slots: a power of two; those that were given out to be filled */
	uint64_t seed;
	key_of_fn *key_of;
	const void *user;
};

/* Room for that many keys; it grows when there are more. False: no memory. */
bool key_table_begin(struct key_table *table, size_t keys, key_of_fn *key_of, const void *user);

/*
 * Where the item of a key is kept, plus 1, until the next call; the caller puts one there if there is none, or takes a
 * better one. NULL: no memory, which comes only past the keys that there was room for.
 */
uint32_t *key_table_at(struct key_table *table, struct bytes key);

/* The item of a key, plus 1; 0: there is none. */
uint32_t key_table_find(const struct key_table *table, struct bytes key);

void key_table_release(struct key_table *table);

/* For tables of other forms: a secret, and what becomes of a key by it. */
uint64_t key_seed(void);
uint32_t key_hash(uint64_t seed, struct bytes key);

#endif
