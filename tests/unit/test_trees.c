/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Xarrays, maple trees and red-black trees, whole, damaged and hostile: an end to all, and nothing twice. */
#include "kernel/maple.h"
#include "kernel/rbtree.h"
#include "kernel/xarray.h"
#include "test_kernel.h"

#define TREE  (MADE_BASE + 0x100000) /* the struct that a tree hangs on */
#define NODES (MADE_BASE + 0x110000)
#define LEAF  (MADE_BASE + 0x600000) /* what entries point at */

static const char layout[] =
	"struct xarray 16 xa_head u64@8\n"
	"struct xa_node 576 shift u8@0 offset u8@1 parent u64@8 slots u64[64]@40\n"
	"struct maple_tree 16 ma_root u64@8\n"
	"struct maple_range_64 256 parent u64@0 pivot u64[15]@8 slot u64[16]@128\n"
	"struct maple_arange_64 256 parent u64@0 pivot u64[9]@8 slot u64[10]@80\n"
	"struct rb_node 24 __rb_parent_color u64@0 rb_right u64@8 rb_left u64@16\n";

/* What a walk gave. */
struct given {
	struct {
		uint64_t first, last, value;
		bool is_value, is_lost;
	} entries[4096];
	size_t count;
	uint64_t bytes_lost;
};

#define CHECK_GIVEN(given_, i_, first_, last_, value_)              \
	do {                                                        \
		CHECK((given_)->count > (i_));                      \
		CHECK_EQUAL((given_)->entries[i_].first, (first_)); \
		CHECK_EQUAL((given_)->entries[i_].last, (last_));   \
		CHECK_EQUAL((given_)->entries[i_].value, (value_)); \
	} while (0)

/* --- xarrays */

static uint64_t node(unsigned i)
{
	return NODES + 0x400 * i;
}

static void put_node(struct made *made, unsigned i, unsigned shift, uint64_t parent,
		     unsigned offset)
{
	made_set(made, node(i), "xa_node", "shift", shift);
	made_set(made, node(i), "xa_node", "offset", offset);
	made_set(made, node(i), "xa_node", "parent", parent);
}

static void put_slot(struct made *made, unsigned i, unsigned slot, uint64_t value)
{
	made_set_element(made, node(i), "xa_node", "slots", slot, value);
}

static uint64_t pointer(unsigned i)
{
	return LEAF + 8 * i;
}

/*
 * The root has 64 slots of 64: slot 0 leads to node 1, whose slots 3 and 63 are taken, slot 2 to node 2, with
 * an integer and a folio of four.
 */
static void make_xarray(struct made *made)
{
	made_open(made, layout);
	made_set(made, TREE, "xarray", "xa_head", node(0) | 2);
	put_node(made, 0, 6, 0, 0);
	put_node(made, 1, 0, node(0), 0);
	put_node(made, 2, 0, node(0), 2);
	put_slot(made, 0, 0, node(1) | 2);
	put_slot(made, 0, 2, node(2) | 2);
	put_slot(made, 1, 3, pointer(0));
	put_slot(made, 1, 63, pointer(1));
	put_slot(made, 2, 0, 77 << 1 | 1);
	put_slot(made, 2, 4, pointer(2));
	for (unsigned i = 5; i < 8; i++)
		put_slot(made, 2, i, 4 << 2 | 2);
}

static enum kioku_status take_entry(void *user, const struct xarray_entry *entry)
{
	struct given *given = user;

	CHECK(given->count < 4096 && entry->count > 0);
	given->entries[given->count].first = entry->index;
	given->entries[given->count].last = entry->index + (entry->count - 1);
	given->entries[given->count].value = entry->value;
	given->entries[given->count].is_lost = entry->is_lost;
	given->entries[given->count++].is_value = entry->is_value;
	return KIOKU_OK;
}

static struct given *walk_xarray(struct made *made, uint64_t first, uint64_t last)
{
	static struct given given;

	given.count = 0;
	made->gaps = 0;
	CHECK_EQUAL(xarray_each_or_lost(&made->kernel, TREE, first, last, "tree", take_entry,
					&given, NULL),
		    KIOKU_OK);
	for (size_t i = 0; i < given.count; i++) {
		CHECK(given.entries[i].first <= given.entries[i].last);
		CHECK(given.entries[i].first <= last && given.entries[i].last >= first);
		for (size_t n = 0; n < i; n++)
			CHECK(given.entries[i].is_lost || given.entries[n].is_lost ||
			      given.entries[n].last < given.entries[i].first);
	}
	return &given;
}

static void walks_xarrays(void)
{
	struct made made;
	struct xarray_entry entry;

	make_xarray(&made);
	struct given *given = walk_xarray(&made, 0, UINT64_MAX);
	CHECK_EQUAL(given->count, 4);
	CHECK_EQUAL(made.gaps, 0);
	CHECK_GIVEN(given, 0, 3, 3, pointer(0));
	CHECK_GIVEN(given, 1, 63, 63, pointer(1));
	CHECK_GIVEN(given, 2, 128, 128, 77);
	CHECK(given->entries[2].is_value && !given->entries[3].is_value);
	CHECK_GIVEN(given, 3, 132, 135, pointer(2));
	CHECK_EQUAL(walk_xarray(&made, 4, 62)->count, 0);
	CHECK_EQUAL(walk_xarray(&made, 63, 134)->count, 3);
	CHECK_EQUAL(xarray_find(&made.kernel, TREE, 134, &entry, NULL), KIOKU_OK);
	CHECK(entry.index == 132 && entry.count == 4 && entry.value == pointer(2));
	CHECK_EQUAL(xarray_find(&made.kernel, TREE, 131, &entry, NULL), KIOKU_ERROR_NOT_FOUND);
	/* One entry, at index 0, needs no node; reserved entries are none. */
	made_set(&made, TREE, "xarray", "xa_head", pointer(5));
	given = walk_xarray(&made, 0, UINT64_MAX);
	CHECK_EQUAL(given->count, 1);
	CHECK_GIVEN(given, 0, 0, 0, pointer(5));
	for (uint64_t reserved = 2; reserved <= 4094; reserved += 4) {
		made_set(&made, TREE, "xarray", "xa_head", reserved);
		CHECK_EQUAL(walk_xarray(&made, 0, UINT64_MAX)->count, 0);
	}
	CHECK_EQUAL(made.gaps, 0);
	made_close(&made);
}

/* What one wrong member of node 2 costs: that node's slots, which are said to be lost, and nothing else. */
static void loses_what_is_below_damage(void)
{
	static const struct {
		const char *member;
		uint64_t value;
	} wounds[] = {
		{ "parent", 0 },  { "parent", NODES + 0x400 },
		{ "shift", 6 },   { "shift", 1 },
		{ "shift", 255 }, { "offset", 3 },
	};

	for (size_t i = 0; i < sizeof(wounds) / sizeof(*wounds); i++) {
		struct made made;
		make_xarray(&made);
		made_set(&made, node(2), "xa_node", wounds[i].member, wounds[i].value);
		struct given *given = walk_xarray(&made, 0, UINT64_MAX);
		CHECK_EQUAL(given->count, 3);
		CHECK_EQUAL(made.gaps, 1);
		CHECK(given->entries[2].is_lost);
		CHECK_GIVEN(given, 2, 128, 191, 0);
		struct xarray_entry entry;
		CHECK_EQUAL(xarray_find(&made.kernel, TREE, 132, &entry, NULL),
			    KIOKU_ERROR_CORRUPT);
		CHECK_EQUAL(xarray_find(&made.kernel, TREE, 3, &entry, NULL), KIOKU_OK);
		made_close(&made);
	}
}

static void ends_circles_of_xarrays(void)
{
	struct made made;

	make_xarray(&made);
	/* The same node in two places, itself, the root, and a node where only leaves are. */
	put_slot(&made, 0, 1, node(1) | 2);
	CHECK_EQUAL(walk_xarray(&made, 0, UINT64_MAX)->count, 5);
	CHECK_EQUAL(made.gaps, 1);
	put_slot(&made, 0, 1, node(0) | 2);
	CHECK_EQUAL(walk_xarray(&made, 0, UINT64_MAX)->count, 5);
	CHECK_EQUAL(made.gaps, 1);
	put_slot(&made, 0, 1, 0);
	put_slot(&made, 1, 5, node(1) | 2);
	CHECK_EQUAL(walk_xarray(&made, 0, UINT64_MAX)->count, 5);
	CHECK_EQUAL(made.gaps, 1);
	put_slot(&made, 1, 5, 0x1000 | 8 << 12);
	CHECK_EQUAL(walk_xarray(&made, 0, UINT64_MAX)->count, 5);
	CHECK_EQUAL(made.gaps, 1);
	made_close(&made);
}

/* A root may say that it is of any height: nothing may come twice, or before what came. */
static void bounds_absurd_heights(void)
{
	static const unsigned shifts[] = { 54, 7, 53, 60, 63, 66, 252, 255 };

	for (size_t i = 0; i < sizeof(shifts) / sizeof(*shifts); i++) {
		struct made made;
		made_open(&made, layout);
		made_set(&made, TREE, "xarray", "xa_head", node(0) | 2);
		put_node(&made, 0, shifts[i], 0, 0);
		for (unsigned slot = 0; slot < 64; slot++)
			put_slot(&made, 0, slot, pointer(slot));
		struct given *given = walk_xarray(&made, 0, UINT64_MAX);
		bool is_one = shifts[i] == 54;
		CHECK_EQUAL(made.gaps > 0, shifts[i] != 54);
		for (size_t n = 0; n < given->count; n++)
			CHECK(is_one || given->entries[n].is_lost);
		made_close(&made);
	}
}

/* --- maple trees */

enum { LEAF_64 = 1, RANGE_64, ARANGE_64 };

static uint64_t maple_node(unsigned i)
{
	return NODES + 0x100 * i;
}

static uint64_t encoded(unsigned i, unsigned kind)
{
	return maple_node(i) | kind << 3 | 4;
}

static const char *maple_type(unsigned kind)
{
	return kind == ARANGE_64 ? "maple_arange_64" : "maple_range_64";
}

static void put_range(struct made *made, unsigned i, unsigned kind, unsigned slot, uint64_t last,
		      uint64_t value)
{
	if (slot < (kind == ARANGE_64 ? 9 : 15))
		made_set_element(made, maple_node(i), maple_type(kind), "pivot", slot, last);
	made_set_element(made, maple_node(i), maple_type(kind), "slot", slot, value);
}

/* A root of two leaves: [0, 0xffff] has [0x1000, 0x1fff], the rest [0x10000, 0x2ffff]. */
static void make_maple(struct made *made)
{
	made_open(made, layout);
	made_set(made, TREE, "maple_tree", "ma_root", maple_node(0) | ARANGE_64 << 3 | 2);
	made_set(made, maple_node(0), "maple_arange_64", "parent", TREE | 1);
	put_range(made, 0, ARANGE_64, 0, 0xffff, encoded(1, LEAF_64));
	put_range(made, 0, ARANGE_64, 1, UINT64_MAX, encoded(2, LEAF_64));
	made_set(made, maple_node(1), "maple_range_64", "parent", maple_node(0) | 6);
	made_set(made, maple_node(2), "maple_range_64", "parent", maple_node(0) | 6 | 1 << 3);
	put_range(made, 1, LEAF_64, 0, 0xfff, 0);
	put_range(made, 1, LEAF_64, 1, 0x1fff, pointer(1));
	put_range(made, 1, LEAF_64, 2, 0xffff, 0);
	put_range(made, 2, LEAF_64, 0, 0x2ffff, pointer(2));
	made_set(made, maple_node(3), "maple_range_64", "parent", maple_node(1));
	put_range(made, 3, LEAF_64, 0, UINT64_MAX, pointer(3)); /* in no tree */
	put_range(made, 2, LEAF_64, 1, 0, 0);                   /* a pivot of 0: nothing follows */
}

static enum kioku_status take_range(void *user, uint64_t first, uint64_t last, uint64_t value)
{
	struct given *given = user;

	CHECK(given->count < 4096 && first <= last);
	CHECK(given->count == 0 || given->entries[given->count - 1].last < first);
	given->entries[given->count].first = first;
	given->entries[given->count].last = last;
	given->entries[given->count++].value = value;
	return KIOKU_OK;
}

static struct given *walk_maple(struct made *made)
{
	static struct given given;

	given.count = 0;
	made->gaps = 0;
	CHECK_EQUAL(maple_each(&made->kernel, TREE, "tree", take_range, &given, NULL), KIOKU_OK);
	return &given;
}

static void walks_maple_trees(void)
{
	struct made made;

	make_maple(&made);
	CHECK(maple_is_known(&made.kernel));
	CHECK_EQUAL(maple_root_offset(&made.kernel), 8);
	struct given *given = walk_maple(&made);
	CHECK_EQUAL(given->count, 2);
	CHECK_EQUAL(made.gaps, 0);
	CHECK_GIVEN(given, 0, 0x1000, 0x1fff, pointer(1));
	CHECK_GIVEN(given, 1, 0x10000, 0x2ffff, pointer(2));
	/* All slots of a leaf, the last of which has no pivot. */
	for (unsigned i = 0; i < 16; i++)
		put_range(&made, 2, LEAF_64, i, 0x20000 + i, pointer(i));
	given = walk_maple(&made);
	CHECK_EQUAL(given->count, 17);
	CHECK_GIVEN(given, 16, 0x2000f, UINT64_MAX, pointer(15));
	CHECK_EQUAL(made.gaps, 0);
	/* One pointer needs no node. */
	made_set(&made, TREE, "maple_tree", "ma_root", pointer(3));
	given = walk_maple(&made);
	CHECK_EQUAL(given->count, 1);
	CHECK_GIVEN(given, 0, 0, 0, pointer(3));
	made_set(&made, TREE, "maple_tree", "ma_root", 0);
	CHECK_EQUAL(walk_maple(&made)->count, 0);
	CHECK_EQUAL(made.gaps, 0);
	made_close(&made);
}

static void survives_damaged_maple_trees(void)
{
	static const struct {
		unsigned slot; /* of the root */
		uint64_t value;
	} wrong[] = {
		{ 1, 0 },
		{ 1, 1 },
		{ 1, NODES | 15 << 3 },                /* a kind that there is not */
		{ 1, NODES | ARANGE_64 << 3 },         /* itself */
		{ 1, (NODES + 0x100) | LEAF_64 << 3 }, /* met before */
		{ 1, (NODES + 0x300) | LEAF_64 << 3 }, /* another's, or nobody's */
		{ 1, (MADE_BASE + (1ull << 40)) | LEAF_64 << 3 },
		{ 1, 0x7fff00000000 | LEAF_64 << 3 },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct made made;
		make_maple(&made);
		put_range(&made, 0, ARANGE_64, wrong[i].slot, UINT64_MAX, wrong[i].value);
		struct given *given = walk_maple(&made);
		CHECK_EQUAL(given->count, 1);
		CHECK_EQUAL(made.gaps, 1);
		CHECK_GIVEN(given, 0, 0x1000, 0x1fff, pointer(1));
		made_close(&made);
	}
}

static void wants_maple_ranges_in_order(void)
{
	struct made made;

	make_maple(&made);
	put_range(&made, 1, LEAF_64, 1, 0x10000, pointer(1)); /* behind the end of its node */
	CHECK_EQUAL(walk_maple(&made)->count, 1);
	CHECK_EQUAL(made.gaps, 1);
	put_range(&made, 1, LEAF_64, 1, 0x800, pointer(1)); /* before its start */
	CHECK_EQUAL(walk_maple(&made)->count, 1);
	CHECK_EQUAL(made.gaps, 1);
	put_range(&made, 1, LEAF_64, 1, 0x1fff, 12); /* no pointer */
	CHECK_EQUAL(walk_maple(&made)->count, 1);
	CHECK_EQUAL(made.gaps, 1);
	made_close(&made);
}

/* Each node leads to the next one, for all indexes, and each points back. */
static void bounds_deep_maple_trees(void)
{
	struct made made;

	make_maple(&made);
	for (unsigned i = 0; i < 1000; i++) {
		put_range(&made, i, RANGE_64, 0, UINT64_MAX, encoded(i + 1, RANGE_64));
		made_set(&made, maple_node(i), "maple_range_64", "parent",
			 i ? maple_node(i - 1) : TREE | 1);
	}
	made_set(&made, TREE, "maple_tree", "ma_root", maple_node(0) | RANGE_64 << 3 | 2);
	CHECK_EQUAL(walk_maple(&made)->count, 0);
	CHECK_EQUAL(made.gaps, 1);
	CHECK_SAYS(made.last, "too many nodes");
	made_close(&made);
}

/* --- red-black trees */

static uint64_t rb(unsigned i)
{
	return NODES + 0x20 * i;
}

static void put_rb(struct made *made, unsigned i, uint64_t parent, uint64_t left, uint64_t right)
{
	made_set(made, rb(i), "rb_node", "__rb_parent_color", parent | (i & 1));
	made_set(made, rb(i), "rb_node", "rb_left", left);
	made_set(made, rb(i), "rb_node", "rb_right", right);
}

/* Nodes 1 to 7 in their order, 4 on top. */
static void make_rbtree(struct made *made)
{
	made_open(made, layout);
	put_rb(made, 4, 0, rb(2), rb(6));
	put_rb(made, 2, rb(4), rb(1), rb(3));
	put_rb(made, 6, rb(4), rb(5), rb(7));
	put_rb(made, 1, rb(2), 0, 0);
	put_rb(made, 3, rb(2), 0, 0);
	put_rb(made, 5, rb(6), 0, 0);
	put_rb(made, 7, rb(6), 0, 0);
	put_rb(made, 9, rb(1), 0, 0); /* in no tree */
}

/* Nodes that came, as bits; in order and none twice. */
static unsigned walk_rb(struct made *made, uint64_t first)
{
	AUTO_RB_WALK struct rb_walk walk;
	unsigned seen = 0, last = 0;
	uint64_t at;

	made->gaps = 0;
	rb_begin(&walk, &made->kernel, first, "tree");
	while (rb_next(&walk, &at)) {
		unsigned i = (unsigned)((at - NODES) / 0x20);
		CHECK(at == rb(i) && i > last && i < 8);
		last = i;
		seen |= 1u << i;
	}
	return seen;
}

static void walks_red_black_trees(void)
{
	struct made made;

	make_rbtree(&made);
	CHECK_EQUAL(walk_rb(&made, rb(4)), 0xfe);
	CHECK_EQUAL(walk_rb(&made, 0), 0);
	CHECK_EQUAL(made.gaps, 0);
	made_close(&made);
}

static void survives_damaged_red_black_trees(void)
{
	static const struct {
		unsigned node;
		uint64_t left, right;
		unsigned expected;
	} wounds[] = {
		{ 6, 0, 0x1234, 0x5e },                   /* no pointer */
		{ 6, NODES + 0x80, 0, 0x5e },             /* its parent: a circle */
		{ 6, NODES + 0xc0, 0, 0x5e },             /* itself */
		{ 6, NODES + 0x40, 0, 0x5e },             /* a node that has another parent */
		{ 6, NODES + 0x120, 0, 0x5e },            /* of another tree */
		{ 6, NODES + 0xa4, 0, 0x5e },             /* between two words */
		{ 2, 0, MADE_BASE + (1ull << 40), 0xf4 }, /* not in the image */
	};

	for (size_t i = 0; i < sizeof(wounds) / sizeof(*wounds); i++) {
		struct made made;
		make_rbtree(&made);
		put_rb(&made, wounds[i].node, rb(4), wounds[i].left, wounds[i].right);
		CHECK_EQUAL(walk_rb(&made, rb(4)), wounds[i].expected);
		CHECK_EQUAL(made.gaps, 1);
		made_close(&made);
	}
}

static void bounds_high_red_black_trees(void)
{
	struct made made;
	AUTO_RB_WALK struct rb_walk walk;
	uint64_t at;
	unsigned count = 0;

	made_open(&made, layout);
	for (unsigned i = 1; i < 10000; i++)
		put_rb(&made, i, i == 1 ? 0 : rb(i - 1), rb(i + 1), 0);
	rb_begin(&walk, &made.kernel, rb(1), "tree");
	while (rb_next(&walk, &at))
		count++;
	CHECK_EQUAL(count, RB_HEIGHT);
	CHECK_EQUAL(made.gaps, 1);
	CHECK_SAYS(made.last, "does not end");
	made_close(&made);
}

TAP_MAIN(TEST(walks_xarrays), TEST(loses_what_is_below_damage), TEST(ends_circles_of_xarrays),
	 TEST(bounds_absurd_heights), TEST(walks_maple_trees), TEST(survives_damaged_maple_trees),
	 TEST(wants_maple_ranges_in_order), TEST(bounds_deep_maple_trees),
	 TEST(walks_red_black_trees), TEST(survives_damaged_red_black_trees),
	 TEST(bounds_high_red_black_trees))
