/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/page.h"

#include "source/source.h"

/* Where it is without randomisation: arch/x86/include/asm/pgtable_64_types.h. */
static const uint64_t usual_4level = 0xffffea0000000000, usual_5level = 0xffd4000000000000;

/* The array has an element for the kernel's own first page, and this one is mapped. */
static bool is_array(struct kioku_kernel *kernel, uint64_t start, uint64_t size)
{
	uint64_t page = start + kernel->image.physical / PAGE_SIZE * size;
	uint8_t bytes[8];

	return kernel_is_pointer(kernel, start) &&
	       kernel_read(kernel, page, bytes, sizeof(bytes), NULL) == KIOKU_OK;
}

static uint64_t find_array(struct kioku_kernel *kernel, uint64_t size)
{
	static const char *const variables[] = { "vmemmap_base", "mem_map" };
	uint64_t start,
		usual = kernel->space.paging == &x86_64_5level ? usual_5level : usual_4level;

	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++) {
		uint64_t variable = kernel_symbol(kernel, variables[i]);
		if (variable &&
		    address_read_u64(&kernel->space, variable, &start, NULL) == KIOKU_OK &&
		    is_array(kernel, start, size))
			return start;
	}
	return is_array(kernel, usual, size) ? usual : 0;
}

static enum kioku_status know(struct kioku_kernel *kernel, struct kioku_error *error)
{
	struct page_array *pages = &kernel->pages;
	uint32_t type;

	if (pages->is_known)
		return pages->start ? KIOKU_OK
				    : error_set(error, KIOKU_ERROR_UNSUPPORTED,
						"the kernel's array of struct page was not found");
	pages->is_known = true;
	if (kernel->types &&
	    kioku_types_find(kernel->types, "struct page", &type, NULL) == KIOKU_OK)
		pages->size = kioku_type_size(kernel->types, type);
	if (pages->size >= 32 && pages->size <= 256)
		pages->start = find_array(kernel, pages->size);
	return know(kernel, error);
}

enum kioku_status page_physical(struct kioku_kernel *kernel, uint64_t page, uint64_t *physical,
				struct kioku_error *error)
{
	TRY(know(kernel, error));
	uint64_t distance = page - kernel->pages.start;
	*physical = distance / kernel->pages.size * PAGE_SIZE;
	if (page < kernel->pages.start || distance % kernel->pages.size != 0 ||
	    *physical >= UINT64_C(1) << 52)
		return error_at(error, KIOKU_ERROR_CORRUPT, page, "0x%llx is no struct page",
				(unsigned long long)page);
	return KIOKU_OK;
}

enum kioku_status page_of_physical(struct kioku_kernel *kernel, uint64_t physical, uint64_t *page,
				   struct kioku_error *error)
{
	TRY(know(kernel, error));
	*page = kernel->pages.start + physical / PAGE_SIZE * kernel->pages.size;
	return KIOKU_OK;
}
