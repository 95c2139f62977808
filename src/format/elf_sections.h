/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sections and symbols of ELF files that are linked or compiled: System V gABI chapter 4; 64-bit, little-endian. */
#ifndef FORMAT_ELF_SECTIONS_H
#define FORMAT_ELF_SECTIONS_H

#include <elf.h>

#include "base/bytes.h"

struct elf_sections {
	struct bytes file;
	struct bytes table;
	uint32_t count, entry_size;
	struct bytes names;
	uint16_t type, machine; /* of the file: ET_EXEC ..., EM_X86_64 ... */
};

struct elf_section {
	uint32_t type, link;
	uint64_t flags, address, size;
	struct bytes content; /* of size 0 if the file does not have it, or not all */
	const char *name;     /* "" if it has none */
};

/* False: it is no such file, or its table of sections is not in it. */
bool elf_sections_open(struct bytes file, struct elf_sections *out);

/* index < count. */
bool elf_section_at(const struct elf_sections *sections, uint32_t index, struct elf_section *out);

/* The first of a name. */
bool elf_section_find(const struct elf_sections *sections, const char *name,
		      struct elf_section *out);

struct elf_symbol {
	struct bytes name; /* without a NUL */
	uint64_t value;
	uint8_t type;     /* STT_FUNC ... */
	uint8_t binding;  /* STB_GLOBAL ... */
	uint16_t section; /* SHN_UNDEF, SHN_ABS, or an index */
};

/* The symbol at index of a section's symbols, whose names are in another one; false after the last. */
bool elf_symbol_at(struct bytes symbols, struct bytes names, uint64_t index,
		   struct elf_symbol *out);

#endif
