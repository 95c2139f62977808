/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Page frames and the struct page that the kernel has for each. */
#ifndef KERNEL_PAGE_H
#define KERNEL_PAGE_H

#include "kernel/kernel.h"

/*
 * The physical address of the frame of a struct page (or struct folio). The kernel has all of them in one
 * array: vmemmap (arch/x86/include/asm/pgtable_64.h), or mem_map without CONFIG_SPARSEMEM.
 * Errors: CORRUPT (no struct page lies there), UNSUPPORTED (no types, or the array was not found).
 */
enum kioku_status page_physical(struct kioku_kernel *kernel, uint64_t page, uint64_t *physical,
				struct kioku_error *error);

/* The address of the struct page of a frame, which need not exist. Errors: UNSUPPORTED. */
enum kioku_status page_of_physical(struct kioku_kernel *kernel, uint64_t physical, uint64_t *page,
				   struct kioku_error *error);

#endif
