/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "address/address.h"
#include "source/source.h"

#define X86_PRESENT    (1ull << 0)
#define X86_WRITE      (1ull << 1)
#define X86_USER       (1ull << 2)
#define X86_LARGE      (1ull << 7) /* in a PUD or PMD entry */
#define X86_PROTNONE   (1ull << 8) /* Linux: not present to the CPU, but mapped with PROT_NONE */
#define X86_NO_EXECUTE (1ull << 63)
#define X86_ADDRESS    0x000ffffffffff000ull

/*
 * Kernels with the L1TF mitigation store the frame of a PROT_NONE page inverted
 * (arch/x86/include/asm/pgtable-invert.h, v4.19), others do not. Only one of the two readings lies
 * in the machine's memory.
 */
static uint64_t protnone_frame(const struct kioku_address_space *space, uint64_t entry,
			       uint64_t page_mask)
{
	uint64_t inverted = ~entry & X86_ADDRESS & page_mask;

	return source_has(space->source, inverted, PAGE_SIZE) ? inverted
							      : entry & X86_ADDRESS & page_mask;
}

static void decode(const struct kioku_address_space *space, const struct paging_level *level,
		   uint64_t entry, struct paging_entry *out)
{
	bool large = (level->shift == 21 || level->shift == 30) && (entry & X86_LARGE);
	uint64_t page_mask = ~((1ull << level->shift) - 1);

	*out = (struct paging_entry){ .leaf = large || level->shift == 12 };
	if (space->ignore_root_nx && level == space->paging->levels)
		entry &= ~X86_NO_EXECUTE;
	if (entry & X86_PRESENT) {
		out->present = true;
		out->physical = entry & X86_ADDRESS & ~space->ignored_bits;
		/* Bit 12 of a large page's entry is the PAT bit, not part of the address. */
		if (large)
			out->physical &= page_mask;
		out->permissions = KIOKU_PERMISSION_READ |
				   (entry & X86_WRITE ? KIOKU_PERMISSION_WRITE : 0) |
				   (entry & X86_NO_EXECUTE ? 0 : KIOKU_PERMISSION_EXECUTE) |
				   (entry & X86_USER ? KIOKU_PERMISSION_USER : 0);
	} else if (out->leaf && (entry & X86_PROTNONE || (large && level->shift == 21))) {
		/* A huge page that is being split is not present, but keeps its size: pmd_present(). */
		out->present = true;
		out->physical = protnone_frame(space, entry, page_mask);
		out->permissions = entry & X86_USER ? KIOKU_PERMISSION_USER : 0;
	}
}

const struct paging x86_64_4level = {
	.name = "x86-64 4-level",
	.level_count = 4,
	.virtual_bits = 48,
	.levels = { { "PGD", 39 }, { "PUD", 30 }, { "PMD", 21 }, { "PTE", 12 } },
	.decode = decode,
};

const struct paging x86_64_5level = {
	.name = "x86-64 5-level",
	.level_count = 5,
	.virtual_bits = 57,
	.levels = { { "PGD", 48 }, { "P4D", 39 }, { "PUD", 30 }, { "PMD", 21 }, { "PTE", 12 } },
	.decode = decode,
};
