/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The swap areas of a kernel (struct swap_info_struct, mm/swapfile.c), and what it knows of their pages. */
#ifndef KERNEL_SWAP_AREA_H
#define KERNEL_SWAP_AREA_H

#include "base/page_set.h"
#include "format/swap_format.h"
#include "kernel/swap.h"
#include "source/image_file.h"

#define SWAP_AREA_LIMIT 32 /* 1 << MAX_SWAPFILES_SHIFT */

struct swap_area {
	bool is_used;
	uint64_t address;
	uint32_t type;
	uint64_t max;   /* pages, the header and bad ones included */
	uint64_t pages; /* that can be used */
	uint64_t swap_map, cluster_info, zeromap, bdev, swap_file;
	bool has_uuid; /* its header is still in the page cache */
	uint8_t uuid[SWAP_UUID_SIZE];
	char name[64]; /* last part of its path; empty if it cannot be had */

	struct image_file *file; /* given by the user; NULL: none */
	char *path;              /* of it */
	struct page_set touched;
	struct page_set read,
		lacking; /* slots that were read from it, and those that nothing had */
	int descriptor;
	uint64_t file_pages;
};

struct swap {
	bool areas_known; /* there was a symbol to read them by */
	uint32_t area_count;
	struct swap_area areas[SWAP_AREA_LIMIT];
	uint64_t stale_reads; /* of pages that may be, each time */

	/* Of entries in page tables: see swap_entry.c. */
	bool is_inverted_known;
	bool is_inverted; /* offsets are, since the L1TF mitigation */
	unsigned poison, migration_first, migration_count, device_first, device_count, marker;
};

/* Made when first needed. Errors: NO_MEMORY. */
enum kioku_status swap_know(struct kioku_kernel *kernel, struct swap **out,
			    struct kioku_error *error);

/* NULL if there is no such slot. */
struct swap_area *swap_area_of(struct swap *swap, struct swap_slot slot);

/* What the kernel has for a slot in its tables. */
struct swap_state {
	bool is_used; /* a process or a tmpfs file has it */
	bool is_zero; /* of zeros, and nowhere written */
	uint64_t
		page; /* struct page or folio in the swap cache, whose slot is to be checked; 0: none */
	uint64_t physical; /* of that page, where its frame is what the kernel keeps; 0: unknown */
};

/* Errors: PAGED_OUT (free, bad, or the tables are damaged), NO_MEMORY. */
enum kioku_status swap_area_state(struct kioku_kernel *kernel, const struct swap_area *area,
				  struct swap_slot slot, struct swap_state *out,
				  struct kioku_error *error);

/* swp_entry_t, as zswap and the swap cache have it: include/linux/swapops.h. */
static inline uint64_t swap_slot_value(struct swap_slot slot)
{
	return (uint64_t)slot.type << 58 | slot.offset;
}

/* Errors: PAGED_OUT. */
enum kioku_status swap_file_read(struct swap_area *area, uint64_t offset, void *page,
				 struct kioku_error *error);

/* Gives NOT_FOUND where zswap, or zram, does not have the slot. Errors: PAGED_OUT, NO_MEMORY. */
enum kioku_status zswap_read(struct kioku_kernel *kernel, struct swap_slot slot, void *page,
			     struct kioku_error *error);
enum kioku_status zram_read(struct kioku_kernel *kernel, const struct swap_area *area,
			    uint64_t offset, void *page, struct kioku_error *error);

/*
 * Unpacks a page by the name that the kernel's crypto API has for the codec: "lzo", "lzo-rle", "lz4",
 * "lz4hc", "zstd", "deflate". Errors: PAGED_OUT.
 */
enum kioku_status swap_decompress(const char *codec, const void *data, size_t size, void *page,
				  struct kioku_error *error);

/* Fills a page with one word. */
void swap_fill(void *page, uint64_t word);

#endif
