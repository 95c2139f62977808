/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One item for each name, of names that a hostile image may have chosen: the hash is seeded, so that they
 * cannot be chosen to meet. Items are numbers, whose names the caller knows.
 */
#ifndef BASE_NAME_TABLE_H
#define BASE_NAME_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef const char *name_of_fn(const void *user, uint32_t item);

/* All zero is a table without memory. */
struct name_table {
	struct name_slot {
		uint32_t hash;
		uint32_t item; /* and 1; 0: none has this name */
	} * slots;
	size_t mask;
	uint64_t seed;
	name_of_fn *name_of;
	const void *user;
};

/* Room for that many names. False: no memory. */
bool name_table_begin(struct name_table *table, size_t names, name_of_fn *name_of,
		      const void *user);

/* Where the item of a name is kept, plus 1; the caller puts one there if there is none, or takes a better one. */
uint32_t *name_table_at(struct name_table *table, const char *name);

void name_table_release(struct name_table *table);

#endif
