/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Types of the symbols that volatility3's plugins take as objects: BTF has none but for per-CPU variables. */
#ifndef KERNEL_ISF_SYMBOL_TYPES_H
#define KERNEL_ISF_SYMBOL_TYPES_H

#include "kernel/kernel.h"

/* What a symbol is: pointers to, or so many of, a type or base type. */
struct isf_symbol_type {
	const char *symbol;
	const char *type;  /* for kioku_types_find(), or the name of a base type */
	unsigned pointers; /* how many "*" */
	uint32_t count;    /* of an array; 0: it is none */
	const char *
		member; /* type has no name of its own: it is the only anonymous one with this member */
};

/* In no order; *count of them. */
const struct isf_symbol_type *isf_symbol_types(size_t *count);

#endif
