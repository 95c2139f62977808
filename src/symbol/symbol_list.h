/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Symbols from elsewhere, in any order, until they become a table. */
#ifndef SYMBOL_SYMBOL_LIST_H
#define SYMBOL_SYMBOL_LIST_H

#include "symbol/symbols.h"

struct listed_symbol {
	uint64_t address;
	struct bytes name; /* borrowed */
	uint32_t order;
	char type;
};

/* All zero is an empty list. */
struct symbol_list {
	struct listed_symbol *list;
	size_t count, capacity;
	uint64_t text_size; /* of all names */
};

/* Names without characters, with a NUL or of more than 512 bytes are passed over. False: no memory. */
bool symbol_list_add(struct symbol_list *list, uint64_t address, char type, struct bytes name);

/*
 * A table of them, by their addresses; of what is below the kernel's half it says that KASLR does not move it. The
 * list stays the caller's, and in another order. Errors: NOT_FOUND (there is none), LIMIT, NO_MEMORY.
 */
enum kioku_status symbols_from_list(struct symbol_list *list, struct kioku_symbols **out,
				    struct kioku_error *error);

void symbol_list_release(struct symbol_list *list);
#define AUTO_SYMBOL_LIST CLEANUP(symbol_list_release)

/* System.map and /proc/kallsyms (format/system_map_format.h). Errors: as above; CORRUPT, with the line's number. */
enum kioku_status symbols_from_map(struct bytes text, struct kioku_symbols **out,
				   struct kioku_error *error);

#endif
