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

TAP_MAIN(TEST(walks_all), TEST(goes_round_damage), TEST(finds_what_was_jumped_over),
	 TEST(ends_circles), TEST(tells_two_wounds))
