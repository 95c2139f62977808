/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What entries without a page say: include/linux/swap.h and swapops.h. */
#include "kernel/module_types.h"
#include "kernel/swap_area.h"

enum {
	TYPES = 1 << 5,  /* MAX_SWAPFILES_SHIFT; the greatest of them are no areas */
	TYPE_SHIFT = 58, /* BITS_PER_XA_VALUE less MAX_SWAPFILES_SHIFT */
};

static const uint64_t present = 1, large = 1 << 7, protnone = 1 << 8;

/*
 * Kernels with the L1TF mitigation (v4.19, and what it was carried back to) have the type in the highest bits,
 * and the offset inverted, from bit 9 on; before, the type in bits 9 to 13 and the offset above.
 */
static struct swap_slot decode_inverted(uint64_t pte)
{
	return (struct swap_slot){ (uint32_t)(pte >> 59), (~pte << 5) >> 14 };
}

static struct swap_slot decode_plain(uint64_t pte)
{
	return (struct swap_slot){ pte >> 9 & (TYPES - 1), pte >> 14 };
}

/*
 * Which of the greatest types mean what, counted down from the last one as far as this kernel has what needs
 * them: MAX_SWAPFILES is what is left.
 */
static void know_types(struct kioku_kernel *kernel, struct swap *swap)
{
	uint64_t value;
	/* Markers, and a third type of migration, came with pages that are known to be exclusive: v5.19. */
	bool is_exclusive = kernel->types && types_enum_value(kernel->types, "pageflags",
							      "PG_anon_exclusive", &value);

	swap->marker = is_exclusive ? 1 : 0;
	if (kernel_symbol(kernel, "make_device_exclusive_range"))
		swap->device_count = 4; /* since v5.14 */
	else if (kernel_symbol(kernel, "make_device_exclusive"))
		swap->device_count = 3; /* since v6.15 */
	else if (kernel_symbol(kernel, "migrate_vma_setup") || kernel_symbol(kernel, "migrate_vma"))
		swap->device_count = 2;
	if (kernel_symbol(kernel, "migrate_pages"))
		swap->migration_count = is_exclusive ? 3 : 2;
	swap->poison = kernel_symbol(kernel, "memory_failure") ? 1 : 0;

	unsigned first =
		TYPES - swap->marker - swap->device_count - swap->migration_count - swap->poison;
	swap->migration_first = first + swap->poison;
	swap->device_first = swap->migration_first + swap->migration_count;
}

static bool fits(struct swap *swap, struct swap_slot slot)
{
	return swap_area_of(swap, slot) != NULL;
}

static struct swap_slot decode(struct kioku_kernel *kernel, struct swap *swap, uint64_t pte)
{
	if (!swap->is_inverted_known) {
		swap->is_inverted_known = true;
		swap->is_inverted = kernel_symbol(kernel, "l1tf_mitigation") ||
				    kernel_symbol(kernel, "l1tf_vmx_mitigation");
		know_types(kernel, swap);
	}
	/* Without a symbol, what fits an area decides. */
	if (swap->is_inverted || fits(swap, decode_inverted(pte)))
		return decode_inverted(pte);
	return decode_plain(pte);
}

/*
 * Under migration, the offset is a frame, and above the frame's bits (MAX_PHYSMEM_BITS: 52 or 46) are two that
 * say whether it was accessed and written (v6.1).
 */
static bool find_frame(struct kioku_kernel *kernel, uint64_t offset, uint64_t *physical)
{
	static const unsigned bits[] = { 50, 40, 34 };

	for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
		*physical = (offset & ((UINT64_C(1) << bits[i]) - 1)) * PAGE_SIZE;
		if (offset < UINT64_C(1) << 52 && source_has(kernel->source, *physical, PAGE_SIZE))
			return true;
	}
	return false;
}

enum swap_entry_kind swap_decode(struct kioku_kernel *kernel, uint64_t pte, struct swap_slot *slot,
				 uint64_t *physical)
{
	struct swap *swap;
	uint64_t frame;

	if (pte == 0 || pte & (present | protnone))
		return SWAP_ENTRY_NONE;
	/* No swap entry has this bit, by which pmd_present() knows a huge page that is being split. */
	if (pte & large || swap_know(kernel, &swap, NULL) != KIOKU_OK)
		return SWAP_ENTRY_UNKNOWN;
	struct swap_slot found = decode(kernel, swap, pte);
	if (fits(swap, found)) {
		if (slot)
			*slot = found;
		return SWAP_ENTRY_SLOT;
	}
	unsigned type = found.type;
	if (type >= swap->migration_first && type - swap->migration_first < swap->migration_count) {
		if (!find_frame(kernel, found.offset, &frame))
			return SWAP_ENTRY_UNKNOWN;
		if (physical)
			*physical = frame;
		return SWAP_ENTRY_MIGRATION;
	}
	if (swap->poison && type + 1 == swap->migration_first)
		return SWAP_ENTRY_POISON;
	if (type >= swap->device_first && type - swap->device_first < swap->device_count)
		return SWAP_ENTRY_DEVICE;
	if (swap->marker && type == TYPES - 1)
		return SWAP_ENTRY_MARKER;
	return SWAP_ENTRY_UNKNOWN;
}

struct swap_slot swap_slot_of_value(struct kioku_kernel *kernel, uint64_t value, uint64_t index)
{
	struct swap *swap;
	struct swap_slot slot = { (uint32_t)(value >> TYPE_SHIFT) & (TYPES - 1),
				  (value & ((UINT64_C(1) << TYPE_SHIFT) - 1)) + index };

	/* Before v4.20 an integer in a radix tree had a bit less. */
	struct swap_slot old = { (uint32_t)(value >> (TYPE_SHIFT - 1)) & (TYPES - 1),
				 (value & ((UINT64_C(1) << (TYPE_SHIFT - 1)) - 1)) + index };
	if (swap_know(kernel, &swap, NULL) == KIOKU_OK && !fits(swap, slot) && fits(swap, old))
		return old;
	return slot;
}
