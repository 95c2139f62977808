/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel uses a page frame for, as its struct page says (include/linux/mm_types.h, page-flags.h,
 * v4.18 to v7.0). What it says nothing of is unknown.
 */
#ifndef KERNEL_FRAME_USE_H
#define KERNEL_FRAME_USE_H

#include "kernel/path.h"

enum frame_kind {
	FRAME_UNKNOWN,
	FRAME_FREE,      /* in the buddy allocator */
	FRAME_ANONYMOUS, /* memory of processes that is of no file */
	FRAME_KSM,       /* the same, of equal content in several places */
	FRAME_FILE,      /* page cache, tmpfs and block devices included */
	FRAME_SLAB,
	FRAME_TABLE,    /* a page table */
	FRAME_RESERVED, /* the kernel's image, what it allocated early, or the firmware's */
};

struct frame_use {
	enum frame_kind kind;
	uint64_t inode; /* of FILE, address */
	uint64_t cache; /* struct kmem_cache of SLAB */
};

/* How a page's type is kept. */
enum page_type_form {
	PAGE_TYPE_MACROS, /* before v6.10: not in BTF */
	PAGE_TYPE_BITS,   /* v6.10: enum pagetype, a bit cleared for each */
	PAGE_TYPE_TOP,    /* v6.12: enum pagetype, a number in the top byte */
};

struct frame_reader {
	struct kioku_kernel *kernel;
	const struct binding *page, *slab; /* the same before v5.17 */
	uint64_t slab_flag, reserved_flag; /* 0: there is none */
	enum page_type_form form;
	uint32_t base, buddy, slab_type, table; /* 0: there is none */
};

/* Errors: UNSUPPORTED (types, or the array of struct page). */
enum kioku_status frame_reader_open(struct kioku_kernel *kernel, struct frame_reader *out,
				    struct kioku_error *error);

/* Errors: ABSENT, UNMAPPED (there is no struct page of it). */
enum kioku_status frame_use_read(const struct frame_reader *reader, uint64_t physical,
				 struct frame_use *out);

struct frame_slab {
	uint64_t cache; /* struct kmem_cache */
	uint32_t objects;
};

/* The slab that begins with a frame. False: none does, or it is not known. */
bool frame_slab_read(const struct frame_reader *reader, uint64_t physical, struct frame_slab *out);

/*
 * The name of a slab cache, or the path of a file inside of its file system.
 * Errors: NOT_FOUND (it has no name), and those of the path; the text is empty then.
 */
enum kioku_status frame_use_name(const struct frame_reader *reader, const struct frame_use *use,
				 struct path_text *out);

#endif
