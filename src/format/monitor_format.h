/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What QEMU's monitor prints for people, in answer to "info mtree -f" (system/memory.c,
 * mtree_print_flatview()), "info memdev" (hw/core/machine-hmp-cmds.c), "info registers -a"
 * (target/i386/cpu-dump.c) and "info version". QEMU 5.2 to 10 print them alike.
 */
#ifndef FORMAT_MONITOR_FORMAT_H
#define FORMAT_MONITOR_FORMAT_H

#include <kioku/source.h>

#include "base/bytes.h"

enum monitor_kind {
	MONITOR_RAM,
	MONITOR_ROM,   /* also RAM that the machine may not write now, as below 1 MiB on PCs */
	MONITOR_OTHER, /* devices, their memory, memory that outlives the machine */
};

struct monitor_region {
	uint64_t start, size; /* guest-physical addresses; size is never 0 */
	uint64_t offset;      /* of start, in what has the name */
	enum monitor_kind kind;
	struct bytes name; /* of the memory backend, of RAM; part of the text */
};

/*
 * Of "info mtree -f": the next region of the machine's memory as its CPUs see it, at or after *offset,
 * which is 0 at first and moves on. Nothing keeps regions from overlapping but QEMU; false: there is
 * none, or *damaged, because a line is no such region.
 */
bool monitor_next_region(struct bytes text, size_t *offset, struct monitor_region *out,
			 bool *damaged);

/* Of "info memdev": the next name, likewise. */
bool monitor_next_backend(struct bytes text, size_t *offset, struct bytes *name);

/* Whether a region is of the backend of that name, which its path may stand in front of. */
bool monitor_is_of(const struct monitor_region *region, struct bytes backend);

/* Of "info registers -a" of an x86-64 machine: the registers of the next CPU, likewise. */
bool monitor_next_cpu(struct bytes text, size_t *offset, struct kioku_cpu *out);

/* Of "info version": "7.2.1..." is 7 and 2. */
bool monitor_version(struct bytes text, unsigned *major, unsigned *minor);

#endif
