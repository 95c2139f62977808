/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chains of hash tables, whole, damaged and hostile: an end to all, and nothing twice. */
#include "kernel/hash_chain.h"
#include "test_kernel.h"

#define HEADS (MADE_BASE + 0x100000)
#define NODES (MADE_BASE + 0x110000)
#define TABLE (MADE_BASE + 0x120000)

static const char layout[] =
	"struct rhashtable 16 tbl u64@0 nelems u32@8\n"
	"struct bucket_table 64 size u32@0 nest u32@4 future_tbl u64@48 buckets u64[0]@64\n";

struct given {
	uint64_t nodes[64];
	size_t count;
};

static enum kioku_status take(void *user, uint64_t node)
{
	struct given *given = user;

	for (size_t i = 0; i < given->count; i++)
		CHECK(given->nodes[i] != node);
	CHECK(given->count < 64);
	given->nodes[given->count++] = node;
	return KIOKU_OK;
}

static uint64_t node(unsigned i)
{
	return NODES + 0x40 * i;
}

/* from: whose first member leads to the node. */
static void link_node(struct made *made, uint64_t from, uint64_t to)
{
	made_put(made, from, 8, to);
	made_put(made, to + 8, 8, from);
}

/* Heads of 16 bytes: the first has two nodes, the second none, the third one with an odd number as its end. */
static void make_table(struct made *made)
{
	made_open(made, layout);
	link_node(made, HEADS, node(0));
	link_node(made, node(0), node(1));
	made_put(made, HEADS + 16, 8, 3);
	link_node(made, HEADS + 32, node(2));
	made_put(made, node(2), 8, 5);
}

static size_t walk(struct made *made, struct given *given)
{
	AUTO_HASH_WALK struct hash_walk walk = {
		.kernel = &made->kernel, .what = "chains", .receive = take, .user = given
	};

	given->count = 0;
	made->gaps = 0;
	CHECK_EQUAL(hash_table_walk(&walk, HEADS, 3, 16, 0), KIOKU_OK);
	return given->count;
}

static void walks_tables(void)
{
	struct given given;
	struct made made;

	make_table(&made);
	CHECK_EQUAL(walk(&made, &given), 3);
	CHECK_EQUAL(made.gaps, 0);
	CHECK(given.nodes[0] == node(0) && given.nodes[1] == node(1) && given.nodes[2] == node(2));
	made_close(&made);
}

static void wants_nodes_that_point_back(void)
{
	struct given given;
	struct made made;

	make_table(&made);
	made_put(&made, node(1) + 8, 8, node(5));
	CHECK_EQUAL(walk(&made, &given), 2);
	CHECK_EQUAL(made.gaps, 1);
	CHECK(strstr(made.last, "belongs elsewhere"));
	made_close(&made);
}

static void ends_circles(void)
{
	struct given given;
	struct made made;

	make_table(&made);
	link_node(&made, node(1), node(0));
	made_put(&made, node(0) + 8, 8, HEADS);
	CHECK_EQUAL(walk(&made, &given), 3);
	CHECK_EQUAL(made.gaps, 1);
	made_close(&made);
	/* Two heads with one chain: it is given once. */
	make_table(&made);
	made_put(&made, HEADS + 32, 8, node(0));
	CHECK_EQUAL(walk(&made, &given), 2);
	CHECK_EQUAL(made.gaps, 1);
	made_close(&made);
}

static void survives_wild_pointers(void)
{
	static const uint64_t wild[] = { 0x1000, MADE_BASE + MACHINE_SIZE, 0xffffffffffffff00,
					 0x8000000000000000 };
	struct given given;
	struct made made;

	for (size_t i = 0; i < sizeof(wild) / sizeof(*wild); i++) {
		make_table(&made);
		made_put(&made, node(0), 8, wild[i]);
		CHECK_EQUAL(walk(&made, &given), 2);
		CHECK_EQUAL(made.gaps, 1);
		made_close(&made);
	}
}

static void bounds_absurd_sizes(void)
{
	struct given given = { .count = 0 };
	struct made made;

	make_table(&made);
	struct hash_walk walk = {
		.kernel = &made.kernel, .what = "chains", .receive = take, .user = &given
	};
	CHECK_EQUAL(hash_table_walk(&walk, HEADS, UINT64_MAX, 16, 0), KIOKU_OK);
	CHECK_EQUAL(hash_table_walk(&walk, HEADS, 3, 0, 0), KIOKU_OK);
	CHECK(given.count == 0 && made.gaps == 2);
	hash_walk_release(&walk);
	made_close(&made);
}

/* Buckets: one that is locked with two nodes, whose end is an odd number, and one in the larger table. */
static void make_resizable(struct made *made)
{
	uint64_t next = TABLE + 0x1000;

	made_open(made, layout);
	made_set(made, TABLE, "rhashtable", "tbl", TABLE + 0x100);
	made_set(made, TABLE, "rhashtable", "nelems", 3);
	made_set(made, TABLE + 0x100, "bucket_table", "size", 2);
	made_set(made, TABLE + 0x100, "bucket_table", "future_tbl", next);
	made_put(made, TABLE + 0x140, 8, node(0) | 1);
	made_put(made, node(0), 8, node(1));
	made_put(made, node(1), 8, (TABLE + 0x140) | 1);
	made_set(made, next, "bucket_table", "size", 4);
	made_put(made, next + 64 + 8, 8, node(2));
	made_put(made, node(2), 8, (next + 64 + 8) | 1);
}

static size_t walk_resizable(struct made *made, struct given *given)
{
	AUTO_HASH_WALK struct hash_walk walk = {
		.kernel = &made->kernel, .what = "table", .receive = take, .user = given
	};

	given->count = 0;
	made->gaps = 0;
	CHECK_EQUAL(hash_resizable_walk(&walk, TABLE), KIOKU_OK);
	return given->count;
}

static void walks_resizable_tables(void)
{
	struct given given;
	struct made made;

	make_resizable(&made);
	CHECK_EQUAL(walk_resizable(&made, &given), 3);
	CHECK_EQUAL(made.gaps, 0);
	/* One is missing: it counts more than there are. */
	made_put(&made, node(0), 8, (TABLE + 0x140) | 1);
	CHECK_EQUAL(walk_resizable(&made, &given), 2);
	CHECK_EQUAL(made.gaps, 1);
	made_close(&made);
	make_resizable(&made);
	made_set(&made, TABLE + 0x100, "bucket_table", "nest", 1);
	CHECK_EQUAL(walk_resizable(&made, &given), 1);
	CHECK_EQUAL(made.gaps, 2);
	made_close(&made);
	/* A table that is filled by itself. */
	make_resizable(&made);
	made_set(&made, TABLE + 0x1000, "bucket_table", "future_tbl", TABLE + 0x1000);
	CHECK_EQUAL(walk_resizable(&made, &given), 3);
	CHECK(made.gaps > 0);
	made_close(&made);
}

TAP_MAIN(TEST(walks_tables), TEST(wants_nodes_that_point_back), TEST(ends_circles),
	 TEST(survives_wild_pointers), TEST(bounds_absurd_sizes), TEST(walks_resizable_tables))
