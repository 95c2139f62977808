/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file that says what a kernel's types or symbols are: recognised by its content, whatever its name. What it
 * says of the kernel that it is of goes with it.
 */
#ifndef KERNEL_TYPE_FILE_H
#define KERNEL_TYPE_FILE_H

#include "format/elf_format.h"
#include "symbol/symbols.h"
#include "type/types.h"

#define TYPE_FILE_BANNER 512

struct profile;

struct type_file {
	const char *path; /* borrowed */
	const char *form; /* "DWARF", "BTF", "volatility3's symbol table", "System.map" ... */
	struct kioku_types *types; /* NULL: none */
	struct bytes
		member_evidence; /* of types that were inferred, see member_evidence.h; otherwise none */
	struct kioku_symbols
		*symbols; /* where the kernel was linked to, or ran elsewhere; NULL: none */
	char banner[TYPE_FILE_BANNER]; /* without the newline; "": it does not say */
	uint8_t build_id[ELF_BUILD_ID_LIMIT];
	size_t build_id_size; /* 0: it does not say */
	char release[128]; /* of a module's file: the kernel that it was made for; "" otherwise */
	char version[64]; /* of layouts made from source: the source's; "" otherwise, as the next */
	char local_version[64]; /* what the release has of its configuration */
	char flaw[128];         /* what of it is missing; "": nothing */
	/* What the above is read from, as far as it still is. */
	struct bytes mapped;
	void *unpacked;
	struct profile *profile;
};

/*
 * A file for --types. Errors: OS; REFUSED (nothing that is known, of another architecture, damaged, or
 * without types); UNSUPPORTED (this build cannot read it); LIMIT, NO_MEMORY.
 */
enum kioku_status type_file_open(const char *path, struct type_file **out,
				 struct kioku_error *error);

/* A file for --symbols: a text, or one of those that have types, too. Errors: likewise. */
enum kioku_status symbol_file_open(const char *path, struct type_file **out,
				   struct kioku_error *error);

void type_file_close(struct type_file *file); /* NULL is fine */
DEFINE_CLEANUP(type_file, struct type_file, type_file_close)
#define AUTO_TYPE_FILE CLEANUP(cleanup_type_file)

/*
 * The same from bytes, which must outlive it: what type_file_open() does with a file's, but for DWARF, which libdw
 * reads from a descriptor (-1: there is none). wants_types: it is no error to have symbols only.
 */
enum kioku_status type_file_read(struct type_file *file, struct bytes content, int descriptor,
				 bool wants_types, struct kioku_error *error);

#endif
