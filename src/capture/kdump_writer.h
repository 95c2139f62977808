/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of a kdump image that are known before any memory is read. */
#ifndef CAPTURE_KDUMP_WRITER_H
#define CAPTURE_KDUMP_WRITER_H

#include "capture/machine_notes.h"
#include "format/kdump_format.h"

/*
 * How many pages the plan's ranges touch, all of them or those that are stored, and one past the
 * number of the last such page.
 */
uint64_t kdump_count_pages(const struct plan *plan, bool is_stored, uint64_t *end);

/* Appends a bitmap of the same pages, size bytes, without ever holding much of it. */
enum kioku_status kdump_emit_bitmap(struct image_writer *writer, bool is_stored, uint64_t size,
				    struct kioku_error *error);

/* What is known of the machine's names; the rest is empty. */
void kdump_identify(const struct image_writer *writer, const struct machine_notes *notes,
		    struct kdump_identity *out);

#endif
