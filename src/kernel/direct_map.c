/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The direct map starts at page_offset_base where that is a variable (since v4.8, with memory
 * randomisation); its truth is in the page tables, which map the kernel image a second time there.
 */
#include "kernel/direct_map.h"

#define GIB (1ull << 30)

/* Whether base + P maps P, for the image and for the page tables. */
static bool maps_physical(struct kioku_kernel *kernel, uint64_t base)
{
	const uint64_t probes[] = { kernel->image.physical, kernel->space.root };
	struct kioku_translation translation;

	for (size_t i = 0; i < sizeof(probes) / sizeof(*probes); i++)
		if (kioku_translate(&kernel->space, base + probes[i], &translation, NULL) !=
			    KIOKU_OK ||
		    translation.physical != probes[i])
			return false;
	return true;
}

struct search {
	struct kioku_kernel *kernel;
	uint64_t tried;
};

/* Bases are aligned to 1 GiB: whatever maps any page tells the base that it would belong to. */
static enum kioku_status try_mapping(void *user, const struct mapping *mapping)
{
	struct search *search = user;
	uint64_t base = mapping->virtual - mapping->physical;

	if (base == search->tried || base % GIB != 0)
		return KIOKU_OK;
	search->tried = base;
	if (!maps_physical(search->kernel, base))
		return KIOKU_OK;
	search->kernel->direct_map = base;
	return KIOKU_ERROR_STOPPED;
}

void direct_map_find(struct kioku_kernel *kernel)
{
	uint64_t variable = kernel_symbol(kernel, "page_offset_base");
	struct search search = { .kernel = kernel };
	struct address_walk below = { .first = 1ull << 63,
				      .last = KERNEL_MAP_START - 1,
				      .receive = try_mapping,
				      .user = &search };
	uint64_t base;

	if (variable && address_read_u64(&kernel->space, variable, &base, NULL) == KIOKU_OK &&
	    maps_physical(kernel, base)) {
		kernel->direct_map = base;
		kernel->direct_map_evidence = "page_offset_base, proved by page tables";
		return;
	}
	/* Everything below the image: the direct map comes first in the kernel's half. */
	address_space_walk(&kernel->space, &below);
	kernel->direct_map_evidence = "page tables";
}
