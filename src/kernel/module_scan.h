/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Modules that nothing needs to lead to: their structures, in the memory where modules are. */
#ifndef KERNEL_MODULE_SCAN_H
#define KERNEL_MODULE_SCAN_H

#include "kernel/module.h"

/* MODULES_VADDR and MODULES_END, arch/x86/include/asm/pgtable_64_types.h. */
#define MODULES_FIRST (KERNEL_MAP_LAST + 1)
#define MODULES_LAST  0xfffffffffeffffffull

/*
 * Every struct module that is mapped there and lies in its own module's memory, by address. What is not in the
 * image is a gap. Errors: receive's, UNSUPPORTED, NO_MEMORY.
 */
enum kioku_status module_scan(struct kioku_kernel *kernel, module_fn *receive, void *user,
			      struct kioku_error *error);

/* Whether an address is in a module's memory. */
bool module_has(const struct module *module, uint64_t address);

#endif
