/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files that are compressed in frames, each of which unpacks alone, so that any byte is reached by
 * unpacking one of them: zstd frames (RFC 8878) with the seek table of the zstd seekable format
 * (zstd contrib/seekable_format/zstd_seekable_compression_format.md), LZ4 frames (lz4
 * doc/lz4_Frame_format.md) with the same table, and gzip members (RFC 1952), whose heads say how
 * large they are. What is written here is unpacked by zstd -d, lz4 -d and gzip -d as well.
 */
#ifndef FORMAT_FRAME_FORMAT_H
#define FORMAT_FRAME_FORMAT_H

#include <kioku/error.h>

#include "base/bytes.h"

/* SNAPPY: a chunk of a stream in Snappy's framing format (format/avml_format.h). */
enum frame_codec { FRAME_ZSTD, FRAME_LZ4, FRAME_GZIP, FRAME_SNAPPY };

/* Bytes that go into each frame that is written; the last one has fewer. */
#define FRAME_WRITE_SIZE (256u << 10)

/* A frame that holds more is not unpacked for the sake of one byte of it. */
#define FRAME_CONTENT_LIMIT (64u << 20)

/* 8 TiB of frames as they are written; a bound for what a hostile index costs. */
#define FRAME_COUNT_LIMIT (1u << 25)

struct frame {
	uint64_t offset, content; /* of its first byte: in the file, and in what is unpacked */
	uint32_t packed_size, content_size; /* bytes, never 0 */
};

/* All frames that have content, ascending. All zero is an empty one. */
struct frame_index {
	struct frame *frames;
	size_t count, capacity;
	uint64_t size; /* bytes of all content */
};

/*
 * Appends a frame; one without content is left out. Errors: LIMIT (its content or the number of
 * frames), NO_MEMORY.
 */
enum kioku_status frame_index_add(struct frame_index *index, uint64_t offset, uint64_t packed_size,
				  uint64_t content_size, struct kioku_error *error);

/* The frame that holds a byte of the content, or NULL. */
const struct frame *frame_index_find(const struct frame_index *index, uint64_t content);

void frame_index_release(struct frame_index *index);

/* Whether a file starts as frames do that can be told apart; never FRAME_SNAPPY. */
bool frame_codec_detect(struct bytes file, enum frame_codec *out);

#define FRAME_SIZE_UNKNOWN UINT64_MAX

struct frame_shape {
	uint64_t packed_size;  /* UNKNOWN: only unpacking it tells (gzip) */
	uint64_t content_size; /* UNKNOWN: only unpacking it tells; 0: it is there to be skipped */
};

/*
 * What the frame at an offset of a file is, without unpacking it; NULL, or what is wrong with it:
 * "it ...". A frame that reaches past the end of the file is wrong.
 */
const char *frame_measure(enum frame_codec codec, struct bytes file, uint64_t offset,
			  struct frame_shape *out);

/*
 * The seek table, of zstd and LZ4 files: a skippable frame, the last of the file. head, an entry for
 * each frame in order, footer.
 */
#define SEEK_TABLE_HEAD_SIZE   8u
#define SEEK_TABLE_ENTRY_SIZE  8u
#define SEEK_TABLE_FOOTER_SIZE 9u

/* So many frames fit into one: the head counts bytes in 32 bits. */
#define SEEK_TABLE_LIMIT ((UINT32_MAX - SEEK_TABLE_FOOTER_SIZE) / SEEK_TABLE_ENTRY_SIZE)

void seek_table_encode_head(uint32_t frame_count, uint8_t out[SEEK_TABLE_HEAD_SIZE]);
void seek_table_encode_entry(uint32_t packed_size, uint32_t content_size,
			     uint8_t out[SEEK_TABLE_ENTRY_SIZE]);
void seek_table_encode_footer(uint32_t frame_count, uint8_t out[SEEK_TABLE_FOOTER_SIZE]);

/*
 * Fills in an empty index from the table at the end of a file. Errors: NOT_FOUND (there is none, or
 * it does not fit the file), LIMIT, NO_MEMORY.
 */
enum kioku_status seek_table_decode(struct bytes file, struct frame_index *out,
				    struct kioku_error *error);

/*
 * A gzip member: head, raw deflate data, tail. The head has an extra field with the subfield "KK":
 * u32 size of the whole member, u32 size of its content. member_size counts head and tail.
 */
#define GZIP_HEAD_SIZE 24u
#define GZIP_TAIL_SIZE 8u

void gzip_encode_head(uint32_t member_size, uint32_t content_size, uint8_t out[GZIP_HEAD_SIZE]);
void gzip_encode_tail(uint32_t crc32, uint32_t content_size, uint8_t out[GZIP_TAIL_SIZE]);

/* The last member, without content: a file of such members that lacks it was cut off. */
#define GZIP_END_SIZE 34u
void gzip_encode_end(uint8_t out[GZIP_END_SIZE]);

#endif
