/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs and libraries in the memory of a process, by what their own headers say there: System V gABI chapter 5. */
#ifndef KERNEL_MAPPED_ELF_H
#define KERNEL_MAPPED_ELF_H

#include "address/address.h"
#include "base/error.h"
#include "format/elf_format.h"

enum {
	ELF_MAPPED_SEGMENTS = 64, /* more than linkers make */
	ELF_MAPPED_NEEDED = 256,  /* libraries that one names */
	ELF_MAPPED_NAME = 256,    /* bytes of such a name, its NUL included */
};

struct mapped_elf {
	struct kioku_address_space *space;
	uint64_t start; /* address of the file's first byte */
	struct elf_header header;
	bool is_damaged; /* it starts as one does, and its header cannot be one */
	uint64_t base;   /* the address that the first byte has been linked for */
	uint8_t segments[ELF_MAPPED_SEGMENTS * ELF_SEGMENT_SIZE];
	size_t segments_size; /* bytes; 0: these were not read */
};

/*
 * Reads its header, and not yet its program headers. Errors: NOT_FOUND (it is none), CORRUPT (is_damaged), and
 * those of reading.
 */
enum kioku_status mapped_elf_open(struct kioku_address_space *space, uint64_t start,
				  struct mapped_elf *out);

/* Reads its program headers. Errors: CORRUPT (there are more than any file has), and those of reading. */
enum kioku_status mapped_elf_read_segments(struct mapped_elf *elf);

/* False: there are no more of them. */
bool mapped_elf_segment(const struct mapped_elf *elf, uint32_t index, struct elf_segment *out);

/* Where in memory a segment is: they lie to each other as they have been linked. */
uint64_t mapped_elf_place(const struct mapped_elf *elf, const struct elf_segment *segment);

/* What its dynamic section says. */
struct mapped_dynamic {
	uint64_t debug; /* DT_DEBUG: address of the loader's struct r_debug in a program; 0: none */
	bool has_text_relocations;  /* the loader writes into its code: DT_TEXTREL, DF_TEXTREL */
	uint64_t names, names_size; /* DT_STRTAB, as an address */
	uint64_t name;              /* DT_SONAME, in the above; 0: none */
	uint64_t needed[ELF_MAPPED_NEEDED];
	size_t needed_count;
};

/* Errors: NOT_FOUND (it has none: it is linked statically), and those of reading. */
enum kioku_status mapped_elf_dynamic(const struct mapped_elf *elf, struct mapped_dynamic *out);

/* One of its names. Errors: CORRUPT (it is none, or too long), and those of reading. */
enum kioku_status mapped_elf_name(const struct mapped_elf *elf,
				  const struct mapped_dynamic *dynamic, uint64_t offset,
				  char out[ELF_MAPPED_NAME]);

/* A text in a process's memory, without reading past the page that it ends in. Errors: LIMIT, those of reading. */
enum kioku_status mapped_text_read(struct kioku_address_space *space, uint64_t start, char *out,
				   size_t room);

#endif
