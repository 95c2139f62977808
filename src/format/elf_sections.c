/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/elf_sections.h"

#define SYMBOL_SIZE 24 /* Elf64_Sym */

/* A string in a table of them; "" if there is none. */
static const char *string_at(struct bytes strings, uint64_t offset)
{
	if (offset >= strings.size ||
	    !memchr(strings.data + offset, '\0', strings.size - (size_t)offset))
		return "";
	return (const char *)strings.data + offset;
}

static bool section_fields(const struct elf_sections *sections, uint32_t index,
			   struct elf_section *out, uint32_t *name)
{
	struct bytes raw;

	if (index >= sections->count ||
	    !bytes_slice(sections->table, (uint64_t)index * sections->entry_size,
			 sizeof(Elf64_Shdr), &raw))
		return false;
	*name = load_le32(raw.data);
	*out = (struct elf_section){ .type = load_le32(raw.data + 4),
				     .link = load_le32(raw.data + 40),
				     .flags = load_le64(raw.data + 8),
				     .address = load_le64(raw.data + 16),
				     .size = load_le64(raw.data + 32),
				     .name = "" };
	if (out->type != SHT_NOBITS && out->type != SHT_NULL &&
	    !bytes_slice(sections->file, load_le64(raw.data + 24), out->size, &out->content))
		out->content = (struct bytes){ 0 };
	return true;
}

bool elf_sections_open(struct bytes file, struct elf_sections *out)
{
	struct elf_sections sections = { .file = file };
	struct elf_section section;
	uint32_t ignored;

	if (!bytes_match(file, 0, ELFMAG) || file.size < sizeof(Elf64_Ehdr) ||
	    file.data[EI_CLASS] != ELFCLASS64 || file.data[EI_DATA] != ELFDATA2LSB)
		return false;
	sections.type = load_le16(file.data + 16);
	sections.machine = load_le16(file.data + 18);
	uint64_t offset = load_le64(file.data + 40);
	sections.entry_size = load_le16(file.data + 58);
	sections.count = load_le16(file.data + 60);
	uint32_t names = load_le16(file.data + 62);
	if (sections.entry_size < sizeof(Elf64_Shdr) || offset == 0 || offset > file.size)
		return false;
	sections.table = (struct bytes){ file.data + offset, file.size - (size_t)offset };
	/* More sections than 16 bits count: section 0 says how many, and which one has the names. */
	if (sections.count == 0) {
		sections.count = 1;
		if (!section_fields(&sections, 0, &section, &ignored) || section.size > UINT32_MAX)
			return false;
		sections.count = (uint32_t)section.size;
		names = names == SHN_XINDEX ? section.link : names;
	}
	if (!bytes_has(sections.table, 0, (uint64_t)sections.count * sections.entry_size))
		return false;
	if (section_fields(&sections, names, &section, &ignored))
		sections.names = section.content;
	*out = sections;
	return true;
}

bool elf_section_at(const struct elf_sections *sections, uint32_t index, struct elf_section *out)
{
	uint32_t name;

	if (!section_fields(sections, index, out, &name))
		return false;
	out->name = string_at(sections->names, name);
	return true;
}

bool elf_section_find(const struct elf_sections *sections, const char *name,
		      struct elf_section *out)
{
	for (uint32_t i = 0; elf_section_at(sections, i, out); i++)
		if (strcmp(out->name, name) == 0)
			return true;
	return false;
}

bool elf_symbol_at(struct bytes symbols, struct bytes names, uint64_t index, struct elf_symbol *out)
{
	struct bytes raw;

	if (index > symbols.size / SYMBOL_SIZE ||
	    !bytes_slice(symbols, index * SYMBOL_SIZE, SYMBOL_SIZE, &raw))
		return false;
	const char *name = string_at(names, load_le32(raw.data));
	*out = (struct elf_symbol){ .name = { (const uint8_t *)name, strlen(name) },
				    .value = load_le64(raw.data + 8),
				    .type = raw.data[4] & 0xf,
				    .binding = raw.data[4] >> 4,
				    .section = load_le16(raw.data + 6) };
	return true;
}
