/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Interrupts and their handlers in a made kernel: whole, damaged and hostile. */
#include "kernel/irq.h"
#include "test_kernel.h"

#define TREE    (MADE_BASE + 0x100000)
#define NODE    (MADE_BASE + 0x101000)
#define LINES   (MADE_BASE + 0x110000)
#define ACTIONS (MADE_BASE + 0x120000)
#define SOFT    (MADE_BASE + 0x130000)
#define NMIS    (MADE_BASE + 0x140000)
#define COUNTS  (MADE_BASE + 0x150000)
#define CHIP    (MADE_BASE + 0x160000)
#define CODE    0xffffffff81000000ull

static const char layout[] =
	"struct list_head 16 next u64@0 prev u64@8\n"
	"struct xarray 16 xa_head u64@8\n"
	"struct xa_node 576 shift u8@0 offset u8@1 parent u64@8 slots u64[64]@40\n"
	"struct cpumask 8 bits u64@0\n"
	"struct irq_common_data 40 state_use_accessors u32@0 affinity cpumask[1]@24\n"
	"struct irq_chip 64 name u64@0\n"
	"struct irq_data 56 irq u32@4 hwirq u64@8 common u64@16 chip u64@24 domain u64@32\n"
	"struct irq_desc 256 irq_common_data irq_common_data@0 irq_data irq_data@40 kstat_irqs "
	"u64@96 handle_irq u64@104 action u64@112 depth u32@128 name u64@136\n"
	"struct irqaction 128 handler u64@0 dev_id u64@8 next u64@24 thread_fn u64@32 thread "
	"u64@40 irq u32@56 name u64@80\n"
	"struct softirq_action 8 action u64@0\n"
	"struct kernel_stat 32 irqs_sum u64@0 softirqs u32[3]@8\n"
	"struct nmi_desc 32 lock u32@0 head list_head@8\n"
	"struct nmiaction 48 list list_head@0 handler u64@16 name u64@40\n";

struct given {
	struct interrupt lines[8];
	struct interrupt_handler handlers[8];
	size_t line_count, handler_count;
};

static enum kioku_status take_line(void *user, const struct interrupt *interrupt)
{
	struct given *given = user;

	CHECK(given->line_count < 8);
	given->lines[given->line_count++] = *interrupt;
	return KIOKU_OK;
}

static enum kioku_status take_handler(void *user, const struct interrupt_handler *handler)
{
	struct given *given = user;

	CHECK(given->handler_count < 8);
	given->handlers[given->handler_count++] = *handler;
	return KIOKU_OK;
}

static uint64_t line(unsigned number)
{
	return LINES + 0x100 * number;
}

static uint64_t action(unsigned i)
{
	return ACTIONS + 0x80 * i;
}

/* Lines 1 to 3; the second has two handlers. */
static void make(struct made *made)
{
	made_open(made, layout);
	made_symbol(made, "irq_desc_tree", TREE);
	made_set(made, TREE, "xarray", "xa_head", NODE | 2);
	for (unsigned i = 1; i <= 3; i++) {
		made_set_element(made, NODE, "xa_node", "slots", i, line(i));
		made_set(made, line(i), "irq_desc", "irq_data.irq", i);
		made_set(made, line(i), "irq_desc", "irq_data.hwirq", 100 + i);
		made_set(made, line(i), "irq_desc", "irq_data.common", line(i));
		made_set(made, line(i), "irq_desc", "irq_data.chip", CHIP);
		made_set(made, line(i), "irq_desc", "kstat_irqs", COUNTS + 4 * i);
		made_put(made, COUNTS + 4 * i, 4, 1000 + i);
	}
	made_set(made, line(3), "irq_common_data", "state_use_accessors", 1 << 13);
	made_put(made, line(3) + 24, 8, 0x8000000000000005);
	made_set(made, CHIP, "irq_chip", "name", CHIP + 0x40);
	made_text(made, CHIP + 0x40, "IO-APIC");
	made_set(made, line(2), "irq_desc", "action", action(0));
	for (unsigned i = 0; i < 2; i++) {
		made_set(made, action(i), "irqaction", "irq", 2);
		made_set(made, action(i), "irqaction", "handler", CODE + i);
		made_set(made, action(i), "irqaction", "next", i ? 0 : action(1));
	}
}

static size_t lines(struct made *made, struct given *given)
{
	given->line_count = 0;
	made->gaps = 0;
	CHECK_EQUAL(interrupt_each(&made->kernel, take_line, given, NULL), KIOKU_OK);
	return given->line_count;
}

static size_t handlers(struct made *made, const struct interrupt *of, struct given *given)
{
	given->handler_count = 0;
	made->gaps = 0;
	CHECK_EQUAL(interrupt_each_handler(&made->kernel, of, take_handler, given), KIOKU_OK);
	return given->handler_count;
}

static void lists_lines(void)
{
	char chip[INTERRUPT_NAME];
	struct given given;
	struct made made;
	uint8_t cpus[16];
	uint32_t count;

	make(&made);
	CHECK(lines(&made, &given) == 3 && made.gaps == 0);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(given.lines[i].number == i + 1 && given.lines[i].hardware == 101 + i);
		CHECK_EQUAL(given.lines[i].is_level, i == 2);
		CHECK_EQUAL(interrupt_count(&made.kernel, &given.lines[i], 0, &count), KIOKU_OK);
		CHECK_EQUAL(count, 1001 + i);
		CHECK_EQUAL(interrupt_chip(&made.kernel, &given.lines[i], chip), KIOKU_OK);
		CHECK(strcmp(chip, "IO-APIC") == 0);
		CHECK_EQUAL(handlers(&made, &given.lines[i], &given), i == 1 ? 2 : 0);
	}
	/* The mask of few CPUs is in the line itself; what is behind it is none of it. */
	CHECK_EQUAL(interrupt_cpus(&made.kernel, &given.lines[2], INTERRUPT_AFFINITY, cpus, 16),
		    KIOKU_OK);
	CHECK(cpus[0] == 5 && cpus[7] == 0x80 && cpus[8] == 0);
	CHECK_EQUAL(interrupt_cpus(&made.kernel, &given.lines[2], INTERRUPT_EFFECTIVE, cpus, 16),
		    KIOKU_ERROR_UNSUPPORTED);
	made_close(&made);
}

static void doubts_lines(void)
{
	struct given given;
	struct made made;

	make(&made);
	/* Another number than what led to it; what belongs to it elsewhere; nothing at all. */
	made_set(&made, line(1), "irq_desc", "irq_data.irq", 9);
	CHECK(lines(&made, &given) == 2 && made.gaps == 1);
	made_set(&made, line(2), "irq_desc", "irq_data.common", line(3));
	CHECK(lines(&made, &given) == 1 && made.gaps == 2);
	made_set_element(&made, NODE, "xa_node", "slots", 3, MADE_BASE + MACHINE_SIZE);
	CHECK(lines(&made, &given) == 0 && made.gaps == 3);
	made_close(&made);
}

static void doubts_handlers(void)
{
	static const uint64_t wild[] = { 0x1000, MADE_BASE + MACHINE_SIZE, 0xffffffffffffff00 };
	struct interrupt second;
	struct given given;
	struct made made;

	make(&made);
	lines(&made, &given);
	second = given.lines[1];
	CHECK(handlers(&made, &second, &given) == 2 && made.gaps == 0);
	CHECK(given.handlers[0].function == CODE && given.handlers[1].function == CODE + 1);
	made_set(&made, action(1), "irqaction", "next", action(0));
	CHECK(handlers(&made, &second, &given) == 2 && made.gaps == 1);
	made_set(&made, action(1), "irqaction", "irq", 3);
	CHECK(handlers(&made, &second, &given) == 1 && made.gaps == 1);
	for (size_t i = 0; i < sizeof(wild) / sizeof(*wild); i++) {
		made_set(&made, action(0), "irqaction", "next", wild[i]);
		CHECK(handlers(&made, &second, &given) == 1 && made.gaps == 1);
	}
	made_close(&made);
}

static enum kioku_status take_softirq(void *user, uint32_t number, const char *name,
				      const struct interrupt_handler *handler)
{
	CHECK(number == 1 ? name && strcmp(name, "TIMER") == 0 : !name);
	return take_handler(user, handler);
}

static enum kioku_status take_nmi(void *user, const char *kind,
				  const struct interrupt_handler *handler)
{
	CHECK(strcmp(kind, "unknown") == 0);
	return take_handler(user, handler);
}

static void lists_others(void)
{
	struct given given = { .handler_count = 0 };
	struct made made;

	make(&made);
	CHECK_EQUAL(softirq_each(&made.kernel, take_softirq, &given, NULL),
		    KIOKU_ERROR_UNSUPPORTED);
	CHECK_EQUAL(nmi_each(&made.kernel, take_nmi, &given, NULL), KIOKU_ERROR_UNSUPPORTED);
	made_symbol(&made, "softirq_vec", SOFT);
	made_symbol(&made, "softirq_to_name", SOFT + 0x100);
	made_put(&made, SOFT + 8, 8, CODE);
	made_put(&made, SOFT + 0x108, 8, SOFT + 0x200);
	made_text(&made, SOFT + 0x200, "TIMER");
	CHECK_EQUAL(softirq_each(&made.kernel, take_softirq, &given, NULL), KIOKU_OK);
	CHECK(given.handler_count == 3 && given.handlers[1].function == CODE);
	made_symbol(&made, "nmi_desc", NMIS);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t head = NMIS + 32 * i + 8;
		made_put(&made, head, 8, i == 1 ? NMIS + 0x200 : head);
		made_put(&made, head + 8, 8, i == 1 ? NMIS + 0x200 : head);
		if (i == 1) {
			made_put(&made, NMIS + 0x200, 8, head);
			made_put(&made, NMIS + 0x208, 8, head);
		}
	}
	made_set(&made, NMIS + 0x200, "nmiaction", "handler", CODE + 7);
	given.handler_count = made.gaps = 0;
	CHECK_EQUAL(nmi_each(&made.kernel, take_nmi, &given, NULL), KIOKU_OK);
	CHECK(given.handler_count == 1 && given.handlers[0].function == CODE + 7);
	CHECK_EQUAL(made.gaps, 0);
	made_close(&made);
}

TAP_MAIN(TEST(lists_lines), TEST(doubts_lines), TEST(doubts_handlers), TEST(lists_others))
