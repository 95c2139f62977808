/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel image as page tables map it: where text, rodata and data lie, told apart by their
 * permissions alone (facts measured on 5.10 to 7.2: text is read-execute, rodata read-only, data
 * and bss read-write).
 */
#ifndef KERNEL_IMAGE_H
#define KERNEL_IMAGE_H

#include "address/address.h"
#include "base/window.h"

/* arch/x86/include/asm/page_64_types.h: the kernel is linked here, within 1 GiB. */
#define KERNEL_MAP_START 0xffffffff80000000ull
#define KERNEL_MAP_LAST  0xffffffffbfffffffull

struct image {
	struct mapping
		*runs; /* ascending, contiguous in virtual and physical, one permission each */
	size_t run_count, run_capacity;
	uint64_t start;    /* virtual address of the first mapped byte: _text */
	uint64_t end;      /* after the last mapped byte */
	uint64_t physical; /* of start */
};

/*
 * Collects what space maps in the kernel's 1 GiB.
 * Errors: NOT_FOUND (nothing that looks like an image: too small, or not contiguous).
 */
enum kioku_status image_map(struct kioku_address_space *space, struct image *out,
			    struct kioku_error *error);
void image_release(struct image *image);

static inline bool image_contains(const struct image *image, uint64_t virtual)
{
	return virtual >= image->start && virtual < image->end;
}

/* x86-64 kernels are contiguous in physical memory, whatever KASLR did. */
static inline uint64_t image_to_physical(const struct image *image, uint64_t virtual)
{
	return virtual - image->start + image->physical;
}

/* Whether a run may hold constants: readable and neither written nor executed, if told apart. */
bool image_run_is_rodata(const struct mapping *run);

/* A window on a stretch of kernel memory, read through space. */
struct image_window {
	struct window window; /* first: fetch gets a pointer to it */
	struct kioku_address_space *space;
	uint8_t *buffer;
	uint8_t *fetched; /* one state per page */
};

enum kioku_status image_window_open(struct kioku_address_space *space, uint64_t virtual,
				    uint64_t size, struct image_window *out,
				    struct kioku_error *error);
void image_window_close(struct image_window *window);
#define AUTO_IMAGE_WINDOW CLEANUP(image_window_close)

/*
 * Opens a window on all of the next run from *index on that may hold data, that is, all but constants, and moves
 * *index behind it. NULL: there is none any more. What cannot be opened is passed over.
 */
const struct mapping *image_next_data(struct kioku_address_space *space, const struct image *image,
				      size_t *index, struct image_window *out);

#endif
