/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The header, and the symbols and types that a profile holds: they are used in place. */
#include <string.h>

#include "format/profile_format.h"
#include "fuzz.h"
#include "symbol/symbols.h"
#include "type/types.h"

static void use_symbols(struct bytes blob)
{
	struct kioku_symbols *symbols;
	struct kioku_symbol symbol;

	if (symbols_from_blob(blob, 0xffffffff81000000ull, &symbols, NULL) != KIOKU_OK)
		return;
	size_t count = kioku_symbols_count(symbols);
	for (size_t i = 0; i < count && i < 64; i++)
		FUZZ_CHECK(strlen(kioku_symbols_get(symbols, i).name) <= blob.size);
	(void)!kioku_symbols_find(symbols, "init_task", &symbol, NULL);
	symbols_close(symbols);
}

static void use_types(struct bytes blob)
{
	struct kioku_types *types;
	struct kioku_member member;
	uint32_t id;

	if (types_from_blob(blob, &types, NULL) != KIOKU_OK)
		return;
	for (id = 0; id <= kioku_types_count(types) && id < 64; id++) {
		char *text;
		kioku_type_size(types, id);
		if (kioku_type_print(types, id, &text, NULL) == KIOKU_OK)
			free(text);
	}
	if (kioku_types_find(types, "struct task_struct", &id, NULL) == KIOKU_OK)
		(void)!kioku_type_member(types, id, "comm", &member, NULL);
	types_close(types);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes file = { data, size }, part;
	struct profile_header header, again;
	uint8_t encoded[PROFILE_HEADER_SIZE];

	if (!profile_header_decode(file, &header))
		return 0;
	profile_header_encode(&header, encoded);
	FUZZ_CHECK(profile_header_decode((struct bytes){ encoded, sizeof(encoded) }, &again));
	FUZZ_CHECK(again.types_offset == header.types_offset &&
		   again.build_id_size == header.build_id_size);
	if (bytes_slice(file, header.symbols_offset, header.symbols_size, &part))
		use_symbols(part);
	if (bytes_slice(file, header.types_offset, header.types_size, &part))
		use_types(part);
	return 0;
}
