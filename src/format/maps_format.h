/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/PID/maps and /proc/PID/smaps: fs/proc/task_mmu.c, show_map_vma() and show_smap(). They are read
 * while a process is stopped, so that nothing here allocates.
 */
#ifndef FORMAT_MAPS_FORMAT_H
#define FORMAT_MAPS_FORMAT_H

#include "base/bytes.h"

/* Of the line VmFlags (show_smap_vma_flags()). */
enum mapping_flag {
	MAPPING_IO = 1 << 0,          /* io: registers of a device */
	MAPPING_PFN = 1 << 1,         /* pf: page frames without struct page */
	MAPPING_DONTFORK = 1 << 2,    /* dc: not inherited by a child */
	MAPPING_WIPEONFORK = 1 << 3,  /* wf: zeros in a child */
	MAPPING_HUGETLB = 1 << 4,     /* ht */
	MAPPING_USERFAULT = 1 << 5,   /* um, uw, ui: somebody serves its faults */
	MAPPING_LOCKED = 1 << 6,      /* lo */
	MAPPING_SHADOW_STACK = 1 << 7 /* ss */
};

/* One mapping. Sizes are bytes, and 0 where maps, or this kernel, does not tell. */
struct mapping {
	uint64_t start, end;  /* virtual addresses, whole pages */
	uint32_t permissions; /* PROT_READ, PROT_WRITE, PROT_EXEC */
	bool is_shared;
	uint64_t file_offset;
	uint32_t device_major, device_minor;
	uint64_t inode;    /* 0: of no file */
	struct bytes name; /* as it stands there: a newline is \012, and " (deleted)" may follow */
	uint64_t resident, swapped, anonymous, anonymous_huge;
	uint32_t flags; /* enum mapping_flag */
};

/*
 * Takes the next mapping from a text and moves *offset behind it; the name stays in the text. False at
 * the end, and at a line that is none, where *offset stays.
 */
bool mapping_decode(struct bytes text, uint64_t *offset, struct mapping *out);

#endif
