/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A module's own table of symbols: struct mod_kallsyms, include/linux/module.h, 4.18 to 7.2. */
#ifndef KERNEL_MODULE_SYMBOLS_H
#define KERNEL_MODULE_SYMBOLS_H

#include "kernel/module.h"

/* Addresses of arrays, of as many elements each. */
struct module_symbols {
	uint64_t symbols; /* Elf64_Sym */
	uint64_t strings; /* what names are offsets in, not of count elements */
	uint64_t types;   /* letters; 0: before v5.2, when st_info has them */
	uint32_t count;
};

/* Errors: CORRUPT (more symbols than any module has), UNSUPPORTED, UNMAPPED, ABSENT. */
enum kioku_status module_symbols_read(struct kioku_kernel *kernel, const struct module *module,
				      struct module_symbols *out);

#endif
