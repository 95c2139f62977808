/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Types of modules, which count on from those of the kernel: found by name, damaged, and hostile. */
#include "test_kernel.h"

#define HEAD    (MADE_BASE + 0x100000) /* btf_modules */
#define ENTRIES (MADE_BASE + 0x101000)
#define BTFS    (MADE_BASE + 0x102000)
#define DATA    (MADE_BASE + 0x200000)

static const char layout[] = "struct list_head 16 next u64@0 prev u64@8\n"
			     "struct btf_module 48 list list_head@0 module u64@16 btf u64@24\n"
			     "struct btf 256 data u64@0 data_size u32@64 name char[56]@100\n"
			     "struct shared 32 before u64@0 number u32@24\n"
			     "enum colour RED=7 BLUE=3\n";

static const char zram_layout[] = "struct zram 96 table u64@16 inner shared@32 disksize u64@80\n"
				  "enum zram_pageflags ZRAM_LOCK=13 ZRAM_SAME=14\n"
				  "struct shared 40 number u32@36\n";

static uint64_t entry(unsigned i)
{
	return ENTRIES + 0x40 * i;
}

static void link_entries(struct made *made, uint64_t from, uint64_t to)
{
	made_put(made, from, 8, to);
	made_put(made, to + 8, 8, from);
}

/* Entry i of the list: a module's BTF, which is in the kernel's memory. */
static void put_module(struct made *made, unsigned i, const char *name, const struct btf *btf)
{
	uint64_t at = BTFS + 0x100 * i, data = DATA + 0x10000 * i;
	size_t size;
	AUTO_FREE void *whole = assemble(btf, &size);

	memcpy(made_memory(made, data), whole, size);
	made_set(made, entry(i), "btf_module", "btf", at);
	made_set(made, at, "btf", "data", data);
	made_set(made, at, "btf", "data_size", size);
	made_text(made, at + 100, name);
}

/* Three modules, of which the second is zram. */
static void make_modules(struct made *made)
{
	struct btf zram = { 0 }, other = { 0 };

	made_open(made, layout);
	zram.base = other.base = &made->btf;
	btf_layout(&zram, zram_layout);
	btf_layout(&other, "struct other 8 only u64@0\n");
	put_module(made, 0, "zramble", &other);
	put_module(made, 1, "zram", &zram);
	put_module(made, 2, "other", &other);
	link_entries(made, HEAD, entry(0));
	link_entries(made, entry(0), entry(1));
	link_entries(made, entry(1), entry(2));
	link_entries(made, entry(2), HEAD);
	made_symbol(made, "btf_modules", HEAD);
	btf_release(&zram);
	btf_release(&other);
}

struct zram {
	uint64_t table, inner, disksize;
	uint32_t number;
};

static const struct member zram_members[] = {
	MEMBER(struct zram, table, "table"),
	MEMBER(struct zram, inner, "inner.before"),
	MEMBER(struct zram, number, "inner.number"),
	MEMBER(struct zram, disksize, "disksize"),
};
static const struct record zram_record = RECORD(struct zram, "zram", zram_members);

struct shared {
	uint32_t number;
};

static const struct member shared_members[] = { MEMBER(struct shared, number, "number") };
static const struct record shared_record = RECORD(struct shared, "shared", shared_members);

static void counts_on_from_the_kernels(void)
{
	struct made made;
	const struct kioku_types *types, *again;
	const struct binding *binding;
	uint64_t value;
	uint32_t id;

	make_modules(&made);
	CHECK_EQUAL(module_types(&made.kernel, "zram", &types, NULL), KIOKU_OK);
	CHECK_EQUAL(kioku_types_find(types, "struct zram", &id, NULL), KIOKU_OK);
	CHECK(id > made.btf.count && id <= kioku_types_count(types));
	CHECK_SAYS(kioku_type_name(types, id), "zram");
	CHECK_EQUAL(kioku_types_find(types, "struct other", &id, NULL), KIOKU_ERROR_NOT_FOUND);
	/* The kernel's own are there, too. */
	CHECK_EQUAL(kioku_types_find(types, "struct btf", &id, NULL), KIOKU_OK);
	CHECK(id <= made.btf.count);
	CHECK(types_enum_value(types, "colour", "BLUE", &value) && value == 3);
	CHECK(types_enum_value(types, "zram_pageflags", "ZRAM_SAME", &value) && value == 14);
	CHECK(!types_enum_value(types, "zram_pageflags", "ZRAM_WB", &value));
	CHECK(enum_least(types, "zram_pageflags", &value) && value == 13);
	CHECK(enum_least(types, "colour", &value) && value == 3);
	CHECK(!enum_least(types, "zram", &value));
	CHECK_EQUAL(module_types(&made.kernel, "zram", &again, NULL), KIOKU_OK);
	CHECK(again == types);

	CHECK_EQUAL(module_record_bind(&made.kernel, "zram", &zram_record, &binding, NULL),
		    KIOKU_OK);
	CHECK_EQUAL(BINDING_OFFSET(binding, struct zram, table), 16);
	/* A struct of the kernel in one of the module's. */
	CHECK_EQUAL(BINDING_OFFSET(binding, struct zram, number), 56);
	CHECK_EQUAL(BINDING_OFFSET(binding, struct zram, disksize), 80);
	/* What both have is the kernel's. */
	CHECK_EQUAL(module_record_bind(&made.kernel, "zram", &shared_record, &binding, NULL),
		    KIOKU_OK);
	CHECK_EQUAL(BINDING_OFFSET(binding, struct shared, number), 24);
	made_close(&made);
}

static void says_what_is_missing(void)
{
	struct made made;
	const struct kioku_types *types;
	const struct binding *binding;
	struct kioku_error error;

	make_modules(&made);
	CHECK_EQUAL(module_types(&made.kernel, "zra", &types, &error), KIOKU_ERROR_UNSUPPORTED);
	CHECK(!types);
	CHECK_SAYS(error.message, "the types of module zra: the kernel has no types of it");
	CHECK_EQUAL(module_record_bind(&made.kernel, "other", &zram_record, &binding, &error),
		    KIOKU_ERROR_UNSUPPORTED);
	CHECK_SAYS(error.message, "struct zram is not known");
	CHECK_EQUAL(made.gaps, 0);
	made_close(&made);

	made_open(&made, layout);
	CHECK_EQUAL(module_types(&made.kernel, "zram", &types, &error), KIOKU_ERROR_UNSUPPORTED);
	CHECK_SAYS(error.message, "keeps no types of modules");
	made_close(&made);
}

static void refuses_damaged_types(void)
{
	static const struct {
		const char *member;
		uint64_t value;
		const char *why;
	} wounds[] = {
		{ "data_size", 0, "BTF of 0 bytes" },
		{ "data_size", UINT32_MAX, "BTF of 4294967295 bytes" },
		{ "data_size", (64 << 20) + 1, "BTF of 67108865 bytes" },
		{ "data_size", 20, "no BTF header" },
		{ "data", DATA + 4, "no BTF header" },
		{ "data", 12, "" },
		{ "data", MADE_BASE + MACHINE_SIZE, "" },
	};

	for (size_t i = 0; i < sizeof(wounds) / sizeof(*wounds); i++) {
		struct made made;
		const struct kioku_types *types;
		struct kioku_error error;
		make_modules(&made);
		made_set(&made, BTFS + 0x100, "btf", wounds[i].member, wounds[i].value);
		CHECK_EQUAL(module_types(&made.kernel, "zram", &types, &error),
			    KIOKU_ERROR_UNSUPPORTED);
		CHECK_SAYS(error.message, wounds[i].why);
		/* The reason is kept, even when the damage is gone. */
		made_set(&made, BTFS + 0x100, "btf", "data", DATA + 0x10000);
		CHECK_EQUAL(module_types(&made.kernel, "zram", &types, &error),
			    KIOKU_ERROR_UNSUPPORTED);
		CHECK_SAYS(error.message, wounds[i].why);
		CHECK_EQUAL(module_types(&made.kernel, "other", &types, NULL), KIOKU_OK);
		made_close(&made);
	}
}

/* All numbers would mean others if some of the kernel's types were missing. */
static void needs_all_of_the_kernels_types(void)
{
	struct made made;
	const struct kioku_types *types;
	struct kioku_error error;

	make_modules(&made);
	struct btf flawed = made.btf;
	type(&flawed, 90, "", 0, false, 0);
	types_close(made.kernel.types);
	made.kernel.types = open_btf(&flawed);
	CHECK(made.kernel.types && types_flaw(made.kernel.types));
	CHECK_EQUAL(module_types(&made.kernel, "zram", &types, &error), KIOKU_ERROR_UNSUPPORTED);
	CHECK_SAYS(error.message, "not all there");
	made_close(&made);
}

static void ends_hostile_lists(void)
{
	struct made made;
	const struct kioku_types *types;

	make_modules(&made);
	made_put(&made, entry(0), 8, entry(0)); /* a circle before zram; the way back leads there */
	CHECK_EQUAL(module_types(&made.kernel, "zram", &types, NULL), KIOKU_OK);
	CHECK(made.gaps > 0);
	made_put(&made, entry(2) + 8, 8, entry(2));
	CHECK_EQUAL(module_types(&made.kernel, "nobody", &types, NULL), KIOKU_ERROR_UNSUPPORTED);
	made_close(&made);
}

/* Bytes of a module's BTF, any of them wrong: nothing may be read that is not there. */
static void takes_any_btf(void)
{
	struct made made;
	struct btf zram = { 0 };
	uint64_t state = 1;
	size_t size;

	made_open(&made, layout);
	zram.base = &made.btf;
	btf_layout(&zram, zram_layout);
	AUTO_FREE uint8_t *whole = assemble(&zram, &size);
	for (unsigned round = 0; round < 3000; round++) {
		struct kioku_types *types = NULL;
		struct kioku_member found;
		uint8_t *copy = malloc(size);
		uint64_t value;
		memcpy(copy, whole, size);
		for (unsigned i = 0; i < 3; i++) {
			state = state * 6364136223846793005ull + 1442695040888963407ull;
			copy[(state >> 33) % size] = (uint8_t)(state >> 56);
		}
		if (types_from_split_btf(made.kernel.types, copy, size, &types, NULL) != KIOKU_OK)
			continue;
		for (uint32_t id = 0; id <= kioku_types_count(types) + 1; id++) {
			char *text;
			(void)!kioku_type_member(types, id, "inner.number", &found, NULL);
			if (kioku_type_print(types, id, &text, NULL) == KIOKU_OK)
				free(text);
		}
		(void)enum_least(types, "zram_pageflags", &value);
		types_close(types);
	}
	btf_release(&zram);
	made_close(&made);
}

TAP_MAIN(TEST(counts_on_from_the_kernels), TEST(says_what_is_missing), TEST(refuses_damaged_types),
	 TEST(needs_all_of_the_kernels_types), TEST(ends_hostile_lists), TEST(takes_any_btf))
