/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compressed kdump images, of version 6. Where the output can seek, the front part is all up to the
 * descriptors of the pages, and the back part the pages' bytes; else the same file is written
 * flattened. A page that is not all within the plan is filled up with zeros.
 */
#include "capture/kdump_writer.h"

#include "base/diagnostic.h"
#include "capture/machine_notes.h"
#include "capture/page_compressor.h"
#include "capture/plan.h"
#include "format/flattened_format.h"
#include "format/manifest_format.h"

#define BLOCK_PAGES (CAPTURE_BLOCK / CAPTURE_PAGE)

/*
 * What prepare() leaves: for each page that the block touches, how many bytes it takes, as u32; and
 * then the bytes of those that were compressed.
 */
#define PREPARED_SIZES ((BLOCK_PAGES + 1) * 4u)
#define SIZE_ZERO      0u           /* all of it is zero */
#define SIZE_STORED    CAPTURE_PAGE /* as it is; also where the block has only a part of it */

struct piece {
	const uint8_t *data;
	size_t size;
};

struct kdump_writing {
	enum page_codec codec;
	uint32_t flags; /* of a page that is compressed */
	struct kdump_header header;
	uint64_t page_total; /* descriptors */
	uint64_t page_count; /* of those, written */
	uint64_t position;   /* in the file, of the next page's bytes */
	uint64_t zero;       /* of the page of zeros; 0: none yet */

	/* A page whose bytes come in several blocks, or are not all in the plan. */
	bool has_partial;
	uint64_t partial_page;
	uint8_t partial[CAPTURE_PAGE], packed[CAPTURE_PAGE];
	struct page_compressor *compressor;

	/* Pages to be written at once. */
	size_t batch_count, piece_count;
	uint64_t batch_size; /* bytes of the pieces */
	uint8_t descriptors[(BLOCK_PAGES + 1) * KDUMP_PAGE_SIZE];
	struct piece pieces[BLOCK_PAGES + 1];
};

static const uint8_t zeros[CAPTURE_PAGE];

/* --- pages: prepared on many threads */

/* Whether the index-th page that a block touches is all in it, and where. */
static const uint8_t *whole_page(const struct capture_block *block, size_t index)
{
	uint64_t page = block->physical / CAPTURE_PAGE + index;
	uint64_t start = page * CAPTURE_PAGE;

	if (start < block->physical || start + CAPTURE_PAGE > block->physical + block->size)
		return NULL;
	return block->data + (start - block->physical);
}

static bool prepare(const struct image_writer *writer, struct capture_block *block)
{
	const struct kdump_writing *state = writer->state;
	AUTO_PAGE_COMPRESSOR struct page_compressor *compressor =
		page_compressor_open(state->codec);
	uint8_t *sizes = block->prepared, *out = block->prepared + PREPARED_SIZES;

	if (!compressor)
		return false;
	for (size_t i = 0; i < plan_pages(block->physical, block->size); i++) {
		const uint8_t *page = whole_page(block, i);
		size_t size = SIZE_STORED;
		if (page && bytes_are_zero(page, CAPTURE_PAGE)) {
			size = SIZE_ZERO;
		} else if (page) {
			size_t packed = page_compress(compressor, page, out);
			out += packed;
			size = packed ? packed : SIZE_STORED;
		}
		store_le32(sizes + i * 4, (uint32_t)size);
	}
	block->prepared_size = (size_t)(out - block->prepared);
	return true;
}

/* --- pages: written in order */

static enum kioku_status emit_record(struct image_writer *writer, uint64_t offset, uint64_t size,
				     struct kioku_error *error)
{
	uint8_t raw[FLATTENED_RECORD_SIZE];

	flattened_record_encode(offset, size, raw);
	return writer_emit(writer, raw, sizeof(raw), error);
}

static enum kioku_status emit_pieces(struct image_writer *writer, struct kioku_error *error)
{
	struct kdump_writing *state = writer->state;

	for (size_t i = 0; i < state->piece_count; i++)
		TRY(writer_emit(writer, state->pieces[i].data, state->pieces[i].size, error));
	return KIOKU_OK;
}

/* Writes the pages that were added since the last time. */
static enum kioku_status flush_batch(struct image_writer *writer, struct kioku_error *error)
{
	struct kdump_writing *state = writer->state;
	size_t size = state->batch_count * KDUMP_PAGE_SIZE;
	uint64_t offset = state->header.pages_offset + state->page_count * KDUMP_PAGE_SIZE;

	if (size == 0)
		return KIOKU_OK;
	if (!writer->can_seek)
		TRY(emit_record(writer, offset, size, error));
	TRY(writer_emit(writer, state->descriptors, size, error));
	if (writer->can_seek)
		writer_select_back(writer);
	else if (state->batch_size > 0)
		TRY(emit_record(writer, state->position, state->batch_size, error));
	TRY(emit_pieces(writer, error));
	if (writer->can_seek)
		writer_select_front(writer);
	state->page_count += state->batch_count;
	state->position += state->batch_size;
	state->batch_count = state->piece_count = 0;
	state->batch_size = 0;
	return KIOKU_OK;
}

/* data stays as it is until flush_batch(); size: as prepare() leaves it. */
static void add_page(struct kdump_writing *state, const uint8_t *data, uint32_t size)
{
	struct kdump_page page = { state->position + state->batch_size, size, state->flags };

	if (size == SIZE_ZERO || size == SIZE_STORED) {
		page.size = CAPTURE_PAGE;
		page.flags = 0;
	}
	if (size == SIZE_ZERO && state->zero != 0) {
		page.offset = state->zero;
	} else {
		state->zero = size == SIZE_ZERO ? page.offset : state->zero;
		state->pieces[state->piece_count++] =
			(struct piece){ size == SIZE_ZERO ? zeros : data, page.size };
		state->batch_size += page.size;
	}
	kdump_page_encode(&page, state->descriptors + state->batch_count * KDUMP_PAGE_SIZE);
	state->batch_count++;
}

static enum kioku_status flush_partial(struct image_writer *writer, struct kioku_error *error)
{
	struct kdump_writing *state = writer->state;

	if (!state->has_partial)
		return KIOKU_OK;
	state->has_partial = false;
	if (bytes_are_zero(state->partial, CAPTURE_PAGE)) {
		add_page(state, NULL, SIZE_ZERO);
		return flush_batch(writer, error);
	}
	size_t size = page_compress(state->compressor, state->partial, state->packed);
	add_page(state, size ? state->packed : state->partial, size ? (uint32_t)size : SIZE_STORED);
	return flush_batch(writer, error);
}

/* Keeps what a block has of a page at its start or end. */
static enum kioku_status keep_partial(struct image_writer *writer,
				      const struct capture_block *block, size_t index,
				      struct kioku_error *error)
{
	struct kdump_writing *state = writer->state;
	uint64_t page = block->physical / CAPTURE_PAGE + index;
	uint64_t start = page * CAPTURE_PAGE, end = start + CAPTURE_PAGE;
	uint64_t block_end = block->physical + block->size;
	uint64_t from = start > block->physical ? start : block->physical;
	uint64_t to = end < block_end ? end : block_end;

	if (state->has_partial && state->partial_page != page)
		TRY(flush_partial(writer, error));
	if (!state->has_partial)
		memset(state->partial, 0, sizeof(state->partial));
	state->has_partial = true;
	state->partial_page = page;
	memcpy(state->partial + (from - start), block->data + (from - block->physical), to - from);
	return KIOKU_OK;
}

static enum kioku_status data(struct image_writer *writer, const struct capture_block *block,
			      struct kioku_error *error)
{
	struct kdump_writing *state = writer->state;
	const uint8_t *packed = block->prepared + PREPARED_SIZES;

	for (size_t i = 0; i < plan_pages(block->physical, block->size); i++) {
		const uint8_t *page = whole_page(block, i);
		uint32_t size = load_le32(block->prepared + i * 4);
		if (!page) {
			TRY(flush_batch(writer, error));
			TRY(keep_partial(writer, block, i, error));
			continue;
		}
		TRY(flush_partial(writer, error));
		add_page(state, size == SIZE_STORED ? page : packed, size);
		packed += size == SIZE_STORED ? 0 : size;
	}
	return flush_batch(writer, error);
}

/* --- what comes before */

static enum kioku_status choose_codec(const struct image_writer *writer,
				      struct kdump_writing *state, struct kioku_error *error)
{
	static const uint32_t flags[] = { [PAGE_STORED] = 0,
					  [PAGE_ZLIB] = KDUMP_ZLIB,
					  [PAGE_SNAPPY] = KDUMP_SNAPPY,
					  [PAGE_ZSTD] = KDUMP_ZSTD };
	const char *name = writer->page_codec ? writer->page_codec : "zlib";

	if (!page_codec_named(name, &state->codec))
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "pages of kdump images cannot be compressed by %s: "
				 "zlib, zstd, snappy and none are known",
				 name);
	if (page_codec_missing(state->codec))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "this build has no %s", name);
	state->flags = flags[state->codec];
	state->compressor = page_compressor_open(state->codec);
	return state->compressor ? KIOKU_OK : error_no_memory(error);
}

static enum kioku_status emit_front(struct image_writer *writer, const struct machine_notes *notes,
				    struct kioku_error *error)
{
	struct kdump_writing *state = writer->state;
	const struct kdump_header *header = &state->header;
	uint8_t raw[KDUMP_HEADER_SIZE], sub_header[KDUMP_SUB_HEADER_SIZE];
	struct kdump_identity identity;

	kdump_identify(writer, notes, &identity);
	kdump_header_encode(header, &identity, raw);
	kdump_sub_header_encode(header, &identity, sub_header);
	TRY(writer_emit(writer, raw, sizeof(raw), error));
	TRY(writer_emit_zeros(writer, header->block_size - sizeof(raw), error));
	TRY(writer_emit(writer, sub_header, sizeof(sub_header), error));
	TRY(writer_emit(writer, notes->data, notes->size, error));
	TRY(writer_emit_zeros(writer, header->bitmap_offset - header->notes_offset - notes->size,
			      error));
	TRY(kdump_emit_bitmap(writer, false, header->bitmap_size, error));
	return kdump_emit_bitmap(writer, true, header->bitmap_size, error);
}

/* Where all lies. Pages start where the back part may. */
static void lay_out(struct image_writer *writer, const struct machine_notes *notes)
{
	struct kdump_writing *state = writer->state;
	struct kdump_header *header = &state->header;
	uint64_t segment = MANIFEST_SEGMENT_SIZE;

	*header = (struct kdump_header){ .status = state->flags, .block_size = CAPTURE_PAGE };
	kdump_count_pages(writer->plan, false, &header->page_count);
	state->page_total = kdump_count_pages(writer->plan, true, &(uint64_t){ 0 });
	kdump_header_place(header, notes->size);
	if (notes->vmcoreinfo.size > 0) {
		header->vmcoreinfo_offset = header->notes_offset + notes->vmcoreinfo_offset;
		header->vmcoreinfo_size = notes->vmcoreinfo.size;
	}
	state->position = header->pages_offset + state->page_total * KDUMP_PAGE_SIZE;
	state->position = (state->position + segment - 1) / segment * segment;
}

static enum kioku_status begin(struct image_writer *writer, struct kioku_error *error)
{
	CLEANUP(machine_notes_release) struct machine_notes notes = { 0 };
	struct kdump_writing *state = writer->state = calloc(1, sizeof(*state));
	uint8_t flattened[FLATTENED_HEADER_SIZE];

	if (!state)
		return error_no_memory(error);
	TRY(choose_codec(writer, state, error));
	TRY(machine_notes_make(writer, &notes, error));
	lay_out(writer, &notes);
	if (writer->can_seek) {
		TRY(writer_split(writer, state->position, error));
	} else {
		flattened_header_encode(flattened);
		TRY(writer_emit(writer, flattened, sizeof(flattened), error));
		TRY(emit_record(writer, 0, state->header.pages_offset, error));
	}
	return emit_front(writer, &notes, error);
}

/* --- and after */

/*
 * Descriptors that were not written are zeros, which is how a page is marked as lost; flattened, the
 * header can still be told that there are such.
 */
static enum kioku_status end(struct image_writer *writer, bool complete, struct kioku_error *error)
{
	struct kdump_writing *state = writer->state;
	uint8_t status[4];

	TRY(flush_partial(writer, error));
	if (writer->can_seek)
		return KIOKU_OK;
	if (!complete) {
		store_le32(status, state->flags | KDUMP_INCOMPLETE);
		TRY(emit_record(writer, KDUMP_STATUS_OFFSET, sizeof(status), error));
		TRY(writer_emit(writer, status, sizeof(status), error));
	}
	return emit_record(writer, FLATTENED_END, FLATTENED_END, error);
}

static void release(struct image_writer *writer)
{
	struct kdump_writing *state = writer->state;

	if (state)
		page_compressor_close(state->compressor);
	free(state);
}

const struct writer_format kdump_writer = {
	.public = { .name = "kdump",
		    .extension = "kdump",
		    .help = "compressed kdump, for crash, makedumpfile and libkdumpfile" },
	.prepared_size = PREPARED_SIZES + CAPTURE_BLOCK,
	.begin = begin,
	.prepare = prepare,
	.data = data,
	.end = end,
	.release = release,
};
