/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/elf_format.h"
#include "fuzz.h"

static bool is_inside(struct bytes whole, struct bytes part)
{
	return part.size == 0 || (part.data >= whole.data && part.size <= whole.size &&
				  (size_t)(part.data - whole.data) <= whole.size - part.size);
}

static void read_notes(struct bytes notes, const struct elf_header *header, uint64_t alignment)
{
	uint64_t offset = 0, before = 0;
	struct elf_registers registers;
	struct elf_note note;

	while (elf_note_decode(notes, header, alignment, &offset, &note)) {
		FUZZ_CHECK(offset > before && offset <= notes.size);
		FUZZ_CHECK(is_inside(notes, note.name) && is_inside(notes, note.description));
		elf_registers_decode(header, &note, &registers);
		before = offset;
	}
	FUZZ_CHECK(offset == before || offset == notes.size);
	struct bytes id;
	if (elf_build_id(notes, header, alignment, &id))
		FUZZ_CHECK(is_inside(notes, id) && id.size >= 1 && id.size <= ELF_BUILD_ID_LIMIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes file = { data, size }, section, table, notes;
	struct elf_segment segment;
	struct elf_header header;

	if (elf_header_decode(file, &header))
		return 0;
	if (header.segment_count == PN_XNUM &&
	    (!bytes_slice(file, header.section_offset, ELF_SECTION_SIZE, &section) ||
	     elf_large_count_decode(section, &header)))
		return 0;
	FUZZ_CHECK(header.segment_count <= ELF_SEGMENT_LIMIT);
	if (header.segment_offset > size)
		return 0;
	table = (struct bytes){ data + header.segment_offset, size - header.segment_offset };
	for (uint32_t i = 0; i < header.segment_count; i++) {
		if (!elf_segment_decode(table, &header, i, &segment))
			break;
		if (segment.type == PT_NOTE &&
		    bytes_slice(file, segment.offset, segment.filesz, &notes))
			read_notes(notes, &header, segment.align);
	}
	return 0;
}
