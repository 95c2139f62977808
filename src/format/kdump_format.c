/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/kdump_format.h"

#define WORD 64u /* pages */

/* Bytes: more than any machine has. */
#define MEMORY_LIMIT (1ull << 56)

/* Offsets in the header; u32 but for the magic, the names and the time. */
enum {
	MAGIC = 0,
	VERSION = 8,
	NAMES = 12,
	TIME = 0x198, /* u64 seconds, u64 microseconds */
	STATUS = KDUMP_STATUS_OFFSET,
	BLOCK_SIZE = 0x1ac,
	SUB_HEADER_BLOCKS = 0x1b0,
	BITMAP_BLOCKS = 0x1b4,
	PAGE_COUNT_32 = 0x1b8, /* as much of it as fits */
	CPU_COUNT = 0x1cc,
};

/* Offsets in the sub-header; u64 but for the first version's is_split. */
enum {
	PHYS_BASE = 0,
	IS_SPLIT = 12,
	SPLIT_START_32 = 16, /* of a version before 6 */
	SPLIT_END_32 = 24,
	VMCOREINFO_OFFSET = 32,
	VMCOREINFO_SIZE = 40,
	NOTES_OFFSET = 48,
	NOTES_SIZE = 56,
	SPLIT_START = 80,
	SPLIT_END = 88,
	PAGE_COUNT = 96,
};

/* Offsets in a page's descriptor; page_flags, a u64 at 16, is 0 in all files. */
enum { PAGE_OFFSET = 0, PAGE_SIZE = 8, PAGE_FLAGS = 12 };

bool kdump_is_magic(struct bytes file)
{
	return bytes_match(file, 0, "KDUMP   ") || bytes_match(file, 0, "DISKDUMP");
}

/* Of one bitmap, in whole blocks. */
static uint64_t bitmap_size(uint64_t page_count, uint64_t block_size)
{
	return (page_count / 8 / block_size + (page_count % (8 * block_size) != 0)) * block_size;
}

static const char *place_bitmaps(uint32_t sub_header_blocks, uint32_t bitmap_blocks,
				 struct kdump_header *out)
{
	/* Products of 32-bit numbers: no overflow. */
	uint64_t block_size = out->block_size, total = bitmap_blocks * block_size;
	uint64_t needed = bitmap_size(out->page_count, block_size);

	out->has_two_bitmaps = total >= 2 * needed;
	out->bitmap_size = out->has_two_bitmaps ? bitmap_blocks / 2 * block_size : total;
	out->bitmap_offset = (1 + (uint64_t)sub_header_blocks) * block_size;
	out->pages_offset = out->bitmap_offset + total;
	return out->bitmap_size < needed ? "its bitmaps are smaller than its memory" : NULL;
}

const char *kdump_header_decode(struct bytes head, struct kdump_header *out)
{
	struct kdump_header header = { .has_sub_header = bytes_match(head, 0, "KDUMP   ") };

	if (!kdump_is_magic(head))
		return "it does not start as kdump images do";
	if (head.size < KDUMP_HEADER_SIZE)
		return "its header is cut short by the end of the file";
	header.version = load_le32(head.data + VERSION);
	if (header.version > 6)
		return "its header is of an unknown version, or of a big-endian machine";
	memcpy(header.machine, head.data + NAMES + KDUMP_MACHINE * KDUMP_NAME_SIZE,
	       sizeof(header.machine) - 1);
	header.status = load_le32(head.data + STATUS);
	header.block_size = load_le32(head.data + BLOCK_SIZE);
	if (header.block_size < 4096 || header.block_size > 65536 ||
	    (header.block_size & (header.block_size - 1)))
		return "its header has an impossible block size, or is of a 32-bit machine";
	header.page_count = load_le32(head.data + PAGE_COUNT_32);
	const char *problem = place_bitmaps(load_le32(head.data + SUB_HEADER_BLOCKS),
					    load_le32(head.data + BITMAP_BLOCKS), &header);
	if (!problem)
		*out = header;
	return problem;
}

const char *kdump_sub_header_decode(struct bytes sub_header, struct kdump_header *out)
{
	const uint8_t *data = sub_header.data;

	if (sub_header.size < KDUMP_SUB_HEADER_SIZE)
		return "its sub-header is cut short by the end of the file";
	if (out->version >= 2) {
		out->is_split = load_le32(data + IS_SPLIT) != 0;
		out->split_start = load_le64(data + SPLIT_START_32);
		out->split_end = load_le64(data + SPLIT_END_32);
	}
	if (out->version >= 3) {
		out->vmcoreinfo_offset = load_le64(data + VMCOREINFO_OFFSET);
		out->vmcoreinfo_size = load_le64(data + VMCOREINFO_SIZE);
	}
	if (out->version >= 4) {
		out->notes_offset = load_le64(data + NOTES_OFFSET);
		out->notes_size = load_le64(data + NOTES_SIZE);
	}
	if (out->version < 6)
		return NULL;
	out->split_start = load_le64(data + SPLIT_START);
	out->split_end = load_le64(data + SPLIT_END);
	uint64_t bitmaps = out->pages_offset - out->bitmap_offset;
	out->page_count = load_le64(data + PAGE_COUNT);
	if (out->page_count > MEMORY_LIMIT / out->block_size)
		return "its sub-header has more pages than any machine";
	return place_bitmaps((uint32_t)(out->bitmap_offset / out->block_size - 1),
			     (uint32_t)(bitmaps / out->block_size), out);
}

void kdump_header_place(struct kdump_header *header, uint64_t notes_size)
{
	uint64_t block_size = header->block_size, notes = block_size + KDUMP_SUB_HEADER_SIZE;

	header->notes_offset = notes;
	header->notes_size = notes_size;
	header->bitmap_offset = (notes + notes_size + block_size - 1) / block_size * block_size;
	header->bitmap_size = bitmap_size(header->page_count, block_size);
	header->has_two_bitmaps = true;
	header->pages_offset = header->bitmap_offset + 2 * header->bitmap_size;
}

void kdump_header_encode(const struct kdump_header *header, const struct kdump_identity *identity,
			 uint8_t out[KDUMP_HEADER_SIZE])
{
	uint64_t block_size = header->block_size, page_count = header->page_count;
	uint64_t bitmaps = header->pages_offset - header->bitmap_offset;

	memset(out, 0, KDUMP_HEADER_SIZE);
	memcpy(out + MAGIC, "KDUMP   ", 8);
	store_le32(out + VERSION, KDUMP_VERSION);
	memcpy(out + NAMES, identity->names, sizeof(identity->names));
	store_le64(out + TIME, identity->time);
	store_le32(out + STATUS, header->status);
	store_le32(out + BLOCK_SIZE, header->block_size);
	store_le32(out + SUB_HEADER_BLOCKS, (uint32_t)(header->bitmap_offset / block_size - 1));
	store_le32(out + BITMAP_BLOCKS, (uint32_t)(bitmaps / block_size));
	store_le32(out + PAGE_COUNT_32,
		   page_count < UINT32_MAX ? (uint32_t)page_count : UINT32_MAX);
	store_le32(out + CPU_COUNT, identity->cpu_count);
}

void kdump_sub_header_encode(const struct kdump_header *header,
			     const struct kdump_identity *identity,
			     uint8_t out[KDUMP_SUB_HEADER_SIZE])
{
	memset(out, 0, KDUMP_SUB_HEADER_SIZE);
	store_le64(out + PHYS_BASE, identity->phys_base);
	store_le32(out + IS_SPLIT, header->is_split);
	store_le64(out + VMCOREINFO_OFFSET, header->vmcoreinfo_offset);
	store_le64(out + VMCOREINFO_SIZE, header->vmcoreinfo_size);
	store_le64(out + NOTES_OFFSET, header->notes_offset);
	store_le64(out + NOTES_SIZE, header->notes_size);
	store_le64(out + SPLIT_START, header->split_start);
	store_le64(out + SPLIT_END, header->split_end);
	store_le64(out + PAGE_COUNT, header->page_count);
}

void kdump_page_encode(const struct kdump_page *page, uint8_t out[KDUMP_PAGE_SIZE])
{
	memset(out, 0, KDUMP_PAGE_SIZE);
	store_le64(out + PAGE_OFFSET, page->offset);
	store_le32(out + PAGE_SIZE, page->size);
	store_le32(out + PAGE_FLAGS, page->flags);
}

void kdump_page_decode(const uint8_t raw[KDUMP_PAGE_SIZE], struct kdump_page *out)
{
	*out = (struct kdump_page){ load_le64(raw + PAGE_OFFSET), load_le32(raw + PAGE_SIZE),
				    load_le32(raw + PAGE_FLAGS) };
}

/* The bits of 64 pages from a multiple of 64 on. */
static uint64_t word_at(const struct kdump_bitmaps *bitmaps, struct bytes bitmap, uint64_t page)
{
	uint64_t word = load_le64(bitmap.data + page / 8), left = bitmaps->page_count - page;

	return left < WORD ? word & ((1ull << left) - 1) : word;
}

bool kdump_is_dumped(const struct kdump_bitmaps *bitmaps, uint64_t page)
{
	return page < bitmaps->page_count && (bitmaps->dumped.data[page / 8] >> page % 8 & 1);
}

void kdump_ranks_fill(const struct kdump_bitmaps *bitmaps, uint64_t *ranks)
{
	uint64_t rank = 0;

	ranks[0] = 0;
	for (uint64_t page = 0; page < bitmaps->page_count; page += WORD) {
		if (page % KDUMP_RANK_STEP == 0)
			ranks[page / KDUMP_RANK_STEP] = rank;
		rank += (unsigned)__builtin_popcountll(word_at(bitmaps, bitmaps->dumped, page));
	}
	if (bitmaps->page_count % KDUMP_RANK_STEP == 0)
		ranks[bitmaps->page_count / KDUMP_RANK_STEP] = rank;
}

uint64_t kdump_rank(const struct kdump_bitmaps *bitmaps, const uint64_t *ranks, uint64_t page)
{
	uint64_t at = page / KDUMP_RANK_STEP * KDUMP_RANK_STEP,
		 rank = ranks[page / KDUMP_RANK_STEP];

	for (; page - at >= WORD; at += WORD)
		rank += (unsigned)__builtin_popcountll(word_at(bitmaps, bitmaps->dumped, at));
	if (page > at) {
		uint64_t before = (1ull << (page - at)) - 1;
		uint64_t word = word_at(bitmaps, bitmaps->dumped, at);
		rank += (unsigned)__builtin_popcountll(word & before);
	}
	return rank;
}

static enum kdump_state granule_state(const struct kdump_bitmaps *bitmaps, uint64_t page,
				      uint64_t granule)
{
	uint64_t left = bitmaps->page_count - page, exists = 0;

	for (uint64_t i = 0; i < granule && i < left; i += WORD) {
		if (word_at(bitmaps, bitmaps->dumped, page + i))
			return KDUMP_DUMPED;
		exists |= word_at(bitmaps, bitmaps->exists, page + i);
	}
	return exists ? KDUMP_EXCLUDED : KDUMP_NOTHING;
}

static enum kdump_state page_state(const struct kdump_bitmaps *bitmaps, uint64_t page)
{
	if (kdump_is_dumped(bitmaps, page))
		return KDUMP_DUMPED;
	return bitmaps->exists.data[page / 8] >> page % 8 & 1 ? KDUMP_EXCLUDED : KDUMP_NOTHING;
}

/* Whether the 64 pages from a multiple of 64 on are all in a state. */
static bool whole_word(const struct kdump_bitmaps *bitmaps, uint64_t page, enum kdump_state state)
{
	if (bitmaps->page_count - page < WORD)
		return false;
	uint64_t dumped = word_at(bitmaps, bitmaps->dumped, page);
	if (state == KDUMP_DUMPED)
		return dumped == UINT64_MAX;
	return dumped == 0 && word_at(bitmaps, bitmaps->exists, page) ==
				      (state == KDUMP_EXCLUDED ? UINT64_MAX : 0);
}

bool kdump_run_at(const struct kdump_bitmaps *bitmaps, uint64_t page, uint64_t granule,
		  struct kdump_run *out)
{
	uint64_t end = page;

	if (page >= bitmaps->page_count)
		return false;
	enum kdump_state state =
		granule == 1 ? page_state(bitmaps, page) : granule_state(bitmaps, page, granule);
	while (end < bitmaps->page_count) {
		if (granule == 1 && end % WORD == 0 && whole_word(bitmaps, end, state)) {
			end += WORD;
			continue;
		}
		if ((granule == 1 ? page_state(bitmaps, end)
				  : granule_state(bitmaps, end, granule)) != state)
			break;
		end += granule;
	}
	end = end < bitmaps->page_count ? end : bitmaps->page_count;
	*out = (struct kdump_run){ page, end - page, state };
	return true;
}
