/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which ranges the kernel is told of, for which mappings. */
#include "snapshot/mapping_group.h"
#include "tap.h"

enum { COUNT = 1000 };

static struct mapping mappings[COUNT];
static struct mapping_list list = { .mappings = mappings };

/* What change() was called with, and the mapping for which it says no. */
static struct {
	uint64_t start, end;
} calls[2 * COUNT];
static size_t call_count, done_count, refused_count;
static const struct mapping *refused;
static uint64_t largest; /* the kernel takes no page above */

static void add(uint64_t start, uint64_t end)
{
	mappings[list.count++] = (struct mapping){ .start = start, .end = end, .permissions = 3 };
}

static void begin(void)
{
	list.count = call_count = done_count = refused_count = 0;
	refused = NULL;
	largest = UINT64_MAX;
}

static bool is_writable(const struct mapping *mapping)
{
	return mapping->permissions & 2;
}

static bool change(const struct userfault *userfault, uint64_t start, uint64_t end)
{
	calls[call_count].start = start;
	calls[call_count++].end = end;
	if (end > largest)
		return false;
	return !refused || refused->end <= start || refused->start >= end;
}

static void note(void *user, const struct mapping *mapping, bool changed)
{
	CHECK(user == &list);
	CHECK(mapping == &mappings[done_count++]);
	refused_count += !changed;
	CHECK(changed == (mapping != refused));
}

static size_t change_all(void)
{
	struct mapping_group group;
	size_t groups = 0;

	for (size_t next = 0; mapping_group_next(&list, next, is_writable, &group);
	     next = group.past, groups++)
		mapping_group_change(&group, NULL, change, note, &list);
	return groups;
}

/* Those that touch are in one call, which reaches into the middle of the holes around. */
static void covers_holes(void)
{
	begin();
	add(0x10000, 0x11000);
	add(0x20000, 0x24000);
	add(0x24000, 0x25000);
	add(0x27000, 0x28000);
	add(0x30000, 0x31000);
	mappings[0].permissions = mappings[4].permissions = 1;
	done_count = 1; /* the first is passed over */
	CHECK_EQUAL(change_all(), 1);
	CHECK_EQUAL(call_count, 1);
	CHECK_EQUAL(calls[0].start, 0x18000);
	CHECK_EQUAL(calls[0].end, 0x2c000);
	CHECK_EQUAL(done_count, 4);
}

/* The outermost ones end where they do: not in a hole that ends at the kernel. */
static void ends_at_the_kernel(void)
{
	begin();
	add(0x10000, 0x11000);
	add(0x20000, 0x21000);
	add(0xffffffffff600000, 0xffffffffff601000);
	CHECK_EQUAL(change_all(), 1);
	CHECK_EQUAL(calls[0].start, 0x10000);
	CHECK_EQUAL(calls[0].end, 0x21000);
	CHECK_EQUAL(done_count, 2);
}

/* One of many that cannot be changed keeps none of the others from it. */
static void bisects(void)
{
	for (size_t bad = 0; bad < 50; bad++) {
		begin();
		for (size_t i = 0; i < 50; i++)
			add(0x10000 + i * 0x4000, 0x12000 + i * 0x4000);
		refused = &mappings[bad];
		CHECK_EQUAL(change_all(), 1);
		CHECK_EQUAL(done_count, 50);
		CHECK_EQUAL(refused_count, 1);
		CHECK(call_count <= 14);
	}
}

/* What is only refused with holes is changed without. */
static void goes_without_holes(void)
{
	begin();
	add(0x10000, 0x12000);
	add(0x20000, 0x22000);
	mappings[1].permissions = 1;
	largest = 0x12000;
	CHECK_EQUAL(change_all(), 1);
	CHECK_EQUAL(call_count, 2);
	CHECK_EQUAL(calls[0].end, 0x19000);
	CHECK_EQUAL(calls[1].end, 0x12000);
}

/* Of very many, a call has some, up to a hole; but no end of those that touch. */
static void is_bounded(void)
{
	begin();
	for (size_t i = 0; i < COUNT; i++)
		add(0x10000 + i * 0x4000, 0x12000 + i * 0x4000);
	CHECK(change_all() >= COUNT / 64);
	CHECK_EQUAL(done_count, COUNT);
	for (size_t i = 1; i < call_count; i++)
		CHECK(calls[i].start == calls[i - 1].end);

	begin();
	for (size_t i = 0; i < COUNT; i++)
		add(0x10000 + i * 0x1000, 0x11000 + i * 0x1000);
	CHECK_EQUAL(change_all(), 2);
	CHECK_EQUAL(done_count, COUNT);
}

TAP_MAIN(TEST(covers_holes), TEST(ends_at_the_kernel), TEST(bisects), TEST(goes_without_holes),
	 TEST(is_bounded))
