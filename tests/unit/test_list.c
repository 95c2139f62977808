/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists whole, damaged and hostile: no node twice, an end to everything, and what can be saved is. */
#include "kernel/list.h"
#include "test_machine.h"

#define BASE  0xffff888000000000ull /* where the machine's memory is mapped */
#define NODES 0x400000u
#define COUNT 10u

static unsigned gaps;

static void count_gaps(void *user, enum kioku_severity severity, const char *message)
{
	gaps += severity == KIOKU_GAP;
}

static uint64_t node(unsigned i)
{
	return BASE + NODES + 0x100 * i;
}

static void link_nodes(struct machine *machine, unsigned from, unsigned to)
{
	machine_put(machine, node(from) - BASE, node(to));
	machine_put(machine, node(to) - BASE + 8, node(from));
}

/* Node 0 is the head of a list of COUNT nodes. */
static void make_list(struct machine *machine, struct kioku_kernel *kernel)
{
	machine_open(machine, &x86_64_4level);
	for (unsigned i = 0; i < MACHINE_SIZE >> 21; i++)
		machine_put(machine, machine_entry(machine, BASE + ((uint64_t)i << 21), 2),
			    (uint64_t)i << 21 | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_LARGE);
	for (unsigned i = 0; i <= COUNT; i++)
		link_nodes(machine, i, (i + 1) % (COUNT + 1));
	*kernel = (struct kioku_kernel){ .source = machine->source, .space = machine->space };
	kernel->diagnostics.function = count_gaps;
	gaps = 0;
}

/* Walks and says which nodes came, as bits; none may come twice. */
static unsigned walk(struct kioku_kernel *kernel)
{
	struct list_walk list;
	uint64_t at;
	unsigned seen = 0;

	list_begin(&list, kernel, node(0), "list");
	while (list_next(&list, &at)) {
		unsigned i = (unsigned)((at - node(0)) / 0x100);
		CHECK(at == node(i) && i > 0 && i <= 20);
		CHECK(!(seen & 1u << i));
		seen |= 1u << i;
	}
	list_end(&list);
	return seen;
}

#define ALL ((1u << (COUNT + 1)) - 2)

static void walks_all(void)
{
	struct machine machine;
	struct kioku_kernel kernel;

	make_list(&machine, &kernel);
	CHECK_EQUAL(walk(&kernel), ALL);
	CHECK_EQUAL(gaps, 0);
	link_nodes(&machine, 0, 0);
	CHECK_EQUAL(walk(&kernel), 0);
	CHECK_EQUAL(gaps, 0);
	machine_close(&machine);
}

static void goes_round_damage(void)
{
	const uint64_t wild[] = { 0, 1, 0xffffffffffffffffull, BASE + (1ull << 40), node(5) + 1 };

	for (size_t i = 0; i < sizeof(wild) / sizeof(*wild); i++) {
		struct machine machine;
		struct kioku_kernel kernel;
		make_list(&machine, &kernel);
		machine_put(&machine, node(5) - BASE, wild[i]);
		CHECK_EQUAL(walk(&kernel), ALL);
		CHECK(gaps > 0);
		machine_close(&machine);
	}
}

static void finds_what_was_jumped_over(void)
{
	struct machine machine;
	struct kioku_kernel kernel;

	make_list(&machine, &kernel);
	machine_put(&machine, node(3) - BASE, node(7));
	CHECK_EQUAL(walk(&kernel), ALL);
	CHECK(gaps > 0);
	machine_close(&machine);
}

static void ends_circles(void)
{
	struct machine machine;
	struct kioku_kernel kernel;

	make_list(&machine, &kernel);
	machine_put(&machine, node(8) - BASE, node(2));
	CHECK_EQUAL(walk(&kernel), ALL);
	CHECK(gaps > 0);
	/* The way back runs in a circle as well. */
	machine_put(&machine, node(9) - BASE + 8, node(10));
	unsigned seen = walk(&kernel);
	CHECK((seen & 0x1fe) == 0x1fe);
	machine_close(&machine);
}

static void tells_two_wounds(void)
{
	struct machine machine;
	struct kioku_kernel kernel;

	make_list(&machine, &kernel);
	machine_put(&machine, node(3) - BASE, 0);
	machine_put(&machine, node(7) - BASE + 8, 0);
	CHECK_EQUAL(walk(&kernel), ALL & ~(1u << 4 | 1u << 5 | 1u << 6));
	CHECK(gaps >= 2);
	machine_close(&machine);
}

/* --- lists that change while they are walked */

#define IDENTITY 0x80 /* in a node: what tells it from another one at its address */

struct change {
	struct machine *machine;
	unsigned at;                             /* fetching this node makes it happen, once */
	void (*happen)(struct machine *machine); /* NULL: it has */
};

/* The machine runs on just before a node is read. */
static void fetch(struct kioku_kernel *kernel, void *user, uint64_t at)
{
	struct change *change = user;

	if (change->happen && at == node(change->at)) {
		change->happen(change->machine);
		change->happen = NULL;
	}
}

static uint64_t identity(struct kioku_kernel *kernel, void *user, uint64_t at)
{
	struct change *change = user;

	return load_le64(change->machine->memory + (at - BASE) + IDENTITY);
}

/* Which nodes came, as bits, but for those of which it was said that they had left. */
static unsigned watch(struct machine *machine, struct kioku_kernel *kernel, unsigned at,
		      void (*happen)(struct machine *machine))
{
	struct change change = { machine, at, happen };
	const struct list_nodes nodes = { fetch, identity, &change };
	struct list_walk list;
	unsigned seen = 0, last = 0;
	uint64_t given;

	list_begin(&list, kernel, node(0), "list");
	list_watch(&list, &nodes);
	for (bool more = true; more;) {
		more = list_next(&list, &given);
		seen |= last && !list.has_left ? 1u << last : 0;
		last = more ? (unsigned)((given - node(0)) / 0x100) : 0;
		CHECK(last <= 20);
	}
	list_end(&list);
	CHECK(!change.happen);
	return seen;
}

/* As list_del_rcu(): what left still points at what was its successor. */
static void unlink_node(struct machine *machine, unsigned i, unsigned before, unsigned after)
{
	link_nodes(machine, before, after);
	machine_put(machine, node(i) - BASE + 8, 0xdead000000000122ull);
}

static void fourth_leaves(struct machine *machine)
{
	unlink_node(machine, 4, 3, 5);
}

static void three_leave(struct machine *machine)
{
	unlink_node(machine, 4, 3, 5);
	unlink_node(machine, 3, 2, 5);
	unlink_node(machine, 5, 2, 6);
}

/* Freed, and at once another one at the end of the list. */
static void fourth_is_another(struct machine *machine)
{
	link_nodes(machine, 3, 5);
	link_nodes(machine, COUNT, 4);
	link_nodes(machine, 4, 0);
	machine_put(machine, node(4) - BASE + IDENTITY, 77);
}

static void one_joins(struct machine *machine)
{
	link_nodes(machine, COUNT, 11);
	link_nodes(machine, 11, 0);
}

static void walks_what_changes(void)
{
	static const struct {
		unsigned at;
		void (*happen)(struct machine *machine);
		unsigned expected;
	} cases[] = {
		{ 5, fourth_leaves, ALL & ~(1u << 4) },
		{ 4, fourth_leaves, ALL & ~(1u << 4) },
		{ 5, three_leave, ALL & ~(1u << 4 | 1u << 5) }, /* 3 was confirmed before it left */
		{ 5, fourth_is_another, ALL },
		{ 3, one_joins, ALL | 1u << 11 },
		{ COUNT, one_joins, ALL | 1u << 11 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct machine machine;
		struct kioku_kernel kernel;
		make_list(&machine, &kernel);
		CHECK_EQUAL(watch(&machine, &kernel, cases[i].at, cases[i].happen),
			    cases[i].expected);
		CHECK_EQUAL(gaps, 0);
		machine_close(&machine);
	}
}

static void spoil(struct machine *machine)
{
	machine_put(machine, node(5) - BASE + 8, node(9));
}

/* What does not come right again is damage, as in any image. */
static void tells_change_from_damage(void)
{
	struct machine machine;
	struct kioku_kernel kernel;

	make_list(&machine, &kernel);
	CHECK_EQUAL(watch(&machine, &kernel, 2, spoil), ALL);
	CHECK(gaps > 0);
	machine_close(&machine);
}

TAP_MAIN(TEST(walks_all), TEST(goes_round_damage), TEST(finds_what_was_jumped_over),
	 TEST(ends_circles), TEST(tells_two_wounds), TEST(walks_what_changes),
	 TEST(tells_change_from_damage))
