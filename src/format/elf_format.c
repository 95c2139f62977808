/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/elf_format.h"

/* Fields one after the other, in the file's class and byte order. */
struct cursor {
	struct bytes bytes;
	uint64_t offset;
	bool is_64, big_endian;
	bool failed; /* a field lay outside; it and all later ones are 0 */
};

static uint64_t take(struct cursor *cursor, unsigned size)
{
	uint64_t value = 0;

	if (cursor->failed || !bytes_has(cursor->bytes, cursor->offset, size)) {
		cursor->failed = true;
		return 0;
	}
	for (unsigned i = 0; i < size; i++) {
		uint8_t byte = cursor->bytes.data[cursor->offset + i];
		value |= (uint64_t)byte << 8 * (cursor->big_endian ? size - 1 - i : i);
	}
	cursor->offset += size;
	return value;
}

static uint16_t take_u16(struct cursor *cursor)
{
	return (uint16_t)take(cursor, 2);
}

static uint32_t take_u32(struct cursor *cursor)
{
	return (uint32_t)take(cursor, 4);
}

/* An address, an offset or a size: as wide as the class. */
static uint64_t take_word(struct cursor *cursor)
{
	return take(cursor, cursor->is_64 ? 8 : 4);
}

bool elf_is_magic(struct bytes file)
{
	return bytes_match(file, 0, ELFMAG);
}

/* sh_info of section header 0, which is where a count that e_phnum cannot hold is kept. */
static bool decode_large_count(struct bytes file, const struct elf_header *header,
			       uint64_t section_offset, uint32_t *out)
{
	struct cursor cursor = { file, section_offset, header->is_64, header->big_endian, false };

	take(&cursor, 4);           /* sh_name */
	take(&cursor, 4);           /* sh_type */
	for (int i = 0; i < 4; i++) /* sh_flags, sh_addr, sh_offset, sh_size */
		take_word(&cursor);
	take(&cursor, 4); /* sh_link */
	*out = take_u32(&cursor);
	return !cursor.failed && section_offset != 0;
}

const char *elf_header_decode(struct bytes file, struct elf_header *out)
{
	uint8_t class, order;

	if (!elf_is_magic(file))
		return "it has no ELF magic number";
	if (!bytes_u8(file, EI_CLASS, &class) || !bytes_u8(file, EI_DATA, &order))
		return "its ELF header is cut short by the end of the file";
	if (class != ELFCLASS32 && class != ELFCLASS64)
		return "its ELF header has a class that is neither 32 nor 64 bits";
	if (order != ELFDATA2LSB && order != ELFDATA2MSB)
		return "its ELF header has an unknown byte order";

	struct elf_header header = { .is_64 = class == ELFCLASS64,
				     .big_endian = order == ELFDATA2MSB };
	struct cursor cursor = { file, EI_NIDENT, header.is_64, header.big_endian, false };
	header.type = take_u16(&cursor);
	header.machine = take_u16(&cursor);
	take(&cursor, 4);   /* e_version */
	take_word(&cursor); /* e_entry */
	header.segment_offset = take_word(&cursor);
	uint64_t section_offset = take_word(&cursor);
	header.flags = take_u32(&cursor);
	take(&cursor, 2); /* e_ehsize: 8 in QEMU 7.2, so not to be relied on */
	header.segment_entry_size = take_u16(&cursor);
	header.segment_count = take_u16(&cursor);
	if (cursor.failed)
		return "its ELF header is cut short by the end of the file";
	if (header.segment_count == PN_XNUM &&
	    !decode_large_count(file, &header, section_offset, &header.segment_count))
		return "its ELF header puts the number of program headers outside the file";
	if (header.segment_count > ELF_SEGMENT_LIMIT)
		return "its ELF header has an absurd number of program headers";
	if (header.segment_count > 0 && header.segment_offset > file.size)
		return "its ELF header puts the program headers outside the file";
	if (header.segment_count > 0 &&
	    header.segment_entry_size < (header.is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
		return "its ELF header has program headers of an impossible size";
	*out = header;
	return NULL;
}

bool elf_segment_decode(struct bytes file, const struct elf_header *header, uint32_t index,
			struct elf_segment *out)
{
	/* segment_offset lies in the file and the product is below 2^48: no overflow. */
	uint64_t offset = header->segment_offset + (uint64_t)index * header->segment_entry_size;
	struct cursor cursor = { file, offset, header->is_64, header->big_endian, false };
	struct elf_segment segment;

	segment.type = take_u32(&cursor);
	segment.flags = header->is_64 ? take_u32(&cursor) : 0;
	segment.offset = take_word(&cursor);
	segment.vaddr = take_word(&cursor);
	segment.paddr = take_word(&cursor);
	segment.filesz = take_word(&cursor);
	segment.memsz = take_word(&cursor);
	if (!header->is_64)
		segment.flags = take_u32(&cursor);
	segment.align = take_word(&cursor);
	if (cursor.failed)
		return false;
	*out = segment;
	return true;
}

bool elf_note_decode(struct bytes notes, const struct elf_header *header, uint64_t alignment,
		     uint64_t *offset, struct elf_note *out)
{
	/* 8 is only for notes that say so (gABI); QEMU and VirtualBox write an alignment of 0. */
	uint64_t mask = alignment == 8 ? 7 : 3;
	struct cursor cursor = { notes, *offset, header->is_64, header->big_endian, false };
	uint32_t name_size = take_u32(&cursor);
	uint32_t description_size = take_u32(&cursor);
	struct elf_note note = { .type = take_u32(&cursor) };

	if (*offset == notes.size)
		return false;
	if (!cursor.failed && name_size == 0) {
		/* /proc/vmcore fills up with zeros what its CPUs did not use. */
		*offset = notes.size;
		return false;
	}
	uint64_t description = (cursor.offset + name_size + mask) & ~mask;
	if (cursor.failed || !bytes_slice(notes, cursor.offset, name_size, &note.name) ||
	    !bytes_slice(notes, description, description_size, &note.description))
		return false;
	/* VirtualBox does not count the NUL in the size, everybody else does. */
	while (note.name.size > 0 && note.name.data[note.name.size - 1] == '\0')
		note.name.size--;
	uint64_t next = (description + description_size + mask) & ~mask;
	*offset = next < notes.size ? next : notes.size;
	*out = note;
	return true;
}

bool elf_note_is(const struct elf_note *note, const char *name, uint32_t type)
{
	return note->type == type && note->name.size == strlen(name) &&
	       memcmp(note->name.data, name, note->name.size) == 0;
}

enum elf_register_note elf_registers_decode(const struct elf_header *header,
					    const struct elf_note *note, struct elf_registers *out)
{
	static const struct {
		const char *name;
		uint32_t type;
		uint32_t size;          /* at least */
		uint32_t cr3, rip, rsp; /* offsets; CR3's is 0 if it is not there */
	} layouts[] = {
		[ELF_REGISTERS_QEMU] = { "QEMU", 0, 440, 416, 136, 56 },
		[ELF_REGISTERS_VIRTUALBOX] = { "VBCPU", 0xb01, 320, 304, 112, 120 },
		/* struct elf_prstatus of x86-64: pr_reg at 112, in the order of ptrace. */
		[ELF_REGISTERS_PRSTATUS] = { "CORE", NT_PRSTATUS, 336, 0, 240, 264 },
	};
	const struct bytes *data = &note->description;

	/* A CPU in real mode makes QEMU write EM_386, and a 32-bit VirtualBox always does. */
	if (!header->is_64 || header->big_endian ||
	    (header->machine != EM_X86_64 && header->machine != EM_386))
		return ELF_REGISTERS_NONE;
	for (unsigned kind = 0; kind < ELF_REGISTERS_NONE; kind++) {
		if (!elf_note_is(note, layouts[kind].name, layouts[kind].type) ||
		    data->size < layouts[kind].size)
			continue;
		out->cr3 = layouts[kind].cr3 ? load_le64(data->data + layouts[kind].cr3) : 0;
		out->rip = load_le64(data->data + layouts[kind].rip);
		out->rsp = load_le64(data->data + layouts[kind].rsp);
		return (enum elf_register_note)kind;
	}
	return ELF_REGISTERS_NONE;
}
