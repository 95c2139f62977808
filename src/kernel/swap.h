/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What was swapped out: what a page table entry without a page says, and where the page is now. A page that
 * cannot be had is an error that says why, never zeros.
 */
#ifndef KERNEL_SWAP_H
#define KERNEL_SWAP_H

#include "kernel/kernel.h"

/* A page in a swap area: the number of the area, and of the page in it (0 is the area's header). */
struct swap_slot {
	uint32_t type;
	uint64_t offset;
};

enum swap_entry_kind {
	SWAP_ENTRY_NONE,      /* nothing was ever there, or it is present */
	SWAP_ENTRY_SLOT,      /* swapped out */
	SWAP_ENTRY_MIGRATION, /* in RAM: it was being moved to another frame */
	SWAP_ENTRY_POISON,    /* lost by broken memory */
	SWAP_ENTRY_DEVICE,    /* in the memory of a device */
	SWAP_ENTRY_MARKER,    /* no page: a note of userfaultfd, or a guard */
	SWAP_ENTRY_UNKNOWN
};

/*
 * What a page table entry of x86-64 (or a huge one of the level above) that is not present says. *slot is
 * filled in for a slot, *physical, in bytes, for an entry under migration; both may be NULL.
 * Sources: include/linux/swapops.h, arch/x86/include/asm/pgtable_64.h, v4.18 to v7.0.
 */
enum swap_entry_kind swap_decode(struct kioku_kernel *kernel, uint64_t pte, struct swap_slot *slot,
				 uint64_t *physical);

/*
 * The slot of an integer in the page cache of a tmpfs file (mm/shmem.c), as xarray_each() gives it; index
 * is that of the page, from the first one that the entry stands for.
 */
struct swap_slot swap_slot_of_value(struct kioku_kernel *kernel, uint64_t value, uint64_t index);

enum swap_place {
	SWAP_PLACE_NONE,
	SWAP_PLACE_CACHE, /* the swap cache: still, or again, in RAM */
	SWAP_PLACE_ZERO,  /* the kernel noted that it is all zeros */
	SWAP_PLACE_ZSWAP, /* compressed, in RAM */
	SWAP_PLACE_ZRAM,  /* compressed, in a disk that is RAM */
	SWAP_PLACE_FILE,  /* the image of a swap area */
};

/* Where a page came from. */
struct swap_origin {
	enum swap_place place;
	/* It is of a file, and nothing in such a file proves it to be of the same moment as the image. */
	bool may_be_stale;
};

const char *swap_place_name(enum swap_place place);

/*
 * Reads a page (PAGE_SIZE bytes) from wherever it is. origin may be NULL.
 * Errors: PAGED_OUT, with a message that says why it cannot be had: no file was given for its area, the
 * slot is free, it is compressed by what kioku does not know, or damaged; NO_MEMORY.
 */
enum kioku_status swap_read(struct kioku_kernel *kernel, struct swap_slot slot, void *page,
			    struct swap_origin *origin, struct kioku_error *error);

/*
 * Adds the image of a swap area: kioku_kernel_add_swap().
 * Errors: OS, CORRUPT (no swap area), REFUSED (of none of this kernel's areas), UNSUPPORTED.
 */
enum kioku_status swap_add_file(struct kioku_kernel *kernel, const char *path,
				struct kioku_error *error);

/* Says of each area how many pages came from its file, or would have needed one. */
void swap_say_use(const struct kioku_kernel *kernel);

/* Closes what was opened. */
struct swap;
void swap_close(struct swap *swap);

#endif
