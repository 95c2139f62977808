/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compressed AVML images. What AVML leaves out because it is zero is not told from what is no RAM. */
#include "base/error.h"
#include "format/avml_format.h"
#include "source/driver.h"
#include "source/frame_codec.h"

#define SCAN_SIZE 65536u

struct reading {
	struct kioku_source *source;
	struct range_map map;
	struct frame_index index;
	uint64_t offset; /* of what comes next in the file */
	uint64_t start;  /* of the memory of the last block */
	uint64_t end;    /* of the memory that the last block has */

	uint64_t frame_offset, frame_packed,
		frame_content; /* of the chunks that make the next one */
};

static void reading_release(struct reading *reading)
{
	range_map_release(&reading->map);
	frame_index_release(&reading->index);
}

static enum probe_verdict probe(struct bytes head, uint64_t file_size)
{
	return avml_is_magic(head) ? PROBE_YES : PROBE_NO;
}

/* The head of the chunk at reading->offset and how much it holds; NULL, or what is wrong with it. */
static const char *look_at_chunk(struct reading *reading, struct snappy_chunk *chunk,
				 uint32_t *content_size)
{
	struct image_file *file = &reading->source->file;
	uint8_t raw[SNAPPY_CHUNK_HEAD_SIZE +
		    3]; /* with the length that a compressed one starts with */
	const char *damage;
	size_t size = image_file_read(file, reading->offset, raw, sizeof(raw), &damage);
	struct bytes head = { raw, size }, payload = { 0 };
	const char *problem = snappy_chunk_decode(head, chunk);

	if (problem)
		return problem;
	*content_size = 0;
	if (chunk->kind == SNAPPY_STORED)
		*content_size = chunk->size;
	if (chunk->kind == SNAPPY_COMPRESSED) {
		bytes_slice(head, SNAPPY_CHUNK_HEAD_SIZE, size - SNAPPY_CHUNK_HEAD_SIZE, &payload);
		if (!snappy_content_size(payload, content_size))
			return "its stream has a chunk of an impossible size";
	}
	uint64_t head_size = chunk->kind == SNAPPY_SKIPPED ? 4 : SNAPPY_CHUNK_HEAD_SIZE;
	return image_file_has(file, reading->offset, head_size + chunk->size)
		       ? NULL
		       : "its stream is cut short by the end of the file";
}

/*
 * Lists a block's chunks, each of which is a frame. *content: how many of its size bytes there are;
 * fewer: *problem says why. Errors: LIMIT, NO_MEMORY.
 */
static enum kioku_status list_chunks(struct reading *reading, uint64_t size, uint64_t *content,
				     const char **problem, struct kioku_error *error)
{
	struct snappy_chunk chunk;
	uint32_t content_size;

	*content = 0;
	while (*content < size) {
		*problem = look_at_chunk(reading, &chunk, &content_size);
		if (!*problem && content_size > size - *content)
			*problem = "its stream holds more than its header says";
		if (*problem)
			break;
		uint64_t packed = (chunk.kind == SNAPPY_SKIPPED ? 4 : SNAPPY_CHUNK_HEAD_SIZE) +
				  (uint64_t)chunk.size;
		TRY(frame_index_add(&reading->index, reading->offset, packed, content_size, error));
		reading->offset += packed;
		*content += content_size;
	}
	return KIOKU_OK;
}

/* What comes after a stream; a wrong one costs nothing, as the stream's own chunks were followed. */
static void check_trailer(struct reading *reading, uint64_t stream)
{
	struct kioku_source *source = reading->source;
	uint8_t raw[AVML_TRAILER_SIZE];

	if (!image_file_copy(&source->file, reading->offset, raw, sizeof(raw)))
		diagnose(&source->diagnostics, KIOKU_GAP,
			 "the file was cut off: it ends with the block at physical address 0x%llx "
			 "and without its trailer",
			 (unsigned long long)reading->start);
	else if (avml_trailer_decode(raw) != reading->offset - stream)
		diagnose(&source->diagnostics, KIOKU_WARNING,
			 "the trailer of the block at physical address 0x%llx is damaged",
			 (unsigned long long)reading->start);
	reading->offset += sizeof(raw);
}

/* Takes the block at reading->offset. Errors: LIMIT, NO_MEMORY; *problem: what is wrong with it. */
static enum kioku_status take_block(struct reading *reading, const char **problem,
				    struct kioku_error *error)
{
	struct kioku_source *source = reading->source;
	uint64_t content_start = reading->index.size, content;
	uint8_t raw[AVML_HEADER_SIZE];
	struct avml_header header;
	const char *damage;

	size_t got = image_file_read(&source->file, reading->offset, raw, sizeof(raw), &damage);
	*problem = avml_header_decode((struct bytes){ raw, got }, &header);
	if (*problem)
		return KIOKU_OK;
	uint64_t size = header.last - header.start + 1, stream = reading->offset + sizeof(raw);
	reading->offset = stream;
	reading->start = header.start;
	TRY(list_chunks(reading, size, &content, problem, error));
	reading->end = header.start + content;
	if (!*problem)
		check_trailer(reading, stream);
	if (!source_add_range(source, &reading->map,
			      (struct extent){ header.start, content, content_start,
					       KIOKU_RANGE_PRESENT }) ||
	    (content < size &&
	     !source_add_range(source, &reading->map,
			       (struct extent){ header.start + content, size - content, 0,
						KIOKU_RANGE_UNREADABLE })))
		return error_no_memory(error);
	return KIOKU_OK;
}

/* Whether a block of memory above the last one begins at an offset. */
static bool is_block(struct reading *reading, uint64_t offset)
{
	uint8_t raw[AVML_HEADER_SIZE + SNAPPY_STREAM_HEAD_SIZE];
	struct avml_header header;

	return image_file_copy(&reading->source->file, offset, raw, sizeof(raw)) &&
	       !avml_header_decode((struct bytes){ raw, AVML_HEADER_SIZE }, &header) &&
	       memcmp(raw + AVML_HEADER_SIZE, SNAPPY_STREAM_HEAD, SNAPPY_STREAM_HEAD_SIZE) == 0 &&
	       header.start >= reading->end;
}

/* Moves on to the next block after a damaged one, whose end nothing tells; false: there is none. */
static bool find_block(struct reading *reading)
{
	struct image_file *file = &reading->source->file;
	uint8_t raw[SCAN_SIZE];
	const char *unused;

	while (reading->offset < file->size) {
		size_t got = image_file_read(file, reading->offset, raw, sizeof(raw), &unused);
		for (size_t i = 0; i + 4 <= got; i++) {
			if (load_le32(raw + i) == AVML_MAGIC &&
			    is_block(reading, reading->offset + i)) {
				reading->offset += i;
				return true;
			}
		}
		/* A magic number may lie across the end of what was looked at. */
		reading->offset += got > 4 ? got - 3 : SCAN_SIZE;
	}
	return false;
}

static enum kioku_status read_blocks(struct reading *reading, struct kioku_error *error)
{
	struct kioku_source *source = reading->source;
	const char *problem;

	while (reading->offset < source->file.size) {
		uint64_t start = reading->offset;
		TRY(take_block(reading, &problem, error));
		if (!problem)
			continue;
		if (start == 0 && reading->offset == 0)
			return error_set(error, KIOKU_ERROR_CORRUPT,
					 "the block at file offset 0x0: %s", problem);
		uint64_t damaged = reading->offset;
		reading->offset = damaged > start ? damaged : damaged + 1;
		bool goes_on = find_block(reading);
		diagnose(&source->diagnostics, KIOKU_GAP,
			 "the block at file offset 0x%llx: %s, at offset 0x%llx; %llu bytes of the "
			 "file from there on are not used",
			 (unsigned long long)start, problem, (unsigned long long)damaged,
			 (unsigned long long)((goes_on ? reading->offset : source->file.size) -
					      damaged));
	}
	return KIOKU_OK;
}

static enum kioku_status open_avml(struct kioku_source *source,
				   const struct kioku_source_options *options,
				   struct kioku_error *error)
{
	CLEANUP(reading_release) struct reading reading = { .source = source };

	if (!frame_codec_is_here(FRAME_SNAPPY))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "it is compressed with snappy, which this build cannot read");
	enum kioku_status status = read_blocks(&reading, error);
	if (status != KIOKU_OK)
		return status == KIOKU_ERROR_LIMIT
			       ? error_set(error, KIOKU_ERROR_UNSUPPORTED,
					   "it has more than any machine has of memory")
			       : status;
	image_file_add_frames(&source->file, FRAME_SNAPPY, &reading.index);
	return source_add_layout(source, &reading.map, error);
}

const struct source_driver avml_source = {
	.name = "avml",
	.help = "AVML image",
	.probe = probe,
	.open = open_avml,
};
