/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/kdump_format.h"
#include "fuzz.h"

/* Ranks and runs tell the same, whatever the bits are. */
static void read_bitmaps(struct bytes exists, struct bytes dumped, uint64_t page_count,
			 uint64_t granule)
{
	struct kdump_bitmaps bitmaps = { exists, dumped, page_count };
	uint64_t *ranks = calloc(page_count / KDUMP_RANK_STEP + 1, sizeof(*ranks));
	uint64_t page = 0, before = 0;
	struct kdump_run run;

	if (!ranks)
		return;
	kdump_ranks_fill(&bitmaps, ranks);
	while (kdump_run_at(&bitmaps, page, granule, &run)) {
		FUZZ_CHECK(run.start == page && run.count > 0 && run.count <= page_count - page);
		FUZZ_CHECK(kdump_rank(&bitmaps, ranks, page) == before);
		page += run.count;
		uint64_t rank = kdump_rank(&bitmaps, ranks, page);
		if (granule == 1)
			FUZZ_CHECK(rank - before == (run.state == KDUMP_DUMPED ? run.count : 0));
		before = rank;
	}
	FUZZ_CHECK(page == page_count);
	free(ranks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes file = { data, size }, head, sub_header, exists, dumped, raw;
	struct kdump_header header;
	struct kdump_page page;

	kdump_is_magic(file);
	if (!bytes_slice(file, 0, KDUMP_HEADER_SIZE, &head) || kdump_header_decode(head, &header))
		return 0;
	if (bytes_slice(file, header.block_size, KDUMP_SUB_HEADER_SIZE, &sub_header) &&
	    kdump_sub_header_decode(sub_header, &header))
		return 0;
	FUZZ_CHECK(header.page_count <= header.bitmap_size * 8);
	FUZZ_CHECK(header.pages_offset >= header.bitmap_offset + header.bitmap_size);
	uint64_t needed = (header.page_count + 63) / 64 * 8;
	if (bytes_slice(file, header.bitmap_offset, needed, &exists) &&
	    bytes_slice(file, header.bitmap_offset + header.bitmap_size, needed, &dumped)) {
		read_bitmaps(exists, dumped, header.page_count, 1);
		read_bitmaps(exists, dumped, header.page_count, 128);
	}
	if (bytes_slice(file, header.pages_offset, KDUMP_PAGE_SIZE, &raw))
		kdump_page_decode(raw.data, &page);
	return 0;
}
