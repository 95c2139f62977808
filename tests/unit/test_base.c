/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cleanup.h"
#include "base/growing.h"
#include "base/page_set.h"
#include "base/range_map.h"
#include "base/rate.h"
#include "tap.h"

static void add(struct range_map *map, uint64_t start, uint64_t size, uint64_t offset, int kind)
{
	CHECK(range_map_add(map, (struct extent){ start, size, offset, kind }));
}

static void check_extent(const struct range_map *map, size_t index, uint64_t start, uint64_t size,
			 uint64_t offset, int kind)
{
	CHECK(index < map->count);
	CHECK_EQUAL(map->extents[index].start, start);
	CHECK_EQUAL(map->extents[index].size, size);
	CHECK_EQUAL(map->extents[index].offset, offset);
	CHECK_EQUAL(map->extents[index].kind, kind);
}

static void sorts_and_joins(void)
{
	CLEANUP(range_map_release) struct range_map map = { 0 };

	add(&map, 0x3000, 0x1000, 0x300, 0);
	add(&map, 0x1000, 0x1000, 0x1100, 0);
	add(&map, 0x2000, 0x1000, 0x2100, 0); /* goes on in both: one extent */
	add(&map, 0x9000, 0, 0, 0);
	CHECK(range_map_normalise(&map));
	CHECK_EQUAL(map.count, 2);
	check_extent(&map, 0, 0x1000, 0x2000, 0x1100, 0);
	check_extent(&map, 1, 0x3000, 0x1000, 0x300, 0);
}

static void first_wins(void)
{
	CLEANUP(range_map_release) struct range_map map = { 0 };

	add(&map, 0x2000, 0x1000, 0x10000, 0);
	add(&map, 0x1000, 0x4000, 0x20000, 0); /* around the first */
	add(&map, 0x2800, 0x1000, 0x30000, 0); /* wholly behind the others */
	CHECK(range_map_normalise(&map));
	CHECK_EQUAL(map.count, 3);
	check_extent(&map, 0, 0x1000, 0x1000, 0x20000, 0);
	check_extent(&map, 1, 0x2000, 0x1000, 0x10000, 0);
	check_extent(&map, 2, 0x3000, 0x2000, 0x22000, 0);
}

static void lower_kind_wins(void)
{
	CLEANUP(range_map_release) struct range_map map = { 0 };

	add(&map, 0x1000, 0x3000, 0, 3);
	add(&map, 0x2000, 0x1000, 0x100, 0);
	CHECK(range_map_normalise(&map));
	CHECK_EQUAL(map.count, 3);
	check_extent(&map, 1, 0x2000, 0x1000, 0x100, 0);
	check_extent(&map, 2, 0x3000, 0x1000, 0x2000, 3);
}

static void cuts_at_the_end(void)
{
	CLEANUP(range_map_release) struct range_map map = { 0 };

	add(&map, UINT64_MAX - 0xfff, 0x5000, 0, 0);
	add(&map, UINT64_MAX, 0x5000, 0, 0);
	CHECK(range_map_normalise(&map));
	CHECK_EQUAL(map.count, 1);
	check_extent(&map, 0, UINT64_MAX - 0xfff, 0xfff, 0, 0);
}

static void finds(void)
{
	CLEANUP(range_map_release) struct range_map map = { 0 };
	size_t hint = 0;

	CHECK(!range_map_find(&map, 0, &hint));
	for (uint64_t i = 0; i < 100; i++)
		add(&map, 0x1000 + i * 0x1000, 0x800, i * 0x10000, 0);
	CHECK(range_map_normalise(&map));
	CHECK_EQUAL(map.count, 100);
	CHECK(!range_map_find(&map, 0xfff, &hint));
	CHECK(!range_map_find(&map, UINT64_MAX, &hint));
	for (uint64_t i = 0; i < 100; i++) {
		uint64_t start = 0x1000 + (i * 37 % 100) * 0x1000;
		CHECK_EQUAL(range_map_find(&map, start, &hint)->start, start);
		CHECK_EQUAL(range_map_find(&map, start + 0x7ff, &hint)->start, start);
		CHECK(!range_map_find(&map, start + 0x800, &hint));
	}
	CHECK_EQUAL(range_map_after(&map, 0x1800), 1);
	CHECK_EQUAL(range_map_after(&map, 100 * 0x1000 + 0x800), 100);
}

/* Every address of a small space, against the obvious way, for many random maps. */
static void agrees_with_painting(void)
{
	uint32_t seed = 1;

	for (int round = 0; round < 500; round++) {
		CLEANUP(range_map_release) struct range_map map = { 0 };
		struct extent painted[64] = { 0 };
		for (int i = 0; i < 12; i++) {
			uint32_t r = seed = seed * 1664525 + 1013904223;
			struct extent extent = { r >> 8 & 31, r >> 16 & 31, (r >> 24) * 1000u,
						 r >> 5 & 1 };
			CHECK(range_map_add(&map, extent));
			for (uint64_t a = extent.start; a < extent.start + extent.size; a++)
				if (!painted[a].size || extent.kind < painted[a].kind)
					painted[a] = (struct extent){
						a, 1, extent.offset + a - extent.start, extent.kind
					};
		}
		CHECK(range_map_normalise(&map));
		for (size_t i = 1; i < map.count; i++)
			CHECK(map.extents[i - 1].start + map.extents[i - 1].size <=
			      map.extents[i].start);
		size_t hint = 0;
		for (uint64_t a = 0; a < 64; a++) {
			const struct extent *found = range_map_find(&map, a, &hint);
			CHECK_EQUAL(found != NULL, painted[a].size);
			CHECK(!found || found->offset + (a - found->start) == painted[a].offset);
			CHECK(!found || found->kind == painted[a].kind);
		}
	}
}

/* Half a million extents, all inside one another: quadratic time would be noticed. */
static void takes_many(void)
{
	CLEANUP(range_map_release) struct range_map map = { 0 };
	const uint64_t count = 500000;

	for (uint64_t i = 0; i < count; i++)
		add(&map, (count - i) * 16, 2 * i * 16 + 16, i << 32, 0);
	CHECK(range_map_normalise(&map));
	CHECK(map.count >= count && map.count <= 2 * count);
}

static void counts_pages_once(void)
{
	CLEANUP(page_set_release) struct page_set set = { 0 };

	page_set_add(&set, 0, 1); /* a set without room */
	CHECK(page_set_init(&set, 1ull << 46));
	page_set_add(&set, 0, 0);
	CHECK_EQUAL(set.count, 0);
	page_set_add(&set, 4095, 2);
	CHECK_EQUAL(set.count, 2);
	page_set_add(&set, 0, 8192);
	CHECK_EQUAL(set.count, 2);
	page_set_add(&set, 1ull << 45, 1);
	CHECK_EQUAL(set.count, 3);
	page_set_add(&set, 0, 3ull << 30); /* over the borders of its parts */
	CHECK_EQUAL(set.count, 1 + 3 * 262144);
	page_set_add(&set, (1ull << 46) + (1ull << 30), 4096);
	page_set_add(&set, UINT64_MAX - 1, 4096);
	CHECK_EQUAL(set.count, 1 + 3 * 262144);
}

static void counts_single_pages(void)
{
	CLEANUP(page_set_release) struct page_set set = { 0 };

	CHECK(page_set_init(&set, 64ull << 30));
	for (uint64_t i = 0; i < 1000; i++)
		page_set_add(&set, i * 0x1234567 % (64ull << 30) & ~4095ull, 4096);
	CHECK_EQUAL(set.count, 1000);
}

/* Every element stays, whatever moved; room comes before it is needed, and not more than twice of it. */
static void grows(void)
{
	AUTO_FREE uint32_t *numbers = NULL;
	size_t count = 0, capacity = 0, moves = 0;

	for (; count < 100000; count++) {
		size_t before = capacity;
		CHECK(GROW(numbers, count, capacity));
		CHECK(capacity > count &&
		      (count < 64 || capacity <= 2 * count || capacity == before));
		moves += capacity != before;
		numbers[count] = (uint32_t)count * 7;
	}
	CHECK(moves < 20);
	for (size_t i = 0; i < count; i++)
		CHECK_EQUAL(numbers[i], (uint32_t)i * 7);
}

/* What cannot be had changes nothing. */
static void fails_to_grow(void)
{
	struct huge {
		char bytes[1 << 20];
	} *array = NULL;
	size_t capacity = SIZE_MAX / 4;

	CHECK(!GROW(array, capacity, capacity));
	CHECK(!array);
	CHECK_EQUAL(capacity, SIZE_MAX / 4);
	capacity = SIZE_MAX / 2 + 2; /* twice of it is 2: no such array may come of that */
	CHECK(!GROW(array, capacity, capacity));
	CHECK_EQUAL(capacity, SIZE_MAX / 2 + 2);
}

static void keeps_a_rate(void)
{
	struct rate rate = { .limit = 1000 }, none = { 0 };

	CHECK(rate_take(&none, 7, 1 << 30) <= 7);
	CHECK(rate_take(&rate, 50, 500) <= 50);
	/* 0.5 s later; a little late, which is made up for; and much, which is not. */
	CHECK_EQUAL((int)(rate_take(&rate, 50, 500) * 1000), 50500);
	CHECK_EQUAL((int)(rate_take(&rate, 51.0625, 250) * 1000), 51000);
	CHECK_EQUAL((int)(rate_take(&rate, 60, 500) * 1000), 60000);
	CHECK_EQUAL((int)(rate_take(&rate, 60, 500) * 1000), 60500);
}

TAP_MAIN(TEST(sorts_and_joins), TEST(first_wins), TEST(lower_kind_wins), TEST(cuts_at_the_end),
	 TEST(finds), TEST(agrees_with_painting), TEST(takes_many), TEST(counts_pages_once),
	 TEST(counts_single_pages), TEST(grows), TEST(fails_to_grow), TEST(keeps_a_rate))
