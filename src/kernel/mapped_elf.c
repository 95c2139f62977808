/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/mapped_elf.h"

#include <string.h>

enum { DYNAMIC_ENTRIES = 512 }; /* more than linkers make */

enum kioku_status mapped_elf_open(struct kioku_address_space *space, uint64_t start,
				  struct mapped_elf *out)
{
	uint8_t head[ELF_HEADER_SIZE];
	const struct bytes bytes = { head, sizeof(head) };

	*out = (struct mapped_elf){ .space = space, .start = start };
	TRY(kioku_address_space_read(space, start, head, sizeof(head), NULL));
	if (!elf_is_magic(bytes))
		return KIOKU_ERROR_NOT_FOUND;
	out->is_damaged = elf_header_decode(bytes, &out->header) != NULL;
	return out->is_damaged ? KIOKU_ERROR_CORRUPT : KIOKU_OK;
}

bool mapped_elf_segment(const struct mapped_elf *elf, uint32_t index, struct elf_segment *out)
{
	const struct bytes table = { elf->segments, elf->segments_size };

	return index < elf->header.segment_count &&
	       elf_segment_decode(table, &elf->header, index, out);
}

enum kioku_status mapped_elf_read_segments(struct mapped_elf *elf)
{
	size_t size = (size_t)elf->header.segment_count * elf->header.segment_entry_size;
	struct elf_segment segment;

	if (size > sizeof(elf->segments))
		return KIOKU_ERROR_CORRUPT;
	TRY(kioku_address_space_read(elf->space, elf->start + elf->header.segment_offset,
				     elf->segments, size, NULL));
	elf->segments_size = size;
	for (uint32_t i = 0; mapped_elf_segment(elf, i, &segment); i++) {
		if (segment.type == PT_LOAD && segment.offset == 0) {
			elf->base = segment.vaddr;
			break;
		}
	}
	return KIOKU_OK;
}

uint64_t mapped_elf_place(const struct mapped_elf *elf, const struct elf_segment *segment)
{
	return elf->start + (segment->vaddr - elf->base);
}

static uint64_t load_word(const uint8_t *data, bool is_64)
{
	return is_64 ? load_le64(data) : load_le32(data);
}

static void note_entry(const struct mapped_elf *elf, struct mapped_dynamic *out, uint64_t tag,
		       uint64_t value)
{
	switch (tag) {
	case DT_NEEDED:
		if (out->needed_count < ELF_MAPPED_NEEDED)
			out->needed[out->needed_count++] = value;
		break;
	case DT_SONAME: out->name = value; break;
	case DT_DEBUG: out->debug = value; break;
	case DT_TEXTREL: out->has_text_relocations = true; break;
	case DT_FLAGS: out->has_text_relocations |= (value & DF_TEXTREL) != 0; break;
	case DT_STRSZ: out->names_size = value; break;
	case DT_STRTAB:
		/* glibc's loader makes an address of it, where it can write to it; others do not. */
		out->names = value >= elf->start ? value : elf->start + (value - elf->base);
		break;
	default: break;
	}
}

static bool find_dynamic(const struct mapped_elf *elf, struct elf_segment *out)
{
	for (uint32_t i = 0; mapped_elf_segment(elf, i, out); i++)
		if (out->type == PT_DYNAMIC)
			return true;
	return false;
}

enum kioku_status mapped_elf_dynamic(const struct mapped_elf *elf, struct mapped_dynamic *out)
{
	uint8_t entries[DYNAMIC_ENTRIES * 16];
	bool is_64 = elf->header.is_64;
	size_t word = is_64 ? 8 : 4, size = sizeof(entries);
	struct elf_segment segment;

	*out = (struct mapped_dynamic){ 0 };
	if (!find_dynamic(elf, &segment))
		return KIOKU_ERROR_NOT_FOUND;
	if (segment.filesz < size)
		size = segment.filesz;
	TRY(kioku_address_space_read(elf->space, mapped_elf_place(elf, &segment), entries, size,
				     NULL));
	for (size_t at = 0; at + 2 * word <= size; at += 2 * word) {
		uint64_t tag = load_word(entries + at, is_64);
		if (tag == DT_NULL)
			break;
		note_entry(elf, out, tag, load_word(entries + at + word, is_64));
	}
	return KIOKU_OK;
}

enum kioku_status mapped_text_read(struct kioku_address_space *space, uint64_t start, char *out,
				   size_t room)
{
	for (size_t size = 0; size < room;) {
		uint64_t at = start + size;
		size_t piece = PAGE_SIZE - at % PAGE_SIZE;
		if (piece > room - size)
			piece = room - size;
		TRY(kioku_address_space_read(space, at, out + size, piece, NULL));
		if (memchr(out + size, 0, piece))
			return KIOKU_OK;
		size += piece;
	}
	return KIOKU_ERROR_LIMIT;
}

enum kioku_status mapped_elf_name(const struct mapped_elf *elf,
				  const struct mapped_dynamic *dynamic, uint64_t offset,
				  char out[ELF_MAPPED_NAME])
{
	uint64_t start;

	if (!dynamic->names || offset >= dynamic->names_size ||
	    __builtin_add_overflow(dynamic->names, offset, &start))
		return KIOKU_ERROR_CORRUPT;
	return mapped_text_read(elf->space, start, out, ELF_MAPPED_NAME);
}
