/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "source/elf_table.h"

enum kioku_status elf_table_read(struct image_file *file, struct elf_header *header,
				 struct bytes *table, struct kioku_error *error)
{
	uint8_t head[ELF_HEADER_SIZE], section[ELF_SECTION_SIZE];
	const char *unused;
	bool is_there;

	size_t size = image_file_read(file, 0, head, sizeof(head), &unused);
	const char *problem = elf_header_decode((struct bytes){ head, size }, header);
	if (!problem && header->segment_count == PN_XNUM) {
		size = image_file_read(file, header->section_offset, section, sizeof(section),
				       &unused);
		problem = elf_large_count_decode((struct bytes){ section, size }, header);
	}
	if (!problem && header->segment_count > 0 && header->segment_offset > file->size)
		problem = "its ELF header puts the program headers outside the file";
	if (problem)
		return error_set(error, KIOKU_ERROR_CORRUPT, "%s", problem);

	uint64_t table_size = (uint64_t)header->segment_count * header->segment_entry_size;
	uint64_t there = image_file_run(file, header->segment_offset, table_size, &is_there);
	if (table_size == 0 || !is_there)
		return KIOKU_OK;
	return image_file_keep(file, header->segment_offset, there, table, error);
}
