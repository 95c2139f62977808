/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ELF notes about a machine, which ELF cores and kdump images both carry. */
#ifndef SOURCE_NOTES_H
#define SOURCE_NOTES_H

#include "format/elf_format.h"
#include "source/driver.h"

struct note_reading {
	struct kioku_source *source;
	const struct elf_header *header;

	enum elf_register_note cpu_note; /* where the CPUs so far are from; NONE at first */
	uint32_t count;
	bool of_machine, of_process; /* a note says that this is an image of one */
};

/*
 * Takes CPUs and VMCOREINFO from notes, which must live as long as the source. *used: how many
 * bytes there were notes in; less than all of them: the rest is damaged. Errors: NO_MEMORY.
 */
enum kioku_status notes_read(struct note_reading *reading, struct bytes notes, uint64_t alignment,
			     uint64_t *used, struct kioku_error *error);

#endif
