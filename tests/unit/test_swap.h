/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Swap areas of a kernel that a test makes: struct swap_info_struct, as in v6.1 and before v5.19. */
#ifndef TESTS_UNIT_TEST_SWAP_H
#define TESTS_UNIT_TEST_SWAP_H

#include "kernel/swap_area.h"
#include "test_kernel.h"

#define SWAP_INFO (MADE_BASE + 0x20000) /* the array swap_info */

static const char swap_layout_old[] =
	"struct swap_info_struct 128 flags u64@0 type char@12 max u32@16 pages u32@40 swap_map "
	"u64@24 cluster_info u64@32 bdev u64@48 swap_file u64@56\n"
	"enum pageflags PG_locked=0 PG_uptodate=2\n";

static const char swap_layout[] =
	"struct swap_info_struct 128 flags u64@0 type char@12 max u32@16 pages u32@40 swap_map "
	"u64@24 cluster_info u64@32 bdev u64@48 swap_file u64@56\n"
	"enum pageflags PG_locked=0 PG_uptodate=2 PG_anon_exclusive=17\n";

static inline void swap_open(struct made *made, const char *layout)
{
	made_open(made, layout);
	made_variable(made, "nr_swapfiles", 0);
	made_symbol(made, "swap_info", SWAP_INFO);
}

/* Where the struct of an area is. */
static inline uint64_t swap_area_at(unsigned number)
{
	return MADE_BASE + 0x21000 + 0x100 * number;
}

static inline uint64_t swap_map_at(unsigned number)
{
	return MADE_BASE + 0x100000 + 0x10000 * number;
}

/* An area of so many pages, the header included, none of them bad; before the kernel is asked. */
static inline void swap_area(struct made *made, unsigned number, uint64_t pages)
{
	uint64_t at = swap_area_at(number);

	made_put(made, SWAP_INFO + 8 * number, 8, at);
	made_set(made, at, "swap_info_struct", "flags", 3);
	made_set(made, at, "swap_info_struct", "type", number);
	made_set(made, at, "swap_info_struct", "max", pages);
	made_set(made, at, "swap_info_struct", "pages", pages - 1);
	made_set(made, at, "swap_info_struct", "swap_map", swap_map_at(number));
	if (load_le32(made_memory(made, MADE_VARIABLES)) <= number)
		made_put(made, MADE_VARIABLES, 4, number + 1);
}

#endif
