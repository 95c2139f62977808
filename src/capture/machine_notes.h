/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ELF cores and kdump images say of their machine besides its memory. */
#ifndef CAPTURE_MACHINE_NOTES_H
#define CAPTURE_MACHINE_NOTES_H

#include "capture/writer.h"

struct machine_notes {
	uint8_t *data; /* ELF notes: the CPUs' registers, if the source has them, and VMCOREINFO */
	size_t size;
	struct bytes vmcoreinfo; /* the text, in data; empty if it is unknown */
	size_t vmcoreinfo_offset;
	uint32_t cpu_count; /* at least 1 */
	uint16_t machine;   /* EM_X86_64 or EM_AARCH64 */
};

/* machine_notes_release() in any case. Errors: NO_MEMORY. */
enum kioku_status machine_notes_make(const struct image_writer *writer, struct machine_notes *out,
				     struct kioku_error *error);
void machine_notes_release(struct machine_notes *notes);

#endif
