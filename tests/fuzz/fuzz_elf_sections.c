/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sections and symbols of an ELF file. */
#include "format/elf_sections.h"
#include "fuzz.h"

static void check_inside(struct bytes file, struct bytes part)
{
	FUZZ_CHECK(part.size == 0 || (part.data >= file.data && part.size <= file.size &&
				      (size_t)(part.data - file.data) <= file.size - part.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes file = { data, size };
	struct elf_section section, names;
	struct elf_sections sections;
	struct elf_symbol symbol;

	if (!elf_sections_open(file, &sections))
		return 0;
	for (uint32_t i = 0; elf_section_at(&sections, i, &section); i++) {
		check_inside(file, section.content);
		FUZZ_CHECK(strlen(section.name) <= size);
	}
	if (elf_section_find(&sections, ".symtab", &section) &&
	    elf_section_at(&sections, section.link, &names))
		for (uint64_t i = 0; elf_symbol_at(section.content, names.content, i, &symbol); i++)
			FUZZ_CHECK(symbol.name.size <= size);
	return 0;
}
