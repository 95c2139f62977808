/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's symbol table: where kallsyms lies in memory, what it says, and a form of it that a
 * profile can keep.
 */
#ifndef SYMBOL_SYMBOLS_H
#define SYMBOL_SYMBOLS_H

#include <kioku/symbol.h>

#include "base/cleanup.h"
#include "base/diagnostic.h"
#include "base/window.h"
#include "format/kallsyms_format.h"

/* Where VMCOREINFO says the tables are (v6.0 on, f09bddbd8661); 0 where it does not. */
struct kallsyms_hint {
	uint64_t token_table, token_index; /* virtual addresses */
};

/* False if the text says nothing about them. */
bool kallsyms_hint_from_vmcoreinfo(struct bytes text, struct kallsyms_hint *out);

/* Where the tables lie: offsets in the window. */
struct kallsyms_layout {
	uint32_t count;
	uint64_t num_syms, names, markers, token_table, token_index;
	uint32_t token_table_size;
	uint64_t addresses;
	uint64_t relative_base; /* the value; 0 where the encoding has none */
	enum kallsyms_addresses encoding;
	enum kallsyms_lengths lengths;
	unsigned marker_size; /* 8 before v4.20 (80ffbaa5b1bd), then 4 */
};

/*
 * Finds the tables by their structure, from the end of the window backwards (they lie late in
 * rodata). Nothing is believed that does not prove itself: names that agree with the markers,
 * addresses in ascending order and, where window->virtual_start is known, near the window. Some
 * damage is no obstacle. hint may be NULL; it saves the search and nothing else.
 */
bool kallsyms_locate(struct window *window, const struct kallsyms_hint *hint,
		     struct kallsyms_layout *out, const struct diagnostics *diagnostics);

/*
 * Decodes located tables. Names in a damaged group and addresses out of order are left out, and
 * said to be a gap. Errors: NO_MEMORY, CORRUPT (next to nothing is left).
 */
enum kioku_status symbols_from_kallsyms(struct window *window, const struct kallsyms_layout *layout,
					struct kioku_symbols **out,
					const struct diagnostics *diagnostics,
					struct kioku_error *error);

/*
 * The table as one block of bytes without pointers, borrowed. What KASLR moves is relative to
 * symbols_base() in it, so that it serves the next boot of the same kernel too.
 */
struct bytes symbols_blob(const struct kioku_symbols *symbols);

/*
 * Opens such a block, which is borrowed and must outlive the symbols (a mapped file, say). base is
 * where the kernel lies now. Takes no time: every access checks its own bounds, because a profile
 * is as hostile as any other input. Errors: NO_MEMORY, CORRUPT (not such a block).
 */
enum kioku_status symbols_from_blob(struct bytes blob, uint64_t base, struct kioku_symbols **out,
				    struct kioku_error *error);

/* The address of _text, if there is such a symbol, or another one that moves with the kernel. */
uint64_t symbols_base(const struct kioku_symbols *symbols);

/* Whether KASLR does not move a symbol: the offsets of per-CPU variables, up to v6.14. */
bool symbols_is_absolute(const struct kioku_symbols *symbols, size_t index);

/* All symbols of a name, in the table's order. Start with a zeroed cursor. */
struct symbol_cursor {
	uint32_t state;
};
bool symbols_next_named(const struct kioku_symbols *symbols, const char *name,
			struct symbol_cursor *cursor, struct kioku_symbol *out);

/* The index of the first symbol above an address; the count of all: there is none. */
size_t symbols_above(const struct kioku_symbols *symbols, uint64_t address);

/* Bytes from an address to the first symbol above it; 0: there is none. */
uint64_t symbols_room(const struct kioku_symbols *symbols, uint64_t address);

/* The last symbol at or below an address, or false. */
bool symbols_nearest(const struct kioku_symbols *symbols, uint64_t address,
		     struct kioku_symbol *out);

void symbols_close(struct kioku_symbols *symbols); /* NULL is fine */
DEFINE_CLEANUP(symbols, struct kioku_symbols, symbols_close)
#define AUTO_SYMBOLS CLEANUP(cleanup_symbols)

#endif
