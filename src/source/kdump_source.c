/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compressed kdump images, plain or flattened: makedumpfile, QEMU, virsh. */
#include <stdlib.h>

#include "base/error.h"
#include "format/kdump_format.h"
#include "source/notes.h"
#include "source/page_codec.h"

/* Ranges that are listed page by page; memory in more pieces than that is listed in blocks. */
#define RANGE_LIMIT (1u << 22)

/* How far back the end of the table is searched for a page that has bytes of its own. */
#define TAIL_LIMIT (1u << 20)

struct kdump {
	struct kioku_source *source;
	struct image_file *file; /* the source's */
	struct kdump_header header;
	struct kdump_bitmaps bitmaps;
	uint64_t *ranks;
	uint64_t first, end; /* pages that this file has descriptors for, those of first first */
	bool is_damaged;     /* some pages are missing: every descriptor has to be looked at */
	uint8_t *compressed; /* room for one page */
};

static enum probe_verdict probe(struct bytes head, uint64_t file_size)
{
	return kdump_is_magic(head) ? PROBE_YES : PROBE_NO;
}

static void close_kdump(struct kioku_source *source)
{
	struct kdump *kdump = source->state;

	if (!kdump)
		return;
	free(kdump->ranks);
	free(kdump->compressed);
	free(kdump);
}

/* --- pages */

/* Reads the descriptor of that number; NULL, or why its page cannot be had. */
static const char *find_descriptor(struct kdump *kdump, uint64_t number, struct kdump_page *out)
{
	uint64_t offset = kdump->header.pages_offset + number * KDUMP_PAGE_SIZE;
	uint8_t raw[KDUMP_PAGE_SIZE];
	const char *problem;

	if (image_file_read(kdump->file, offset, raw, sizeof(raw), &problem) < sizeof(raw))
		return problem;
	kdump_page_decode(raw, out);
	if (out->offset == 0)
		return "it was lost when the image was written";
	if (out->size == 0 || out->size > kdump->header.block_size)
		return "its descriptor is damaged";
	if (!image_file_has(kdump->file, out->offset, out->size))
		return "it is missing: the image is truncated";
	return NULL;
}

static bool codec_of(uint32_t flags, enum page_codec *out)
{
	switch (flags & (KDUMP_ZLIB | KDUMP_LZO | KDUMP_SNAPPY | KDUMP_ZSTD)) {
	case 0: *out = PAGE_STORED; return true;
	case KDUMP_ZLIB: *out = PAGE_ZLIB; return true;
	case KDUMP_LZO: *out = PAGE_LZO; return true;
	case KDUMP_SNAPPY: *out = PAGE_SNAPPY; return true;
	case KDUMP_ZSTD: *out = PAGE_ZSTD; return true;
	default: return false;
	}
}

/* Fills in a page by its number; NULL, or why it cannot be had. */
static const char *load_page(struct kdump *kdump, uint64_t number, uint8_t *out)
{
	struct kdump_page page;
	enum page_codec codec;

	if (number >= kdump->end || !kdump_is_dumped(&kdump->bitmaps, number))
		return "it was left out of the image";
	uint64_t rank = kdump_rank(&kdump->bitmaps, kdump->ranks, number) -
			kdump_rank(&kdump->bitmaps, kdump->ranks, kdump->first);
	const char *problem = find_descriptor(kdump, rank, &page);
	if (problem)
		return problem;
	if (!codec_of(page.flags, &codec))
		return "it is compressed in several ways at once";
	if (image_file_read(kdump->file, page.offset, kdump->compressed, page.size, &problem) <
	    page.size)
		return problem;
	return page_decompress(codec, (struct bytes){ kdump->compressed, page.size }, out,
			       kdump->header.block_size);
}

static enum kioku_status read_page(struct kioku_source *source, uint64_t physical, uint8_t *page,
				   struct kioku_error *error)
{
	struct kdump *kdump = source->state;
	const char *problem = load_page(kdump, physical / kdump->header.block_size, page);

	if (!problem)
		return KIOKU_OK;
	return error_at(error, KIOKU_ERROR_ABSENT, physical,
			"the page at physical address 0x%llx cannot be read: %s",
			(unsigned long long)physical, problem);
}

/* --- headers */

static enum kioku_status read_headers(struct kdump *kdump, struct kioku_error *error)
{
	struct kdump_header *header = &kdump->header;
	uint8_t raw[KDUMP_HEADER_SIZE], sub_header[KDUMP_SUB_HEADER_SIZE];

	if (!image_file_copy(kdump->file, 0, raw, sizeof(raw)))
		return error_set(error, KIOKU_ERROR_CORRUPT, "the file ends before its header");
	const char *problem = kdump_header_decode((struct bytes){ raw, sizeof(raw) }, header);
	if (!problem && header->has_sub_header) {
		if (!image_file_copy(kdump->file, header->block_size, sub_header,
				     sizeof(sub_header)))
			return error_set(error, KIOKU_ERROR_CORRUPT,
					 "the file ends before its sub-header");
		problem = kdump_sub_header_decode((struct bytes){ sub_header, sizeof(sub_header) },
						  header);
	}
	if (problem)
		return error_set(error, KIOKU_ERROR_CORRUPT, "%s", problem);

	enum page_codec codec;
	const char *missing = codec_of(header->status, &codec) ? page_codec_missing(codec) : NULL;
	if (missing)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "%s", missing);
	kdump->compressed = malloc(header->block_size);
	return kdump->compressed ? KIOKU_OK : error_no_memory(error);
}

static void choose_pages(struct kdump *kdump)
{
	const struct kdump_header *header = &kdump->header;

	kdump->end = header->page_count;
	if (!header->is_split)
		return;
	kdump->end = header->split_end < kdump->end ? header->split_end : kdump->end;
	kdump->first = header->split_start < kdump->end ? header->split_start : kdump->end;
	diagnose(&kdump->source->diagnostics, KIOKU_GAP,
		 "it is one of several files that an image was split into: only physical "
		 "addresses 0x%llx to 0x%llx are in it",
		 (unsigned long long)(kdump->first * header->block_size),
		 (unsigned long long)(kdump->end * header->block_size));
}

static enum kioku_status read_bitmaps(struct kdump *kdump, struct kioku_error *error)
{
	const struct kdump_header *header = &kdump->header;
	struct kdump_bitmaps *bitmaps = &kdump->bitmaps;
	uint64_t size = (header->page_count + 63) / 64 * 8;
	uint64_t dumped =
		header->bitmap_offset + (header->has_two_bitmaps ? header->bitmap_size : 0);
	enum kioku_status status =
		image_file_keep(kdump->file, header->bitmap_offset, size, &bitmaps->exists, error);

	if (status == KIOKU_OK)
		status = image_file_keep(kdump->file, dumped, size, &bitmaps->dumped, error);
	if (status != KIOKU_OK) {
		error_prefix(error, "cannot read its bitmaps");
		return status;
	}
	bitmaps->page_count = header->page_count;
	kdump->ranks = calloc(header->page_count / KDUMP_RANK_STEP + 1, sizeof(*kdump->ranks));
	if (!kdump->ranks)
		return error_no_memory(error);
	kdump_ranks_fill(bitmaps, kdump->ranks);
	return KIOKU_OK;
}

/* What the notes would have said is found in memory as well: without them is a gap and no end. */
static enum kioku_status read_notes(struct kdump *kdump, struct kioku_error *error)
{
	const struct kdump_header *header = &kdump->header;
	struct kioku_source *source = kdump->source;
	struct elf_header elf = { .is_64 = true, .machine = EM_NONE };
	struct note_reading reading = { source, &elf, .cpu_note = ELF_REGISTERS_NONE };
	struct bytes vmcoreinfo = { 0 }, notes = { 0 };
	uint64_t used = 0;

	if (strcmp(header->machine, "x86_64") == 0)
		elf.machine = EM_X86_64;
	if (header->vmcoreinfo_size > 0 &&
	    image_file_keep(kdump->file, header->vmcoreinfo_offset, header->vmcoreinfo_size,
			    &vmcoreinfo, NULL) == KIOKU_OK)
		source->vmcoreinfo = vmcoreinfo;
	if (header->notes_size > 0 && image_file_keep(kdump->file, header->notes_offset,
						      header->notes_size, &notes, NULL) == KIOKU_OK)
		TRY(notes_read(&reading, notes, 4, &used, error));
	source->notes = notes;
	if (used < header->notes_size || vmcoreinfo.size < header->vmcoreinfo_size)
		diagnose(&source->diagnostics, KIOKU_GAP,
			 "the notes of the image are damaged: registers of CPUs or the VMCOREINFO "
			 "may be missing");
	return KIOKU_OK;
}

/* --- ranges */

/*
 * Whether the file lacks pages. Writers put them into the file in order, so that the last one with
 * bytes of its own tells; pages of zeros may all share those of the first.
 */
static bool lacks_pages(struct kdump *kdump)
{
	const struct kdump_header *header = &kdump->header;
	uint64_t count = kdump_rank(&kdump->bitmaps, kdump->ranks, kdump->end) -
			 kdump_rank(&kdump->bitmaps, kdump->ranks, kdump->first);
	struct kdump_page page, last = { 0 };

	if ((header->status & KDUMP_INCOMPLETE) || image_file_is_cut(kdump->file))
		return true;
	for (uint64_t i = 0; i < count && i < TAIL_LIMIT; i++) {
		if (find_descriptor(kdump, count - 1 - i, &page))
			return true;
		if (i > 0 && page.offset != last.offset)
			return false;
		last = page;
	}
	return false;
}

static bool add_pages(struct kdump *kdump, struct range_map *map, uint64_t first, uint64_t count,
		      enum kioku_range_state state)
{
	uint64_t size = kdump->header.block_size;

	return source_add_range(kdump->source, map,
				(struct extent){ first * size, count * size, 0, (int)state });
}

/* Dumped pages of a damaged image, whose descriptors begin at that number. */
static bool add_checked(struct kdump *kdump, struct range_map *map, const struct kdump_run *run,
			uint64_t number)
{
	enum kioku_range_state state = KIOKU_RANGE_PRESENT, before = state;
	struct kdump_page page;
	uint64_t start = 0;

	for (uint64_t i = 0; i < run->count; i++, before = state) {
		state = find_descriptor(kdump, number + i, &page) ? KIOKU_RANGE_UNREADABLE
								  : KIOKU_RANGE_PRESENT;
		if (i == 0 || state == before)
			continue;
		if (!add_pages(kdump, map, run->start + start, i - start, before))
			return false;
		if (map->count > RANGE_LIMIT) /* the caller lists blocks instead */
			return true;
		start = i;
	}
	return add_pages(kdump, map, run->start + start, run->count - start, state);
}

/* Lists ranges in blocks of so many pages, until there are too many. Errors: NO_MEMORY. */
static enum kioku_status list_ranges(struct kdump *kdump, uint64_t granule, struct range_map *map,
				     struct kioku_error *error)
{
	uint64_t number = 0;
	struct kdump_run run;
	bool added = true;

	/* Blocks are aligned; what they hold of pages before the first is found when it is read. */
	for (uint64_t page = kdump->first / granule * granule;
	     page < kdump->end && map->count <= RANGE_LIMIT && added; page += run.count) {
		kdump_run_at(&kdump->bitmaps, page, granule, &run);
		uint64_t left = kdump->end - page;
		run.count = run.count < left ? run.count : left;
		if (run.state == KDUMP_DUMPED && kdump->is_damaged && granule == 1)
			added = add_checked(kdump, map, &run, number);
		else if (run.state != KDUMP_NOTHING)
			added = add_pages(kdump, map, run.start, run.count,
					  run.state == KDUMP_DUMPED ? KIOKU_RANGE_PRESENT
								    : KIOKU_RANGE_EXCLUDED);
		number += run.state == KDUMP_DUMPED ? run.count : 0;
	}
	return added ? KIOKU_OK : error_no_memory(error);
}

static enum kioku_status add_layout(struct kdump *kdump, struct kioku_error *error)
{
	struct kioku_source *source = kdump->source;
	CLEANUP(range_map_release) struct range_map map = { 0 };
	uint64_t granule = 1;

	kdump->is_damaged = lacks_pages(kdump);
	TRY(list_ranges(kdump, granule, &map, error));
	while (map.count > RANGE_LIMIT) {
		granule = granule == 1 ? 64 : granule * 2;
		range_map_release(&map);
		TRY(list_ranges(kdump, granule, &map, error));
	}
	if (granule > 1)
		diagnose(&source->diagnostics, kdump->is_damaged ? KIOKU_GAP : KIOKU_WARNING,
			 "memory is in more than %u pieces: ranges are listed in blocks of %llu "
			 "bytes, of which some pages are not in the image",
			 RANGE_LIMIT, (unsigned long long)(granule * kdump->header.block_size));
	if (kdump->header.status & KDUMP_INCOMPLETE)
		diagnose(&source->diagnostics, KIOKU_GAP,
			 "makedumpfile marked the image as incomplete: it ran out of space");
	return source_add_layout(source, &map, error);
}

static enum kioku_status open_kdump(struct kioku_source *source,
				    const struct kioku_source_options *options,
				    struct kioku_error *error)
{
	struct kdump *kdump = source->state = calloc(1, sizeof(*kdump));

	if (!kdump)
		return error_no_memory(error);
	kdump->source = source;
	kdump->file = &source->file;
	TRY(read_headers(kdump, error));
	TRY(read_bitmaps(kdump, error));
	choose_pages(kdump);
	TRY(read_notes(kdump, error));
	TRY(source_use_pages(source, kdump->header.block_size, error));
	return add_layout(kdump, error);
}

const struct source_driver kdump_source = {
	.name = "kdump",
	.help = "kdump image",
	.probe = probe,
	.open = open_kdump,
	.read_page = read_page,
	.close = close_kdump,
};
