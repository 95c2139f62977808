/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compressed kdump (diskdump) images of 64-bit little-endian machines, as makedumpfile and QEMU
 * write them: makedumpfile's diskdump_mod.h and IMPLEMENTATION; crash's diskdump.h for what has one
 * bitmap only. Blocks, in this order: header, sub-header, bitmap of the pages that exist, bitmap of
 * those that were dumped, a descriptor for each of the latter, their bytes.
 */
#ifndef FORMAT_KDUMP_FORMAT_H
#define FORMAT_KDUMP_FORMAT_H

#include "base/bytes.h"

#define KDUMP_VERSION         6u /* of what is encoded */
#define KDUMP_HEADER_SIZE     0x1d0u
#define KDUMP_STATUS_OFFSET   0x1a8u /* u32, of the header */
#define KDUMP_SUB_HEADER_SIZE 104u   /* in block 1, notes may follow it */
#define KDUMP_PAGE_SIZE       24u    /* of a page's descriptor */

/* Status of the header and flags of a page: how pages are compressed. */
#define KDUMP_ZLIB       0x01u
#define KDUMP_LZO        0x02u
#define KDUMP_SNAPPY     0x04u
#define KDUMP_INCOMPLETE 0x08u /* status only: it ran out of space */
#define KDUMP_ZSTD       0x20u

struct kdump_header {
	bool has_sub_header;
	uint32_t version;
	char machine[65]; /* as uname -m has it */
	uint32_t status;
	uint32_t block_size; /* bytes in a page, and in a block of the file */
	uint64_t
		page_count; /* of the physical address space: one past the last page frame number */

	uint64_t bitmap_offset, bitmap_size; /* of one bitmap, in bytes */
	bool has_two_bitmaps;
	uint64_t pages_offset; /* of the descriptors */

	/* From the sub-header; sizes are 0 if its version has no such thing. */
	bool is_split; /* only pages [split_start, split_end) are in this file */
	uint64_t split_start, split_end;
	uint64_t vmcoreinfo_offset, vmcoreinfo_size, notes_offset, notes_size;
};

struct kdump_page {
	uint64_t offset; /* in the file; 0: it was lost */
	uint32_t size, flags;
};

bool kdump_is_magic(struct bytes file);

/* Decodes the first KDUMP_HEADER_SIZE bytes; NULL, or what is wrong with it: "its ...". */
const char *kdump_header_decode(struct bytes head, struct kdump_header *out);

/*
 * Adds what the KDUMP_SUB_HEADER_SIZE bytes of block 1 say, as far as the header's version has it.
 * Its phys_base is not among that: QEMU writes a wrong one.
 */
const char *kdump_sub_header_decode(struct bytes sub_header, struct kdump_header *out);

/* What no page is found with: names as uname has them, and what debuggers show. */
#define KDUMP_NAME_SIZE 65u
enum kdump_name { KDUMP_SYSTEM, KDUMP_NODE, KDUMP_RELEASE, KDUMP_KERNEL_VERSION, KDUMP_MACHINE };

struct kdump_identity {
	char names[KDUMP_MACHINE + 1][KDUMP_NAME_SIZE];
	uint64_t time; /* seconds since 1970 */
	uint32_t cpu_count;
	uint64_t phys_base; /* arch/x86/kernel/head64.c; a signed number */
};

/*
 * Chooses where everything lies, for a page_count and a block_size, with so many bytes of notes
 * right after the sub-header.
 */
void kdump_header_place(struct kdump_header *header, uint64_t notes_size);

/* Of the header, and of the machine as in it. */
void kdump_header_encode(const struct kdump_header *header, const struct kdump_identity *identity,
			 uint8_t out[KDUMP_HEADER_SIZE]);
void kdump_sub_header_encode(const struct kdump_header *header,
			     const struct kdump_identity *identity,
			     uint8_t out[KDUMP_SUB_HEADER_SIZE]);

void kdump_page_encode(const struct kdump_page *page, uint8_t out[KDUMP_PAGE_SIZE]);
void kdump_page_decode(const uint8_t raw[KDUMP_PAGE_SIZE], struct kdump_page *out);

/* One bit for each page, the least significant of byte 0 first; pages past the end are not in it. */
struct kdump_bitmaps {
	struct bytes exists, dumped;
	uint64_t page_count;
};

bool kdump_is_dumped(const struct kdump_bitmaps *bitmaps, uint64_t page);

/* One entry for so many pages: the number of dumped pages before. */
#define KDUMP_RANK_STEP 4096u

/* Fills in page_count / KDUMP_RANK_STEP + 1 entries. */
void kdump_ranks_fill(const struct kdump_bitmaps *bitmaps, uint64_t *ranks);

/* How many dumped pages there are before this one, which is at most page_count. */
uint64_t kdump_rank(const struct kdump_bitmaps *bitmaps, const uint64_t *ranks, uint64_t page);

enum kdump_state { KDUMP_NOTHING, KDUMP_DUMPED, KDUMP_EXCLUDED };

struct kdump_run {
	uint64_t start, count; /* pages */
	enum kdump_state state;
};

/*
 * The run of pages in one state that starts at page; false at the end. granule is 1 or a multiple
 * of 64: so many pages count as dumped if one of them is, else as excluded if one exists.
 */
bool kdump_run_at(const struct kdump_bitmaps *bitmaps, uint64_t page, uint64_t granule,
		  struct kdump_run *out);

#endif
