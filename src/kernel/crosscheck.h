/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Symbols and types describe the same functions: each is a check of the other. */
#ifndef KERNEL_CROSSCHECK_H
#define KERNEL_CROSSCHECK_H

#include "kernel/kernel.h"

/*
 * Whether the functions of the types have symbols, by name or as NAME.suffix. All but a few do (some
 * newer kernels list functions that exist for BPF programs only), unless names are damaged: one bad
 * token of kallsyms spoils thousands. Costs a look-up for each of some 50,000 functions.
 */
bool crosscheck_names(const struct kioku_symbols *symbols, const struct kioku_types *types);

/*
 * Whether types that came from elsewhere say of the structures that tasks are read with what the
 * BTF in the image says, byte for byte. True if there is none to ask.
 */
bool crosscheck_types(struct kioku_kernel *kernel, const struct kioku_symbols *symbols,
		      const struct kioku_types *types);

#endif
