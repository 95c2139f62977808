/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of a System.map, and the table that is made of them. */
#include "format/system_map_format.h"
#include "fuzz.h"
#include "symbol/symbol_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = { data, size };
	struct system_map_line line;
	struct kioku_symbols *symbols;
	size_t at = 0, before = 0;

	while (system_map_next(text, &at, &line)) {
		FUZZ_CHECK(at > before && at <= size);
		FUZZ_CHECK(line.name.size > 0 && line.name.data >= data &&
			   line.name.data + line.name.size <= data + size);
		before = at;
	}
	FUZZ_CHECK(at == before);
	if (symbols_from_map(text, &symbols, NULL) != KIOKU_OK)
		return 0;
	size_t count = kioku_symbols_count(symbols);
	FUZZ_CHECK(at == size && count > 0);
	for (size_t i = 1; i < count; i++)
		FUZZ_CHECK(kioku_symbols_get(symbols, i - 1).address <=
			   kioku_symbols_get(symbols, i).address);
	symbols_close(symbols);
	return 0;
}
