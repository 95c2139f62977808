/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What page table entries without a page say. Entries are made here as arch/x86/include/asm/pgtable_64.h makes
 * them, of both forms, and types are numbered as include/linux/swap.h does for each kernel's configuration.
 */
#include "test_swap.h"

enum {
	SOFT_DIRTY = 1 << 1,
	UFFD_WP = 1 << 2,
	EXCLUSIVE = 1 << 3,
	LARGE = 1 << 7,
	PROT_NONE_ = 1 << 8
};

/* __swp_entry() since the L1TF mitigation, and before. */
static uint64_t inverted(uint64_t swap_type, uint64_t offset)
{
	return ~offset << 14 >> 5 | swap_type << 59;
}

static uint64_t plain(uint64_t swap_type, uint64_t offset)
{
	return offset << 14 | swap_type << 9;
}

static void check_slot(struct made *made, uint64_t pte, uint32_t swap_type, uint64_t offset)
{
	struct swap_slot slot = { 77, 77 };

	CHECK_EQUAL(swap_decode(&made->kernel, pte, &slot, NULL), SWAP_ENTRY_SLOT);
	CHECK_EQUAL(slot.type, swap_type);
	CHECK_EQUAL(slot.offset, offset);
	CHECK_EQUAL(swap_decode(&made->kernel, pte, NULL, NULL), SWAP_ENTRY_SLOT);
}

static void decodes_slots_of_both_forms(void)
{
	static const struct {
		uint64_t (*make)(uint64_t, uint64_t);
		const char *symbol; /* NULL: what fits must tell */
	} forms[] = {
		{ inverted, "l1tf_mitigation" },
		{ inverted, "l1tf_vmx_mitigation" },
		{ inverted, NULL },
		{ plain, NULL },
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		struct made made;
		swap_open(&made, swap_layout);
		swap_area(&made, 0, 1000);
		swap_area(&made, 3, 1u << 30);
		if (forms[i].symbol)
			made_symbol(&made, forms[i].symbol, MADE_BASE);
		for (unsigned flags = 0; flags < 8; flags++) {
			check_slot(&made, forms[i].make(0, 1) | flags << 1, 0, 1);
			check_slot(&made, forms[i].make(0, 999) | flags << 1, 0, 999);
			check_slot(&made, forms[i].make(3, (1u << 30) - 1) | flags << 1, 3,
				   (1u << 30) - 1);
		}
		/* Behind the end is nothing, and slot 0 is the header: known only if the form is. */
		if (forms[i].symbol || forms[i].make == plain)
			CHECK_EQUAL(swap_decode(&made.kernel, forms[i].make(0, 1000), NULL, NULL),
				    SWAP_ENTRY_UNKNOWN);
		if (forms[i].symbol)
			CHECK_EQUAL(swap_decode(&made.kernel, inverted(0, 0), NULL, NULL),
				    SWAP_ENTRY_UNKNOWN);
		made_close(&made);
	}
}

static void leaves_present_pages_alone(void)
{
	struct made made;

	swap_open(&made, swap_layout);
	swap_area(&made, 0, 1000);
	made_symbol(&made, "l1tf_mitigation", MADE_BASE);
	CHECK_EQUAL(swap_decode(&made.kernel, 0, NULL, NULL), SWAP_ENTRY_NONE);
	CHECK_EQUAL(swap_decode(&made.kernel, inverted(0, 5) | ENTRY_PRESENT, NULL, NULL),
		    SWAP_ENTRY_NONE);
	/* PROT_NONE, as for NUMA hinting: mapped, with its frame inverted. */
	CHECK_EQUAL(swap_decode(&made.kernel, inverted(0, 5) | PROT_NONE_, NULL, NULL),
		    SWAP_ENTRY_NONE);
	/* A huge page that is being split: pmd_present() counts it as there, no swap entry has this bit. */
	CHECK_EQUAL(swap_decode(&made.kernel, inverted(0, 5) | LARGE, NULL, NULL),
		    SWAP_ENTRY_UNKNOWN);
	made_close(&made);
}

/* Symbols and members that say what a kernel has, and how its types are numbered then. */
static const struct configuration {
	const char *symbols[5];
	bool is_exclusive;
	int poison, migration, device, marker; /* first type, -1: none */
	unsigned migrations, devices;
} configurations[] = {
	/* 6.1 of Debian: 23 areas. */
	{ { "memory_failure", "migrate_pages", "migrate_vma_setup", "make_device_exclusive_range" },
	  true,
	  23,
	  24,
	  27,
	  31,
	  3,
	  4 },
	/* v6.15 on: one kind less of devices' pages. */
	{ { "memory_failure", "migrate_pages", "migrate_vma_setup", "make_device_exclusive" },
	  true,
	  24,
	  25,
	  28,
	  31,
	  3,
	  3 },
	/* v5.10. */
	{ { "memory_failure", "migrate_pages", "migrate_vma_setup" }, false, 27, 28, 30, -1, 2, 2 },
	/* v4.18, whose function had another name. */
	{ { "memory_failure", "migrate_pages", "migrate_vma" }, false, 27, 28, 30, -1, 2, 2 },
	{ { "migrate_pages" }, false, -1, 30, -1, -1, 2, 0 },
	{ { "memory_failure" }, true, 30, -1, -1, 31, 0, 0 },
	{ { NULL }, false, -1, -1, -1, -1, 0, 0 },
};

static enum swap_entry_kind expected_kind(const struct configuration *has, int swap_type)
{
	if (swap_type == has->poison)
		return SWAP_ENTRY_POISON;
	if (has->migration >= 0 && swap_type >= has->migration &&
	    swap_type < has->migration + (int)has->migrations)
		return SWAP_ENTRY_MIGRATION;
	if (has->device >= 0 && swap_type >= has->device &&
	    swap_type < has->device + (int)has->devices)
		return SWAP_ENTRY_DEVICE;
	return swap_type == has->marker ? SWAP_ENTRY_MARKER : SWAP_ENTRY_UNKNOWN;
}

static void tells_what_is_no_slot(void)
{
	for (size_t i = 0; i < sizeof(configurations) / sizeof(*configurations); i++) {
		const struct configuration *has = &configurations[i];
		struct made made;
		swap_open(&made, has->is_exclusive ? swap_layout : swap_layout_old);
		swap_area(&made, 0, 1000);
		made_symbol(&made, "l1tf_mitigation", MADE_BASE);
		for (size_t n = 0; n < 5 && has->symbols[n]; n++)
			made_symbol(&made, has->symbols[n], MADE_BASE);
		for (int swap_type = 1; swap_type < 32; swap_type++) {
			uint64_t physical = 77;
			enum swap_entry_kind kind = expected_kind(has, swap_type);
			CHECK_EQUAL(swap_decode(&made.kernel, inverted((unsigned)swap_type, 0x123),
						NULL, &physical),
				    kind);
			CHECK_EQUAL(physical, kind == SWAP_ENTRY_MIGRATION ? 0x123000 : 77);
		}
		made_close(&made);
	}
}

/* Whether a page was accessed and written is kept above its frame; of a huge one, the first is named. */
static void finds_frames_under_migration(void)
{
	struct made made;
	uint64_t physical;

	swap_open(&made, swap_layout);
	made_symbol(&made, "l1tf_mitigation", MADE_BASE);
	made_symbol(&made, "migrate_pages", MADE_BASE);
	for (unsigned bits = 34; bits <= 40; bits += 6) {
		for (uint64_t flags = 0; flags < 4; flags++) {
			uint64_t pte = inverted(28, flags << bits | 0x200);
			CHECK_EQUAL(swap_decode(&made.kernel, pte | SOFT_DIRTY, NULL, &physical),
				    SWAP_ENTRY_MIGRATION);
			CHECK_EQUAL(physical, 0x200000);
		}
	}
	/* A frame that the machine does not have. */
	CHECK_EQUAL(swap_decode(&made.kernel, inverted(28, MACHINE_SIZE / PAGE_SIZE), NULL, NULL),
		    SWAP_ENTRY_UNKNOWN);
	CHECK_EQUAL(swap_decode(&made.kernel, inverted(28, (1ull << 50) - 1), NULL, NULL),
		    SWAP_ENTRY_UNKNOWN);
	made_close(&made);
}

/* swp_to_radix_entry(), of v4.20 on and before. */
static void decodes_integers_of_tmpfs(void)
{
	struct made made;
	struct swap_slot slot;

	swap_open(&made, swap_layout);
	swap_area(&made, 2, 1000);
	slot = swap_slot_of_value(&made.kernel, 2ull << 58 | 0x55, 0);
	CHECK(slot.type == 2 && slot.offset == 0x55);
	slot = swap_slot_of_value(&made.kernel, 2ull << 58 | 0x40, 7);
	CHECK(slot.type == 2 && slot.offset == 0x47);
	slot = swap_slot_of_value(&made.kernel, 2ull << 57 | 0x40, 7);
	CHECK(slot.type == 2 && slot.offset == 0x47);
	/* Of neither: as it is now. */
	slot = swap_slot_of_value(&made.kernel, 9ull << 58 | 0x40, 0);
	CHECK(slot.type == 9 && slot.offset == 0x40);
	made_close(&made);
}

/* No entry may do harm, whatever the areas are. */
static void takes_any_entry(void)
{
	struct made made;
	uint64_t state = 1, physical;
	struct swap_slot slot;

	swap_open(&made, swap_layout);
	swap_area(&made, 0, UINT32_MAX);
	made_symbol(&made, "migrate_pages", MADE_BASE);
	for (unsigned i = 0; i < 20000; i++) {
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		uint64_t pte = state ^ state >> 29;
		enum swap_entry_kind kind = swap_decode(&made.kernel, pte, &slot, &physical);
		CHECK(!(pte & (ENTRY_PRESENT | PROT_NONE_)) || kind == SWAP_ENTRY_NONE);
		CHECK(kind != SWAP_ENTRY_MIGRATION || physical < MACHINE_SIZE);
		CHECK(kind != SWAP_ENTRY_SLOT || (slot.type == 0 && slot.offset > 0));
	}
	made_close(&made);
}

TAP_MAIN(TEST(decodes_slots_of_both_forms), TEST(leaves_present_pages_alone),
	 TEST(tells_what_is_no_slot), TEST(finds_frames_under_migration),
	 TEST(decodes_integers_of_tmpfs), TEST(takes_any_entry))
