/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What hooks functions, what BPF has loaded, symbols of modules: whole, damaged and hostile. */
#include "kernel/bpf.h"
#include "kernel/live_symbols.h"
#include "kernel/tracing.h"
#include "test_kernel.h"

#define OPERATIONS (MADE_BASE + 0x100000)
#define FILTER     (MADE_BASE + 0x110000)
#define ENTRIES    (MADE_BASE + 0x120000)
#define PROBES     (MADE_BASE + 0x130000)
#define OBJECTS    (MADE_BASE + 0x140000)
#define SYMBOLS    (MADE_BASE + 0x150000)
#define STRINGS    (MADE_BASE + 0x160000)

static const char layout[] =
	"struct list_head 16 next u64@0 prev u64@8\n"
	"struct hlist_node 16 next u64@0 pprev u64@8\n"
	"struct ftrace_ops 64 func u64@0 next u64@8 flags u64@16 func_hash u64@24\n"
	"struct ftrace_ops_hash 16 notrace_hash u64@0 filter_hash u64@8\n"
	"struct ftrace_hash 32 size_bits u64@0 buckets u64@8 count u64@16\n"
	"struct ftrace_func_entry 32 hlist hlist_node@0 ip u64@16\n"
	"struct kprobe 64 hlist hlist_node@0 list list_head@16 addr u64@32 pre_handler u64@40 "
	"flags u32@48\n"
	"struct kretprobe 72 handler u64@64\n"
	"struct xarray 16 xa_head u64@8\n"
	"struct xa_node 576 shift u8@0 offset u8@1 parent u64@8 slots u64[64]@40\n"
	"struct bpf_map 64 map_type u32@0 key_size u32@4 value_size u32@8 max_entries u32@12 id "
	"u32@16 "
	"name char[16]@20\n"
	"struct mod_kallsyms 32 symtab u64@0 num_symtab u32@8 strtab u64@16 typetab u64@24\n";

struct given {
	uint64_t values[8];
	size_t count;
};

static void take(struct given *given, uint64_t value)
{
	CHECK(given->count < 8);
	given->values[given->count++] = value;
}

/* --- ftrace */

static enum kioku_status take_function(void *user, uint64_t address)
{
	take(user, address);
	return KIOKU_OK;
}

static enum kioku_status take_tracer(void *user, const struct tracer *tracer)
{
	take(user, tracer->address);
	return KIOKU_OK;
}

static uint64_t operation(unsigned i)
{
	return OPERATIONS + 0x40 * i;
}

/* Two tracers; the filter of both has two functions, in one chain. */
static void make_tracers(struct made *made)
{
	made_open(made, layout);
	made_variable(made, "ftrace_ops_list", operation(0));
	made_symbol(made, "ftrace_list_end", operation(2));
	for (unsigned i = 0; i < 2; i++) {
		made_set(made, operation(i), "ftrace_ops", "next", operation(i + 1));
		made_set(made, operation(i), "ftrace_ops", "func_hash", FILTER);
	}
	made_set(made, FILTER, "ftrace_ops_hash", "filter_hash", FILTER + 0x40);
	made_set(made, FILTER + 0x40, "ftrace_hash", "size_bits", 1);
	made_set(made, FILTER + 0x40, "ftrace_hash", "buckets", FILTER + 0x80);
	made_set(made, FILTER + 0x40, "ftrace_hash", "count", 2);
	made_put(made, FILTER + 0x88, 8, ENTRIES);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t entry = ENTRIES + 0x40 * i;
		made_put(made, entry, 8, i ? 0 : entry + 0x40);
		made_put(made, entry + 8, 8, i ? ENTRIES : FILTER + 0x88);
		made_set(made, entry, "ftrace_func_entry", "ip", 0x1000 + i);
	}
}

static size_t tracers(struct made *made)
{
	struct given given = { .count = 0 };

	made->gaps = 0;
	CHECK_EQUAL(tracer_each(&made->kernel, take_tracer, &given, NULL), KIOKU_OK);
	return given.count;
}

static enum kioku_status functions(struct made *made, struct given *given)
{
	struct tracer tracer = { .filter = FILTER };

	*given = (struct given){ .count = 0 };
	return tracer_each_function(&made->kernel, &tracer, take_function, given);
}

static void lists_tracers(void)
{
	struct given given;
	struct made made;

	make_tracers(&made);
	CHECK(tracers(&made) == 2 && made.gaps == 0);
	CHECK_EQUAL(functions(&made, &given), KIOKU_OK);
	CHECK(given.count == 2 && given.values[0] == 0x1000 && given.values[1] == 0x1001);
	/* No filter: every function. */
	made_set(&made, FILTER + 0x40, "ftrace_hash", "count", 0);
	CHECK_EQUAL(functions(&made, &given), KIOKU_OK);
	CHECK(given.count == 1 && given.values[0] == 0);
	made_close(&made);
}

static void survives_tracers(void)
{
	struct given given;
	struct made made;

	make_tracers(&made);
	made_set(&made, operation(1), "ftrace_ops", "next", operation(0));
	CHECK(tracers(&made) == 2 && made.gaps == 1);
	made_set(&made, operation(1), "ftrace_ops", "next", 0x1234);
	CHECK(tracers(&made) == 2 && made.gaps == 1);
	/* One function fewer than the hash says, a chain in a circle, more buckets than there is memory. */
	made_set(&made, FILTER + 0x40, "ftrace_hash", "count", 3);
	CHECK_EQUAL(functions(&made, &given), KIOKU_ERROR_CORRUPT);
	made_put(&made, ENTRIES + 0x40, 8, ENTRIES);
	CHECK_EQUAL(functions(&made, &given), KIOKU_ERROR_CORRUPT);
	CHECK_EQUAL(given.count, 2);
	made_set(&made, FILTER + 0x40, "ftrace_hash", "size_bits", 63);
	CHECK_EQUAL(functions(&made, &given), KIOKU_ERROR_CORRUPT);
	CHECK_EQUAL(given.count, 0);
	made_close(&made);
}

/* --- probes */

static enum kioku_status take_probe(void *user, const struct probe *probe)
{
	take(user, probe->handler);
	return KIOKU_OK;
}

static uint64_t probe(unsigned i)
{
	return PROBES + 0x1000 + 0x80 * i;
}

static void chain(struct made *made, uint64_t from, uint64_t to)
{
	made_put(made, from, 8, to);
	made_put(made, to + 8, 8, from);
}

/* One of returns, alone; and one that stands for two more. */
static void make_probes(struct made *made)
{
	made_open(made, layout);
	made_symbol(made, "kprobe_table", PROBES);
	made_symbol(made, "pre_handler_kretprobe", 0xffffffff81000010);
	made_symbol(made, "aggr_pre_handler", 0xffffffff81000020);
	chain(made, PROBES, probe(0));
	chain(made, probe(0), probe(1));
	made_set(made, probe(0), "kprobe", "pre_handler", 0xffffffff81000010);
	made_set(made, probe(0), "kretprobe", "handler", 7);
	made_set(made, probe(1), "kprobe", "pre_handler", 0xffffffff81000020);
	made_set(made, probe(2), "kprobe", "pre_handler", 8);
	made_set(made, probe(3), "kprobe", "pre_handler", 9);
	for (unsigned i = 1; i <= 3; i++)
		chain(made, probe(i) + 16, probe(i == 3 ? 1 : i + 1) + 16);
}

static void probes(struct made *made, struct given *given)
{
	*given = (struct given){ .count = 0 };
	made->gaps = 0;
	CHECK_EQUAL(probe_each(&made->kernel, take_probe, given, NULL), KIOKU_OK);
}

static void lists_probes(void)
{
	struct given given;
	struct made made;

	make_probes(&made);
	probes(&made, &given);
	CHECK(given.count == 3 && made.gaps == 0);
	CHECK(given.values[0] == 7 && given.values[1] == 8 && given.values[2] == 9);
	/* Those that share a place lead in a circle that leaves out the one that stands for them. */
	made_put(&made, probe(3) + 16, 8, probe(2) + 16);
	probes(&made, &given);
	CHECK(given.count == 3 && made.gaps > 0);
	made_close(&made);
}

/* --- BPF */

static enum kioku_status take_object(void *user, const struct bpf_object *object)
{
	take(user, object->id);
	return KIOKU_OK;
}

/* Maps 1 to 3, in a node; the third says that it is another one. */
static void finds_maps_by_id(void)
{
	struct given given = { .count = 0 };
	struct made made;

	made_open(&made, layout);
	made_symbol(&made, "map_idr", OBJECTS);
	made_set(&made, OBJECTS, "xarray", "xa_head", (OBJECTS + 0x100) | 2);
	for (unsigned i = 1; i <= 3; i++) {
		uint64_t map = OBJECTS + 0x1000 + 0x40 * i;
		made_set_element(&made, OBJECTS + 0x100, "xa_node", "slots", i, map);
		made_set(&made, map, "bpf_map", "id", i == 3 ? 77 : i);
	}
	CHECK_EQUAL(bpf_each(&made.kernel, BPF_MAP, take_object, &given, NULL), KIOKU_OK);
	CHECK(given.count == 2 && given.values[0] == 1 && given.values[1] == 2);
	CHECK_EQUAL(made.gaps, 1);
	/* A kernel without links. */
	CHECK_EQUAL(bpf_each(&made.kernel, BPF_LINK, take_object, &given, NULL),
		    KIOKU_ERROR_UNSUPPORTED);
	made_close(&made);
}

/* --- symbols of modules */

static enum kioku_status take_symbol(void *user, const struct live_symbol *symbol)
{
	CHECK(strcmp(symbol->module, "made") == 0 && strcmp(symbol->name, "a_symbol") == 0);
	take(user, symbol->address);
	return KIOKU_OK;
}

static void lists_symbols(void)
{
	struct module module = { .name = "made", .symbols = SYMBOLS };
	struct given given = { .count = 0 };
	struct made made;

	made_open(&made, layout);
	made_set(&made, SYMBOLS, "mod_kallsyms", "symtab", SYMBOLS + 0x100);
	made_set(&made, SYMBOLS, "mod_kallsyms", "num_symtab", 2);
	made_set(&made, SYMBOLS, "mod_kallsyms", "strtab", STRINGS);
	made_set(&made, SYMBOLS, "mod_kallsyms", "typetab", SYMBOLS + 0x80);
	made_text(&made, STRINGS + 1, "a_symbol");
	/* The first is empty. */
	made_put(&made, SYMBOLS + 0x100 + 24, 4, 1);
	made_put(&made, SYMBOLS + 0x100 + 24 + 8, 8, 0x1234);
	made_text(&made, SYMBOLS + 0x80, "?t");
	CHECK_EQUAL(module_each_symbol(&made.kernel, &module, take_symbol, &given), KIOKU_OK);
	CHECK(given.count == 1 && given.values[0] == 0x1234);
	/* A letter that is none; more symbols than any module has; names that are nowhere. */
	made_text(&made, SYMBOLS + 0x80, "??");
	CHECK_EQUAL(module_each_symbol(&made.kernel, &module, take_symbol, &given),
		    KIOKU_ERROR_CORRUPT);
	made_set(&made, SYMBOLS, "mod_kallsyms", "num_symtab", UINT32_MAX);
	CHECK_EQUAL(module_each_symbol(&made.kernel, &module, take_symbol, &given),
		    KIOKU_ERROR_CORRUPT);
	made_set(&made, SYMBOLS, "mod_kallsyms", "num_symtab", 2);
	made_set(&made, SYMBOLS, "mod_kallsyms", "strtab", MADE_BASE + MACHINE_SIZE);
	CHECK(module_each_symbol(&made.kernel, &module, take_symbol, &given) != KIOKU_OK);
	CHECK_EQUAL(given.count, 1);
	made_close(&made);
}

TAP_MAIN(TEST(lists_tracers), TEST(survives_tracers), TEST(lists_probes), TEST(finds_maps_by_id),
	 TEST(lists_symbols))
