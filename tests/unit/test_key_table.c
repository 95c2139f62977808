/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/key_table.h"

#include <stdio.h>
#include <stdlib.h>

#include "tap.h"

#define KEYS 10000

static struct bytes key_of(const void *user, uint32_t item)
{
	const char(*names)[16] = user;

	return bytes_of_text(names[item]);
}

/* From no room at all: each key is found again, at its own item, however often the table grew. */
static void grows(void)
{
	static char names[KEYS][16];
	struct key_table table;

	CHECK(key_table_begin(&table, 0, key_of, names));
	for (uint32_t i = 0; i < KEYS; i++) {
		snprintf(names[i], sizeof(names[i]), "name%u", i);
		CHECK_EQUAL(key_table_find(&table, bytes_of_text(names[i])), 0);
		uint32_t *item = key_table_at(&table, bytes_of_text(names[i]));
		CHECK(item && *item == 0);
		*item = i + 1;
	}
	for (uint32_t i = 0; i < KEYS; i++) {
		CHECK_EQUAL(key_table_find(&table, bytes_of_text(names[i])), i + 1);
		CHECK_EQUAL(*key_table_at(&table, bytes_of_text(names[i])), i + 1);
	}
	CHECK_EQUAL(key_table_find(&table, bytes_of_text("name")), 0);
	CHECK(table.used == KEYS && table.count >= 2 * KEYS);
	key_table_release(&table);
}

/* A place that was asked for and left empty is nobody's. */
static void leaves_places_empty(void)
{
	static const char names[2][16] = { "", "one" };
	struct key_table table;

	CHECK(key_table_begin(&table, 2, key_of, names));
	for (unsigned i = 0; i < 100; i++)
		CHECK_EQUAL(*key_table_at(&table, bytes_of_text(names[1])), 0);
	*key_table_at(&table, bytes_of_text(names[0])) = 1;
	CHECK_EQUAL(key_table_find(&table, bytes_of_text(names[0])), 1);
	CHECK_EQUAL(key_table_find(&table, bytes_of_text(names[1])), 0);
	key_table_release(&table);
}

/* Which keys meet depends on the secret. */
static void keeps_a_secret(void)
{
	struct bytes key = bytes_of_text("task_struct");

	CHECK(key_hash(key_seed(), key) != key_hash(key_seed(), key));
	CHECK(key_hash(3, key) == key_hash(3, key));
}

TAP_MAIN(TEST(grows), TEST(leaves_places_empty), TEST(keeps_a_secret))
