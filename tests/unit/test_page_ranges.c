/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of ranges, against a map with a letter for each page. */
#include "snapshot/page_ranges.h"
#include "tap.h"

enum { PAGE = 4096, PAGES = 64, ROUNDS = 2000 };

/* Random pages of a map, and the list of them. */
static void make(bool map[PAGES], struct page_ranges *list)
{
	for (uint64_t i = 0; i < PAGES; i++) {
		/* In runs. */
		map[i] = rand() % 4 == 0 ? !(i > 0 && map[i - 1]) : i > 0 && map[i - 1];
		if (map[i])
			CHECK(page_ranges_add(list, i * PAGE, (i + 1) * PAGE));
	}
}

static void check(const struct page_ranges *list, const bool map[PAGES])
{
	uint64_t size = 0;

	for (uint64_t i = 0; i < PAGES; i++) {
		CHECK_EQUAL(page_ranges_have(list, i * PAGE), map[i]);
		CHECK_EQUAL(page_ranges_have(list, (i + 1) * PAGE - 1), map[i]);
		size += map[i] ? PAGE : 0;
	}
	CHECK_EQUAL(page_ranges_size(list), size);
	for (size_t i = 1; i < list->count; i++)
		CHECK(list->ranges[i].start > list->ranges[i - 1].end);
}

static void joins_what_touches(void)
{
	struct page_ranges list = { 0 };

	CHECK(!page_ranges_have(&list, 0));
	CHECK(page_ranges_add(&list, PAGE, PAGE));
	CHECK_EQUAL(list.count, 0);
	CHECK(page_ranges_add(&list, PAGE, 3 * PAGE));
	CHECK(page_ranges_add(&list, 3 * PAGE, 4 * PAGE));
	CHECK(page_ranges_add(&list, 2 * PAGE, 3 * PAGE));
	CHECK_EQUAL(list.count, 1);
	CHECK_EQUAL(page_ranges_size(&list), 3 * PAGE);
	page_ranges_release(&list);
}

static void subtracts(void)
{
	srand(7);
	for (int round = 0; round < ROUNDS; round++) {
		struct page_ranges all = { 0 }, some = { 0 }, rest = { 0 };
		bool of_all[PAGES], of_some[PAGES];
		make(of_all, &all);
		make(of_some, &some);
		check(&all, of_all);
		CHECK(page_ranges_subtract(&all, &some, &rest));
		for (size_t i = 0; i < PAGES; i++)
			of_all[i] &= !of_some[i];
		check(&rest, of_all);
		page_ranges_release(&all);
		page_ranges_release(&some);
		page_ranges_release(&rest);
	}
}

TAP_MAIN(TEST(joins_what_touches), TEST(subtracts))
