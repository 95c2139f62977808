/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test_machine.h"

#define HIGH 0xffffffff81234000ull

static void translates_small_pages(void)
{
	const struct paging *forms[] = { &x86_64_4level, &x86_64_5level };

	for (size_t i = 0; i < 2; i++) {
		struct machine machine;
		struct kioku_translation out;
		machine_open(&machine, forms[i]);
		machine_map(&machine, HIGH, 0x123000 | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_NX);
		CHECK_EQUAL(kioku_translate(&machine.space, HIGH + 0x567, &out, NULL), KIOKU_OK);
		CHECK_EQUAL(out.physical, 0x123567);
		CHECK_EQUAL(out.page_size, 4096);
		CHECK_EQUAL(out.permissions, KIOKU_PERMISSION_READ | KIOKU_PERMISSION_WRITE);
		CHECK_EQUAL(out.step_count, forms[i]->level_count);
		CHECK(strcmp(out.steps[0].level, "PGD") == 0);
		CHECK_EQUAL(out.steps[0].entry_physical, MACHINE_ROOT + 511 * 8);
		machine_close(&machine);
	}
}

static void translates_large_pages(void)
{
	struct machine machine;
	struct kioku_translation out;

	machine_open(&machine, &x86_64_4level);
	/* The PAT bit of a large page, bit 12, is no part of its address. */
	machine_put(&machine, machine_entry(&machine, 0x40000000, 2),
		    0x200000 | 1 << 12 | ENTRY_PRESENT | ENTRY_LARGE | ENTRY_USER);
	machine_put(&machine, machine_entry(&machine, 0x8000000000, 1),
		    0x40000000ull | ENTRY_PRESENT | ENTRY_LARGE);
	CHECK_EQUAL(kioku_translate(&machine.space, 0x40012345, &out, NULL), KIOKU_OK);
	CHECK_EQUAL(out.physical, 0x212345);
	CHECK_EQUAL(out.page_size, 2u << 20);
	CHECK_EQUAL(out.permissions,
		    KIOKU_PERMISSION_READ | KIOKU_PERMISSION_EXECUTE | KIOKU_PERMISSION_USER);
	CHECK_EQUAL(kioku_translate(&machine.space, 0x8000000000ull + 0x3456789, &out, NULL),
		    KIOKU_OK);
	CHECK_EQUAL(out.physical, 0x43456789);
	CHECK_EQUAL(out.page_size, 1u << 30);
	machine_close(&machine);
}

static void refuses_what_is_not_mapped(void)
{
	struct machine machine;
	struct kioku_translation out;
	struct kioku_error error;

	machine_open(&machine, &x86_64_4level);
	CHECK_EQUAL(kioku_translate(&machine.space, 0x1000, &out, &error), KIOKU_ERROR_UNMAPPED);
	CHECK_EQUAL(out.step_count, 1);
	CHECK_SAYS(error.message, "its PGD is not present");
	CHECK_EQUAL(kioku_translate(&machine.space, 0x0000800000000000ull, &out, &error),
		    KIOKU_ERROR_UNMAPPED);
	CHECK_SAYS(error.message, "not a canonical address");
	/* A table outside the memory is not the same as a missing entry. */
	machine_put(&machine, machine_entry(&machine, 0x1000, 0), 0x7000000000 | ENTRY_PRESENT);
	CHECK_EQUAL(kioku_translate(&machine.space, 0x1000, &out, &error), KIOKU_ERROR_ABSENT);
	CHECK_EQUAL(out.step_count, 1);
	machine_close(&machine);
}

/* Bit 8 without bit 0: PROT_NONE. Kernels with the L1TF mitigation invert the frame. */
static void reads_prot_none(void)
{
	const uint64_t entries[] = { 0x300000 | 0x100,
				     (~0x300000ull & 0x000ffffffffff000ull) | 0x100 };

	for (size_t i = 0; i < 2; i++) {
		struct machine machine;
		struct kioku_translation out;
		machine_open(&machine, &x86_64_4level);
		machine_map(&machine, 0x5000, entries[i]);
		CHECK_EQUAL(kioku_translate(&machine.space, 0x5010, &out, NULL), KIOKU_OK);
		CHECK_EQUAL(out.physical, 0x300010);
		CHECK_EQUAL(out.permissions, 0);
		machine_close(&machine);
	}
}

/* A huge page that is being split keeps bit 7 alone, which is nothing in an entry of a page. */
static void reads_huge_pages_that_are_split(void)
{
	const uint64_t entries[] = { 0x200000 | 0x80,
				     (~0x200000ull & 0x000fffffffe00000ull) | 0x80 };

	for (size_t i = 0; i < 2; i++) {
		struct machine machine;
		struct kioku_translation out;
		machine_open(&machine, &x86_64_4level);
		machine_put(&machine, machine_entry(&machine, 0x400000, 2), entries[i]);
		CHECK_EQUAL(kioku_translate(&machine.space, 0x405010, &out, NULL), KIOKU_OK);
		CHECK_EQUAL(out.physical, 0x205010);
		machine_map(&machine, 0x601000, entries[i]);
		CHECK_EQUAL(kioku_translate(&machine.space, 0x601010, &out, NULL),
			    KIOKU_ERROR_UNMAPPED);
		machine_close(&machine);
	}
}

static void reads_across_pages(void)
{
	struct machine machine;
	uint8_t buffer[8192];
	struct kioku_error error;

	machine_open(&machine, &x86_64_5level);
	machine_map(&machine, HIGH, 0x200000 | ENTRY_PRESENT);
	machine_map(&machine, HIGH + 4096, 0x100000 | ENTRY_PRESENT);
	memset(machine.memory + 0x200000, 'a', 4096);
	memset(machine.memory + 0x100000, 'b', 4096);
	CHECK_EQUAL(kioku_address_space_read(&machine.space, HIGH + 4090, buffer, 12, NULL),
		    KIOKU_OK);
	CHECK(memcmp(buffer, "aaaaaabbbbbb", 12) == 0);
	CHECK_EQUAL(kioku_address_space_read(&machine.space, HIGH + 4096, buffer, 4097, &error),
		    KIOKU_ERROR_UNMAPPED);
	CHECK_EQUAL(error.address, HIGH + 8192);
	machine_close(&machine);
}

struct seen {
	struct mapping last;
	size_t count;
};

static enum kioku_status see(void *user, const struct mapping *mapping)
{
	struct seen *seen = user;

	CHECK(seen->count == 0 || mapping->virtual > seen->last.virtual);
	seen->last = *mapping;
	seen->count++;
	return KIOKU_OK;
}

static void walks_in_order(void)
{
	struct machine machine;
	struct seen seen = { 0 };
	struct address_walk walk = { .last = UINT64_MAX, .receive = see, .user = &seen };

	machine_open(&machine, &x86_64_5level);
	machine_map(&machine, 0x1000, 0x5000 | ENTRY_PRESENT);
	machine_map(&machine, HIGH, 0x6000 | ENTRY_PRESENT);
	machine_put(&machine, machine_entry(&machine, 0xff00000000000000ull, 0),
		    0x7000000000 | ENTRY_PRESENT);
	CHECK_EQUAL(address_space_walk(&machine.space, &walk), KIOKU_OK);
	CHECK_EQUAL(seen.count, 2);
	CHECK_EQUAL(seen.last.virtual, HIGH);
	CHECK_EQUAL(walk.losses.tables, 1);
	CHECK_EQUAL(walk.losses.first, 0xff00000000000000ull);
	seen.count = 0;
	walk.last = INT64_MAX;
	CHECK_EQUAL(address_space_walk(&machine.space, &walk), KIOKU_OK);
	CHECK_EQUAL(seen.count, 1);
	machine_close(&machine);
}

static enum kioku_status ignore(void *user, const struct mapping *mapping)
{
	return KIOKU_OK;
}

/* A root all of whose entries point at itself describes 2^36 pages, and more with 5 levels. */
static void cyclic_tables_end(void)
{
	struct machine machine;
	struct address_walk walk = { .last = UINT64_MAX, .receive = ignore };

	machine_open(&machine, &x86_64_5level);
	for (unsigned i = 0; i < 512; i++)
		machine_put(&machine, MACHINE_ROOT + 8 * i, MACHINE_ROOT | ENTRY_PRESENT);
	CHECK_EQUAL(address_space_walk(&machine.space, &walk), KIOKU_OK);
	CHECK(walk.losses.repeated > 0);
	machine_close(&machine);
}

TAP_MAIN(TEST(translates_small_pages), TEST(translates_large_pages),
	 TEST(refuses_what_is_not_mapped), TEST(reads_prot_none),
	 TEST(reads_huge_pages_that_are_split), TEST(reads_across_pages), TEST(walks_in_order),
	 TEST(cyclic_tables_end))
