/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ELF core files of whole machines, both classes and both byte orders: System V gABI chapters 4
 * and 5; notes as QEMU (target/i386/arch_dump.c), Linux (/proc/vmcore, makedumpfile) and VirtualBox
 * (include/VBox/vmm/dbgfcorefmt.h) write them. Names of values are those of <elf.h>.
 */
#ifndef FORMAT_ELF_FORMAT_H
#define FORMAT_ELF_FORMAT_H

#include <elf.h>

#include "base/bytes.h"

/* Of what is encoded, which is always 64-bit and little-endian. */
#define ELF_HEADER_SIZE  64u
#define ELF_SEGMENT_SIZE 56u
#define ELF_SECTION_SIZE 64u

/* More program headers than any memory has separate ranges; a bound for hostile counts. */
#define ELF_SEGMENT_LIMIT (1u << 22)

struct elf_header {
	bool is_64, big_endian;
	uint16_t type, machine;
	uint32_t flags;
	uint64_t segment_offset; /* of the program headers, in the file */
	uint32_t segment_count;  /* PN_XNUM: e_phnum cannot hold it, section header 0 does */
	uint64_t section_offset; /* of that; 0 otherwise */
	uint16_t segment_entry_size;
};

struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct elf_note {
	struct bytes name; /* without the NULs at its end */
	struct bytes description;
	uint32_t type;
};

/* Whether a file starts as ELF does. */
bool elf_is_magic(struct bytes file);

/* Decodes a file's first ELF_HEADER_SIZE bytes; NULL, or what is wrong with them: "its ...". */
const char *elf_header_decode(struct bytes head, struct elf_header *out);

/* Sets the count from section header 0, ELF_SECTION_SIZE bytes; NULL, or what is wrong with it. */
const char *elf_large_count_decode(struct bytes section, struct elf_header *header);

/* As is_64 and not big_endian, whatever the header says of that. */
void elf_header_encode(const struct elf_header *header, uint8_t out[ELF_HEADER_SIZE]);

/* Whether e_phnum cannot hold the count: then section header 0 follows the program headers. */
static inline bool elf_has_large_count(const struct elf_header *header)
{
	return header->segment_count >= PN_XNUM;
}

/* Section header 0, which holds the count. */
void elf_large_count_encode(const struct elf_header *header, uint8_t out[ELF_SECTION_SIZE]);

/* Decodes one of the program headers that a table holds; false if it ends before it. */
bool elf_segment_decode(struct bytes table, const struct elf_header *header, uint32_t index,
			struct elf_segment *out);

void elf_segment_encode(const struct elf_segment *segment, uint8_t out[ELF_SEGMENT_SIZE]);

/*
 * Decodes the note at *offset of a note segment and moves *offset to the next. False at the end,
 * and then *offset is notes.size, or at a note that does not fit, where *offset stays.
 */
bool elf_note_decode(struct bytes notes, const struct elf_header *header, uint64_t alignment,
		     uint64_t *offset, struct elf_note *out);

/* Bytes that a note takes, with an alignment of 4. Its name and description are below 2 GiB. */
uint64_t elf_note_size(const struct elf_note *note);
void elf_note_encode(const struct elf_note *note, uint8_t *out);

bool elf_note_is(const struct elf_note *note, const char *name, uint32_t type);

/* The build id in a segment's notes: from 1 to ELF_BUILD_ID_LIMIT bytes of them; false if there is none. */
#define ELF_BUILD_ID_LIMIT 64 /* SHA-1 has 20 */
bool elf_build_id(struct bytes notes, const struct elf_header *header, uint64_t alignment,
		  struct bytes *out);

/* Notes that carry the registers of one CPU; best first, as only the first two have CR3. */
enum elf_register_note {
	ELF_REGISTERS_QEMU,
	ELF_REGISTERS_VIRTUALBOX,
	ELF_REGISTERS_PRSTATUS,
	ELF_REGISTERS_NONE,
};

struct elf_registers {
	uint64_t cr3; /* 0: the note does not say */
	uint64_t rip, rsp, rbp;
};

/* Decodes the registers of an x86-64 CPU. */
enum elf_register_note elf_registers_decode(const struct elf_header *header,
					    const struct elf_note *note, struct elf_registers *out);

#endif
