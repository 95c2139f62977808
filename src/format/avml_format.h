/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * AVML version 2 (avml src/image.rs, src/io/snappy.rs): blocks, each a header like LiME's, a stream
 * in Snappy's framing format (snappy framing_format.txt), and the size of that stream. Blocks of
 * zeros are left out, so that a gap within memory is one.
 */
#ifndef FORMAT_AVML_FORMAT_H
#define FORMAT_AVML_FORMAT_H

#include "base/bytes.h"

#define AVML_MAGIC        0x4c4d5641u /* "AVML" in the file */
#define AVML_VERSION      2u
#define AVML_HEADER_SIZE  32u /* u32 magic, u32 version, u64 start, u64 last, u8[8] reserved */
#define AVML_TRAILER_SIZE 8u  /* u64: bytes of the stream before it */
#define AVML_BLOCK_LIMIT  0x1000000u /* bytes of memory in a block as AVML writes them */

struct avml_header {
	uint64_t start, last; /* physical addresses of the first and the last byte */
};

/* Whether a file starts as AVML's compressed images do, of whatever version. */
bool avml_is_magic(struct bytes file);

/* Decodes AVML_HEADER_SIZE bytes; NULL, or what is wrong with them: "its ...". */
const char *avml_header_decode(struct bytes head, struct avml_header *out);
void avml_header_encode(const struct avml_header *header, uint8_t out[AVML_HEADER_SIZE]);

uint64_t avml_trailer_decode(const uint8_t raw[AVML_TRAILER_SIZE]);
void avml_trailer_encode(uint64_t stream_size, uint8_t out[AVML_TRAILER_SIZE]);

/* --- the stream: SNAPPY_STREAM_HEAD and then chunks */

#define SNAPPY_STREAM_HEAD      "\xff\x06\x00\x00sNaPpY"
#define SNAPPY_STREAM_HEAD_SIZE 10u
#define SNAPPY_CHUNK_HEAD_SIZE  8u     /* u8 type, u24 size of what follows, u32 checksum */
#define SNAPPY_CONTENT_LIMIT    65536u /* bytes that one chunk holds */

/* A compressed block may take at most so many more bytes; a snappy length takes at most 5. */
#define SNAPPY_PAYLOAD_LIMIT (32u + SNAPPY_CONTENT_LIMIT + SNAPPY_CONTENT_LIMIT / 6u)

enum snappy_chunk_kind {
	SNAPPY_COMPRESSED, /* a raw snappy block */
	SNAPPY_STORED,
	SNAPPY_SKIPPED, /* padding, or another stream's head */
};

struct snappy_chunk {
	enum snappy_chunk_kind kind;
	uint32_t size; /* of the payload: what follows the head; of SKIPPED, the first 4 bytes */
	uint32_t checksum; /* snappy_checksum() of the content; not of SKIPPED */
};

/*
 * Decodes the head of a chunk: of SNAPPY_CHUNK_HEAD_SIZE bytes, or, at the end of a stream, at least
 * 4 of them. NULL, or what is wrong with it: "its ...".
 */
const char *snappy_chunk_decode(struct bytes head, struct snappy_chunk *out);

/* Of kind COMPRESSED or STORED. */
void snappy_chunk_encode(const struct snappy_chunk *chunk, uint8_t out[SNAPPY_CHUNK_HEAD_SIZE]);

/* How many bytes a compressed payload unpacks to; false: it does not say, or more than the limit. */
bool snappy_content_size(struct bytes payload, uint32_t *out);

/* The CRC-32C of content (RFC 3720 appendix B.4), masked as the framing format says. */
uint32_t snappy_checksum(const void *data, size_t size);

#endif
