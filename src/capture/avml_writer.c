/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * AVML version 2. volatility3 2.11 (framework/layers/avml.py) looks for all of a block's stream in as
 * many bytes as the block has of memory, less one, and never ends when the stream is longer. So a
 * block of the image reaches only as far as what was saved so far makes up for memory that does not
 * compress; where nothing was saved yet, what comes next is waited for.
 */
#ifdef HAVE_SNAPPY
#include <snappy-c.h>
#endif

#include "base/cleanup.h"
#include "base/diagnostic.h"
#include "capture/writer.h"
#include "format/avml_format.h"

/*
 * Bytes of memory in a block. AVML writes no more than AVML_BLOCK_LIMIT and reads any number; each
 * start of a block is one that may fall into memory that does not compress, as an initrd is, but
 * volatility3 holds a block's stream as a whole.
 */
#define BLOCK_LIMIT (256u << 20)

/* What is held back at most until a block can begin. */
#define HELD_LIMIT  (4u * CAPTURE_BLOCK)

#define CHUNK_LIMIT (CAPTURE_BLOCK / SNAPPY_CONTENT_LIMIT + 1)

struct avml_writing {
	size_t range;         /* of the plan, that the last block was in */
	uint64_t block_end;   /* of the image's block that is being written; 0: none is */
	uint64_t stream_size; /* of it, so far */

	/* Chunks of memory for which no block was begun yet. */
	uint64_t held_start, held_end; /* physical */
	uint8_t *held;
	size_t held_size;

	uint64_t overlong; /* blocks whose stream is too long for volatility3 */
};

/* --- chunks: prepared on many threads */

static size_t compress_chunk(const uint8_t *content, size_t size, uint8_t *out)
{
#ifdef HAVE_SNAPPY
	size_t packed = SNAPPY_PAYLOAD_LIMIT;

	if (snappy_compress((const char *)content, size, (char *)out, &packed) == SNAPPY_OK &&
	    packed < size)
		return packed;
#endif
	return 0;
}

static bool prepare(const struct image_writer *writer, struct capture_block *block)
{
	uint8_t *out = block->prepared;

	for (size_t done = 0; done < block->size;) {
		size_t left = block->size - done;
		size_t size = left < SNAPPY_CONTENT_LIMIT ? left : SNAPPY_CONTENT_LIMIT;
		const uint8_t *content = block->data + done;
		uint8_t *payload = out + SNAPPY_CHUNK_HEAD_SIZE;
		size_t packed = compress_chunk(content, size, payload);
		struct snappy_chunk chunk = { .kind = packed ? SNAPPY_COMPRESSED : SNAPPY_STORED,
					      .size = (uint32_t)(packed ? packed : size),
					      .checksum = snappy_checksum(content, size) };
		if (!packed)
			memcpy(payload, content, size);
		snappy_chunk_encode(&chunk, out);
		out = payload + chunk.size;
		done += size;
	}
	block->prepared_size = (size_t)(out - block->prepared);
	return true;
}

/* --- blocks, in order */

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * How far a block may reach that starts at start and whose memory up to held_end takes held_size
 * bytes, when nothing of what follows compresses: to range_end, or to a multiple of CAPTURE_BLOCK.
 * 0: its stream is too long already.
 */
static uint64_t reach(uint64_t start, uint64_t held_end, uint64_t held_size, uint64_t range_end)
{
	uint64_t content = held_end - start, stream = SNAPPY_STREAM_HEAD_SIZE + held_size;

	if (stream + 1 > content)
		return 0;
	uint64_t chunks = (content - 1 - stream) / SNAPPY_CHUNK_HEAD_SIZE;
	uint64_t end = smaller(held_end + chunks * SNAPPY_CONTENT_LIMIT, start + BLOCK_LIMIT);
	if (end >= range_end)
		return range_end;
	end -= end % CAPTURE_BLOCK;
	return end > held_end ? end : held_end;
}

static enum kioku_status end_block(struct image_writer *writer, struct kioku_error *error)
{
	struct avml_writing *state = writer->state;
	uint8_t trailer[AVML_TRAILER_SIZE];

	avml_trailer_encode(state->stream_size, trailer);
	state->block_end = 0;
	return writer_emit(writer, trailer, sizeof(trailer), error);
}

/* Begins a block with what is held. */
static enum kioku_status begin_block(struct image_writer *writer, uint64_t end,
				     struct kioku_error *error)
{
	struct avml_writing *state = writer->state;
	uint8_t head[AVML_HEADER_SIZE];

	avml_header_encode(&(struct avml_header){ state->held_start, end - 1 }, head);
	TRY(writer_emit(writer, head, sizeof(head), error));
	TRY(writer_emit(writer, SNAPPY_STREAM_HEAD, SNAPPY_STREAM_HEAD_SIZE, error));
	TRY(writer_emit(writer, state->held, state->held_size, error));
	state->block_end = end;
	state->stream_size = SNAPPY_STREAM_HEAD_SIZE + state->held_size;
	state->held_size = 0;
	return state->held_end == end ? end_block(writer, error) : KIOKU_OK;
}

static bool hold(struct avml_writing *state, const struct capture_block *block)
{
	if (state->held_size == 0)
		state->held_start = block->physical;
	state->held_end = block->physical + block->size;
	uint8_t *held = realloc(state->held, state->held_size + block->prepared_size);
	if (!held)
		return false;
	memcpy(held + state->held_size, block->prepared, block->prepared_size);
	state->held = held;
	state->held_size += block->prepared_size;
	return true;
}

/* Begins a block with what is held, if it can be read; or else, if it must. */
static enum kioku_status release_held(struct image_writer *writer, uint64_t range_end, bool must,
				      struct kioku_error *error)
{
	struct avml_writing *state = writer->state;
	uint64_t end = reach(state->held_start, state->held_end, state->held_size, range_end);

	if (end == 0 && !must)
		return KIOKU_OK;
	if (end == 0)
		state->overlong++;
	TRY(begin_block(writer, end ? end : state->held_end, error));
	free(TAKE(state->held));
	return KIOKU_OK;
}

static enum kioku_status data(struct image_writer *writer, const struct capture_block *block,
			      struct kioku_error *error)
{
	struct avml_writing *state = writer->state;
	const struct plan_range *range = &writer->plan->ranges[state->range];
	uint64_t block_end = block->physical + block->size;

	if (state->block_end != 0) {
		TRY(writer_emit(writer, block->prepared, block->prepared_size, error));
		state->stream_size += block->prepared_size;
		return state->block_end == block_end ? end_block(writer, error) : KIOKU_OK;
	}
	while (block->physical - range->start >= range->size)
		range = &writer->plan->ranges[++state->range];
	if (!hold(state, block))
		return error_no_memory(error);
	uint64_t range_end = range->start + range->size;
	bool must = block_end == range_end || block_end - state->held_start >= HELD_LIMIT;
	return release_held(writer, range_end, must, error);
}

static enum kioku_status begin(struct image_writer *writer, struct kioku_error *error)
{
#ifndef HAVE_SNAPPY
	return error_set(error, KIOKU_ERROR_UNSUPPORTED, "this build has no snappy");
#endif
	writer->state = calloc(1, sizeof(struct avml_writing));
	return writer->state ? KIOKU_OK : error_no_memory(error);
}

/* A block that was begun stays without its end, as in a file that was cut off. */
static enum kioku_status end(struct image_writer *writer, bool complete, struct kioku_error *error)
{
	struct avml_writing *state = writer->state;

	if (state->held_size > 0)
		TRY(release_held(writer, state->held_end, true, error));
	if (state->overlong > 0)
		diagnose(writer->diagnostics, KIOKU_WARNING,
			 "%llu blocks of the image hold nothing but memory that does not compress: "
			 "volatility3 2.11 never ends reading them, a LiME image has no such limit",
			 (unsigned long long)state->overlong);
	return KIOKU_OK;
}

static void release(struct image_writer *writer)
{
	struct avml_writing *state = writer->state;

	if (state)
		free(state->held);
	free(state);
}

const struct writer_format avml_writer = {
	.public = { .name = "avml",
		    .extension = "avml",
		    .help = "AVML version 2, snappy-compressed, for volatility3" },
	.prepared_size = CAPTURE_BLOCK + CHUNK_LIMIT * SNAPPY_CHUNK_HEAD_SIZE +
			 SNAPPY_PAYLOAD_LIMIT - SNAPPY_CONTENT_LIMIT,
	.begin = begin,
	.prepare = prepare,
	.data = data,
	.end = end,
	.release = release,
};
