/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of addresses: the running kernel's own symbol table, module symbols not included. */
#ifndef KIOKU_SYMBOL_H
#define KIOKU_SYMBOL_H

#include <stddef.h>
#include <stdint.h>

#include <kioku/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kioku_symbols;

struct kioku_symbol {
	uint64_t address; /* as the running kernel uses it, KASLR included; per-CPU: the offset */
	char type;        /* the letter that nm and /proc/kallsyms show */
	const char *name; /* borrowed from the table */
};

KIOKU_PUBLIC size_t kioku_symbols_count(const struct kioku_symbols *symbols);

/* In the table's own order, which is by address. index < count. */
KIOKU_PUBLIC struct kioku_symbol kioku_symbols_get(const struct kioku_symbols *symbols,
						   size_t index);

/*
 * Finds a symbol by its exact name; where a name occurs more than once, the first by address.
 * Errors: NOT_FOUND.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status kioku_symbols_find(const struct kioku_symbols *symbols,
							      const char *name,
							      struct kioku_symbol *out,
							      struct kioku_error *error);

#ifdef __cplusplus
}
#endif
#endif
