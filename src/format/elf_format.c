/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/elf_format.h"

/*
 * Fields one after the other, in the file's class and byte order. The functions that list them serve
 * decoding and encoding: a field is filled in from bytes, or, where there is an out, written to it.
 */
struct cursor {
	struct bytes bytes;
	uint8_t *out; /* as large as what is listed */
	uint64_t offset;
	bool is_64, big_endian;
	bool failed; /* a field lay outside; it and all later ones are 0 */
};

static unsigned shift_of(const struct cursor *cursor, unsigned size, unsigned index)
{
	return 8 * (cursor->big_endian ? size - 1 - index : index);
}

static void field(struct cursor *cursor, unsigned size, uint64_t *value)
{
	if (cursor->out) {
		for (unsigned i = 0; i < size; i++)
			cursor->out[cursor->offset + i] =
				(uint8_t)(*value >> shift_of(cursor, size, i));
		cursor->offset += size;
		return;
	}
	*value = 0;
	if (cursor->failed || !bytes_has(cursor->bytes, cursor->offset, size)) {
		cursor->failed = true;
		return;
	}
	for (unsigned i = 0; i < size; i++)
		*value |= (uint64_t)cursor->bytes.data[cursor->offset + i]
			  << shift_of(cursor, size, i);
	cursor->offset += size;
}

static void field_u16(struct cursor *cursor, uint16_t *value)
{
	uint64_t wide = *value;

	field(cursor, 2, &wide);
	*value = (uint16_t)wide;
}

static void field_u32(struct cursor *cursor, uint32_t *value)
{
	uint64_t wide = *value;

	field(cursor, 4, &wide);
	*value = (uint32_t)wide;
}

/* An address, an offset or a size: as wide as the class. */
static void field_word(struct cursor *cursor, uint64_t *value)
{
	field(cursor, cursor->is_64 ? 8 : 4, value);
}

bool elf_is_magic(struct bytes file)
{
	return bytes_match(file, 0, ELFMAG);
}

/* Elf64_Ehdr and Elf32_Ehdr after e_ident. */
struct header_fields {
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

static void list_header(struct cursor *cursor, struct header_fields *fields)
{
	field_u16(cursor, &fields->type);
	field_u16(cursor, &fields->machine);
	field_u32(cursor, &fields->version);
	field_word(cursor, &fields->entry);
	field_word(cursor, &fields->phoff);
	field_word(cursor, &fields->shoff);
	field_u32(cursor, &fields->flags);
	field_u16(cursor, &fields->ehsize); /* 8 in QEMU 7.2, so not to be relied on */
	field_u16(cursor, &fields->phentsize);
	field_u16(cursor, &fields->phnum);
	if (!cursor->out) /* nobody needs them, and a file may end here */
		return;
	field_u16(cursor, &fields->shentsize);
	field_u16(cursor, &fields->shnum);
	field_u16(cursor, &fields->shstrndx);
}

/* Elf64_Shdr and Elf32_Shdr, as far as the count of program headers that e_phnum cannot hold. */
static void list_count(struct cursor *cursor, uint32_t *count)
{
	uint64_t zero = 0;
	uint32_t name = 0, type = SHT_NULL, link = 0;

	field_u32(cursor, &name);
	field_u32(cursor, &type);
	for (int i = 0; i < 4; i++) /* sh_flags, sh_addr, sh_offset, sh_size */
		field_word(cursor, &zero);
	field_u32(cursor, &link);
	field_u32(cursor, count); /* sh_info */
}

const char *elf_large_count_decode(struct bytes section, struct elf_header *header)
{
	struct cursor cursor = { .bytes = section,
				 .is_64 = header->is_64,
				 .big_endian = header->big_endian };

	list_count(&cursor, &header->segment_count);
	if (cursor.failed || header->section_offset == 0)
		return "its ELF header puts the number of program headers outside the file";
	if (header->segment_count > ELF_SEGMENT_LIMIT)
		return "its ELF header has an absurd number of program headers";
	return NULL;
}

const char *elf_header_decode(struct bytes head, struct elf_header *out)
{
	uint8_t class, order;

	if (!elf_is_magic(head))
		return "it has no ELF magic number";
	if (!bytes_u8(head, EI_CLASS, &class) || !bytes_u8(head, EI_DATA, &order))
		return "its ELF header is cut short by the end of the file";
	if (class != ELFCLASS32 && class != ELFCLASS64)
		return "its ELF header has a class that is neither 32 nor 64 bits";
	if (order != ELFDATA2LSB && order != ELFDATA2MSB)
		return "its ELF header has an unknown byte order";

	struct elf_header header = { .is_64 = class == ELFCLASS64,
				     .big_endian = order == ELFDATA2MSB };
	struct cursor cursor = { .bytes = head,
				 .offset = EI_NIDENT,
				 .is_64 = header.is_64,
				 .big_endian = header.big_endian };
	struct header_fields fields = { 0 };
	list_header(&cursor, &fields);
	if (cursor.failed)
		return "its ELF header is cut short by the end of the file";
	header.type = fields.type;
	header.machine = fields.machine;
	header.segment_offset = fields.phoff;
	header.flags = fields.flags;
	header.segment_entry_size = fields.phentsize;
	header.segment_count = fields.phnum;
	header.section_offset = fields.phnum == PN_XNUM ? fields.shoff : 0;
	if (header.segment_count > 0 &&
	    header.segment_entry_size < (header.is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
		return "its ELF header has program headers of an impossible size";
	*out = header;
	return NULL;
}

void elf_header_encode(const struct elf_header *header, uint8_t out[ELF_HEADER_SIZE])
{
	struct cursor cursor = { .out = out, .offset = EI_NIDENT, .is_64 = true };
	struct header_fields fields = {
		.type = header->type,
		.machine = header->machine,
		.version = EV_CURRENT,
		.phoff = header->segment_offset,
		.flags = header->flags,
		.ehsize = ELF_HEADER_SIZE,
		.phentsize = header->segment_entry_size,
		.phnum = (uint16_t)header->segment_count,
	};

	if (elf_has_large_count(header)) {
		fields.phnum = PN_XNUM;
		fields.shoff = header->segment_offset +
			       (uint64_t)header->segment_count * header->segment_entry_size;
		fields.shentsize = ELF_SECTION_SIZE;
		fields.shnum = 1;
	}
	memset(out, 0, ELF_HEADER_SIZE);
	memcpy(out, ELFMAG, SELFMAG);
	out[EI_CLASS] = ELFCLASS64;
	out[EI_DATA] = ELFDATA2LSB;
	out[EI_VERSION] = EV_CURRENT;
	list_header(&cursor, &fields);
}

void elf_large_count_encode(const struct elf_header *header, uint8_t out[ELF_SECTION_SIZE])
{
	struct cursor cursor = { .out = out, .is_64 = true };
	uint32_t count = header->segment_count;

	memset(out, 0, ELF_SECTION_SIZE);
	list_count(&cursor, &count);
}

static void list_segment(struct cursor *cursor, struct elf_segment *segment)
{
	field_u32(cursor, &segment->type);
	if (cursor->is_64)
		field_u32(cursor, &segment->flags);
	field_word(cursor, &segment->offset);
	field_word(cursor, &segment->vaddr);
	field_word(cursor, &segment->paddr);
	field_word(cursor, &segment->filesz);
	field_word(cursor, &segment->memsz);
	if (!cursor->is_64)
		field_u32(cursor, &segment->flags);
	field_word(cursor, &segment->align);
}

bool elf_segment_decode(struct bytes table, const struct elf_header *header, uint32_t index,
			struct elf_segment *out)
{
	struct cursor cursor = { .bytes = table,
				 .offset = (uint64_t)index * header->segment_entry_size,
				 .is_64 = header->is_64,
				 .big_endian = header->big_endian };
	struct elf_segment segment = { 0 };

	list_segment(&cursor, &segment);
	if (cursor.failed)
		return false;
	*out = segment;
	return true;
}

void elf_segment_encode(const struct elf_segment *segment, uint8_t out[ELF_SEGMENT_SIZE])
{
	struct cursor cursor = { .out = out, .is_64 = true };
	struct elf_segment fields = *segment;

	list_segment(&cursor, &fields);
}

/* Elf64_Nhdr and Elf32_Nhdr. */
static void list_note(struct cursor *cursor, uint32_t *name_size, uint32_t *description_size,
		      uint32_t *type)
{
	field_u32(cursor, name_size);
	field_u32(cursor, description_size);
	field_u32(cursor, type);
}

bool elf_note_decode(struct bytes notes, const struct elf_header *header, uint64_t alignment,
		     uint64_t *offset, struct elf_note *out)
{
	/* 8 is only for notes that say so (gABI); QEMU and VirtualBox write an alignment of 0. */
	uint64_t mask = alignment == 8 ? 7 : 3;
	struct cursor cursor = { .bytes = notes,
				 .offset = *offset,
				 .is_64 = header->is_64,
				 .big_endian = header->big_endian };
	uint32_t name_size = 0, description_size = 0;
	struct elf_note note = { 0 };

	list_note(&cursor, &name_size, &description_size, &note.type);
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

static uint64_t padded(uint64_t size)
{
	return (size + 3) & ~3ull;
}

uint64_t elf_note_size(const struct elf_note *note)
{
	return sizeof(Elf64_Nhdr) + padded(note->name.size + 1) + padded(note->description.size);
}

void elf_note_encode(const struct elf_note *note, uint8_t *out)
{
	struct cursor cursor = { .out = out, .is_64 = true };
	uint32_t name_size = (uint32_t)note->name.size + 1;
	uint32_t description_size = (uint32_t)note->description.size, type = note->type;

	memset(out, 0, elf_note_size(note));
	list_note(&cursor, &name_size, &description_size, &type);
	memcpy(out + cursor.offset, note->name.data, note->name.size);
	if (description_size > 0)
		memcpy(out + cursor.offset + padded(name_size), note->description.data,
		       description_size);
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
		uint32_t size;               /* at least */
		uint32_t cr3, rip, rsp, rbp; /* offsets; CR3's is 0 if it is not there */
	} layouts[] = {
		[ELF_REGISTERS_QEMU] = { "QEMU", 0, 440, 416, 136, 56, 64 },
		[ELF_REGISTERS_VIRTUALBOX] = { "VBCPU", 0xb01, 320, 304, 112, 120, 128 },
		/* struct elf_prstatus of x86-64: pr_reg at 112, in the order of ptrace. */
		[ELF_REGISTERS_PRSTATUS] = { "CORE", NT_PRSTATUS, 336, 0, 240, 264, 144 },
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
		out->rbp = load_le64(data->data + layouts[kind].rbp);
		return (enum elf_register_note)kind;
	}
	return ELF_REGISTERS_NONE;
}

bool elf_build_id(struct bytes notes, const struct elf_header *header, uint64_t alignment,
		  struct bytes *out)
{
	struct elf_note note;
	uint64_t offset = 0;

	while (elf_note_decode(notes, header, alignment, &offset, &note)) {
		if (!elf_note_is(&note, "GNU", NT_GNU_BUILD_ID) || note.description.size == 0 ||
		    note.description.size > ELF_BUILD_ID_LIMIT)
			continue;
		*out = note.description;
		return true;
	}
	return false;
}
