/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A window on memory in which kallsyms is looked for, and what is found decoded. */
#include "fuzz.h"
#include "symbol/symbols.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct window window = { .data = data, .size = size, .virtual_start = 0xffffffff82000000 };
	const struct diagnostics silent = { 0 };
	struct kallsyms_layout layout;
	struct kioku_symbols *symbols = NULL;
	struct kioku_symbol symbol;

	if (!kallsyms_locate(&window, NULL, &layout, &silent) ||
	    symbols_from_kallsyms(&window, &layout, &symbols, &silent, NULL) != KIOKU_OK)
		return 0;
	size_t count = kioku_symbols_count(symbols);
	FUZZ_CHECK(count <= layout.count && count >= layout.count / 2);
	for (size_t i = 0; i < count; i++) {
		struct kioku_symbol own = kioku_symbols_get(symbols, i);
		struct symbol_cursor cursor = { 0 };
		bool found = false;
		/* Every symbol is found by its name, and has one that is printable. */
		while (!found && symbols_next_named(symbols, own.name, &cursor, &symbol))
			found = symbol.name == own.name;
		FUZZ_CHECK(found);
		for (const char *at = own.name; *at; at++)
			FUZZ_CHECK(*at > ' ' && *at < 0x7f);
	}
	symbols_close(symbols);
	return 0;
}
