/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The header of an ELF file, and its program headers. */
#ifndef SOURCE_ELF_TABLE_H
#define SOURCE_ELF_TABLE_H

#include "base/error.h"
#include "format/elf_format.h"
#include "source/image_file.h"

/*
 * *table: as much of the program headers as is there, which lives as long as the file. Errors: CORRUPT,
 * NO_MEMORY.
 */
enum kioku_status elf_table_read(struct image_file *file, struct elf_header *header,
				 struct bytes *table, struct kioku_error *error);

#endif
