/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whatever --types (an even first byte) or --symbols is given, but for DWARF, which fuzz_dwarf_types.c has. */
#include <string.h>

#include "fuzz.h"
#include "kernel/type_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	AUTO_TYPE_FILE struct type_file *file = calloc(1, sizeof(*file));
	struct bytes content = { data + 1, size - 1 };
	bool wants_types = data[0] % 2 == 0;
	struct kioku_symbol symbol;

	FUZZ_CHECK(file);
	file->path = "input";
	if (type_file_read(file, content, -1, wants_types, NULL) != KIOKU_OK)
		return 0;
	FUZZ_CHECK(file->form && (file->types || !wants_types));
	FUZZ_CHECK(memchr(file->banner, 0, sizeof(file->banner)) &&
		   memchr(file->release, 0, sizeof(file->release)) &&
		   file->build_id_size <= sizeof(file->build_id));
	if (file->symbols)
		(void)!kioku_symbols_find(file->symbols, "linux_banner", &symbol, NULL);
	return 0;
}
