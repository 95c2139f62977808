/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/kdump_format.h"

#define WORD 64u /* pages */

/* Bytes: more than any machine has. */
#define MEMORY_LIMIT (1ull << 56)

bool kdump_is_magic(struct bytes file)
{
	return bytes_match(file, 0, "KDUMP   ") || bytes_match(file, 0, "DISKDUMP");
}

static const char *place_bitmaps(uint32_t sub_header_blocks, uint32_t bitmap_blocks,
				 struct kdump_header *out)
{
	/* Products of 32-bit numbers: no overflow. */
	uint64_t block_size = out->block_size, total = bitmap_blocks * block_size;
	uint64_t needed = (out->page_count / 8 / block_size + 1) * block_size;

	if (out->page_count % (8 * block_size) == 0)
		needed -= block_size;
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
	header.version = load_le32(head.data + 8);
	if (header.version > 6)
		return "its header is of an unknown version, or of a big-endian machine";
	memcpy(header.machine, head.data + 12 + 4 * 65, sizeof(header.machine) - 1);
	header.status = load_le32(head.data + 0x1a8);
	header.block_size = load_le32(head.data + 0x1ac);
	if (header.block_size < 4096 || header.block_size > 65536 ||
	    (header.block_size & (header.block_size - 1)))
		return "its header has an impossible block size, or is of a 32-bit machine";
	header.page_count = load_le32(head.data + 0x1b8);
	const char *problem =
		place_bitmaps(load_le32(head.data + 0x1b0), load_le32(head.data + 0x1b4), &header);
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
		out->is_split = load_le32(data + 12) != 0;
		out->split_start = load_le64(data + 16);
		out->split_end = load_le64(data + 24);
	}
	if (out->version >= 3) {
		out->vmcoreinfo_offset = load_le64(data + 32);
		out->vmcoreinfo_size = load_le64(data + 40);
	}
	if (out->version >= 4) {
		out->notes_offset = load_le64(data + 48);
		out->notes_size = load_le64(data + 56);
	}
	if (out->version < 6)
		return NULL;
	out->split_start = load_le64(data + 80);
	out->split_end = load_le64(data + 88);
	uint64_t bitmaps = out->pages_offset - out->bitmap_offset;
	out->page_count = load_le64(data + 96);
	if (out->page_count > MEMORY_LIMIT / out->block_size)
		return "its sub-header has more pages than any machine";
	return place_bitmaps((uint32_t)(out->bitmap_offset / out->block_size - 1),
			     (uint32_t)(bitmaps / out->block_size), out);
}

void kdump_page_decode(const uint8_t raw[KDUMP_PAGE_SIZE], struct kdump_page *out)
{
	*out = (struct kdump_page){ load_le64(raw), load_le32(raw + 8), load_le32(raw + 12) };
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
