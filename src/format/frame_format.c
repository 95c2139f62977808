/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "base/error.h"
#include "base/growing.h"
#include "format/frame_format.h"

#define ZSTD_MAGIC       0xfd2fb528u
#define LZ4_MAGIC        0x184d2204u
#define SKIPPABLE_MAGIC  0x184d2a50u /* and the 15 numbers after it */
#define SEEK_TABLE_MAGIC 0x184d2a5eu /* of the skippable frame */
#define SEEKABLE_MAGIC   0x8f92eab1u /* at its very end */

/* How many frames at the start of a file are skipped to see what comes then. */
#define SKIP_LIMIT 16

/* --- the index */

enum kioku_status frame_index_add(struct frame_index *index, uint64_t offset, uint64_t packed_size,
				  uint64_t content_size, struct kioku_error *error)
{
	if (content_size == 0)
		return KIOKU_OK;
	if (content_size > FRAME_CONTENT_LIMIT || packed_size > UINT32_MAX)
		return error_set(error, KIOKU_ERROR_LIMIT,
				 "more than %u MiB of it are compressed as one piece, "
				 "which would have to be unpacked for every byte of it",
				 FRAME_CONTENT_LIMIT >> 20);
	if (index->count == FRAME_COUNT_LIMIT)
		return error_set(error, KIOKU_ERROR_LIMIT, "it has too many compressed pieces");
	if (!GROW(index->frames, index->count, index->capacity))
		return error_no_memory(error);
	/* FRAME_COUNT_LIMIT times FRAME_CONTENT_LIMIT is far from overflowing. */
	index->frames[index->count++] = (struct frame){ offset, index->size, (uint32_t)packed_size,
							(uint32_t)content_size };
	index->size += content_size;
	return KIOKU_OK;
}

const struct frame *frame_index_find(const struct frame_index *index, uint64_t content)
{
	size_t low = 0, high = index->count;

	if (content >= index->size)
		return NULL;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (index->frames[middle].content <= content)
			low = middle;
		else
			high = middle;
	}
	return &index->frames[low];
}

void frame_index_release(struct frame_index *index)
{
	free(index->frames);
	*index = (struct frame_index){ 0 };
}

/* --- frames */

static bool is_skippable(struct bytes file, uint64_t offset, uint64_t *size)
{
	struct bytes head;

	if (!bytes_slice(file, offset, 8, &head) ||
	    (load_le32(head.data) & ~0xfu) != SKIPPABLE_MAGIC)
		return false;
	*size = 8 + (uint64_t)load_le32(head.data + 4);
	return true;
}

static bool is_gzip(struct bytes file, uint64_t offset)
{
	struct bytes head;

	/* Method 8 is deflate; the upper three flags are reserved and zero. */
	return bytes_slice(file, offset, 10, &head) && bytes_match(head, 0, "\x1f\x8b\x08") &&
	       (head.data[3] & 0xe0) == 0;
}

bool frame_codec_detect(struct bytes file, enum frame_codec *out)
{
	uint64_t offset = 0, size;
	uint32_t magic;

	if (is_gzip(file, 0)) {
		*out = FRAME_GZIP;
		return true;
	}
	for (int i = 0; i < SKIP_LIMIT && is_skippable(file, offset, &size); i++)
		offset += size;
	if (!bytes_le32(file, offset, &magic) || (magic != ZSTD_MAGIC && magic != LZ4_MAGIC))
		return false;
	*out = magic == ZSTD_MAGIC ? FRAME_ZSTD : FRAME_LZ4;
	return true;
}

/* A number of 1, 2, 4 or 8 bytes. */
static bool take_number(struct bytes file, uint64_t *offset, unsigned size, uint64_t *out)
{
	struct bytes raw;

	if (!bytes_slice(file, *offset, size, &raw))
		return false;
	*out = 0;
	for (unsigned i = 0; i < size; i++)
		*out |= (uint64_t)raw.data[i] << 8 * i;
	*offset += size;
	return true;
}

#define CUT "it is cut short by the end of the file"

/* RFC 8878 section 3.1.1.1; *offset: of the frame header descriptor, then of the first block. */
static const char *zstd_header(struct bytes file, uint64_t *offset, bool *has_checksum,
			       uint64_t *content_size)
{
	static const uint8_t dictionary_sizes[] = { 0, 1, 2, 4 }, content_sizes[] = { 0, 2, 4, 8 };
	uint64_t descriptor, unused;

	if (!take_number(file, offset, 1, &descriptor))
		return CUT;
	bool is_single = descriptor & 0x20;
	unsigned dictionary_size = dictionary_sizes[descriptor & 3];
	unsigned size = content_sizes[descriptor >> 6];
	if (size == 0 && is_single)
		size = 1;
	if (descriptor & 8)
		return "its header has a reserved bit set";
	if ((!is_single && !take_number(file, offset, 1, &unused)) ||
	    (dictionary_size > 0 && !take_number(file, offset, dictionary_size, &unused)))
		return CUT;
	*has_checksum = descriptor & 4;
	*content_size = FRAME_SIZE_UNKNOWN;
	if (size == 0)
		return NULL;
	if (!take_number(file, offset, size, content_size))
		return CUT;
	*content_size += size == 2 ? 256 : 0;
	return NULL;
}

static const char *measure_zstd(struct bytes file, uint64_t offset, struct frame_shape *out)
{
	uint64_t at = offset + 4, block;
	bool has_checksum;
	const char *problem = zstd_header(file, &at, &has_checksum, &out->content_size);

	if (problem)
		return problem;
	do {
		if (!take_number(file, &at, 3, &block))
			return CUT;
		unsigned type = block >> 1 & 3; /* raw, run of one byte, compressed */
		if (type == 3)
			return "it has a block of an unknown type";
		at += type == 1 ? 1 : block >> 3;
	} while (!(block & 1));
	at += has_checksum ? 4 : 0;
	out->packed_size = at - offset;
	return bytes_has(file, offset, out->packed_size) ? NULL : CUT;
}

static const char *measure_lz4(struct bytes file, uint64_t offset, struct frame_shape *out)
{
	uint64_t at = offset + 6, block, unused;
	uint8_t flags;

	if (!bytes_u8(file, offset + 4, &flags))
		return CUT;
	if (flags >> 6 != 1 || (flags & 2))
		return "its header is of an unknown version";
	out->content_size = FRAME_SIZE_UNKNOWN;
	if (((flags & 8) && !take_number(file, &at, 8, &out->content_size)) ||
	    ((flags & 1) && !take_number(file, &at, 4, &unused)))
		return CUT;
	at += 1; /* the header's checksum, which unpacking looks at */
	for (;;) {
		if (!take_number(file, &at, 4, &block))
			return CUT;
		if (block == 0)
			break;
		at += (block & 0x7fffffff) + (flags & 0x10 ? 4 : 0);
	}
	at += flags & 4 ? 4 : 0;
	out->packed_size = at - offset;
	return bytes_has(file, offset, out->packed_size) ? NULL : CUT;
}

/* RFC 1952 section 2.3.1. */
static const char *measure_gzip(struct bytes file, uint64_t offset, struct frame_shape *out)
{
	struct bytes extra;
	uint16_t size;
	uint8_t flags;

	*out = (struct frame_shape){ FRAME_SIZE_UNKNOWN, FRAME_SIZE_UNKNOWN };
	if (!bytes_u8(file, offset + 3, &flags))
		return CUT;
	if (!(flags & 4))
		return NULL;
	if (!bytes_le16(file, offset + 10, &size) || !bytes_slice(file, offset + 12, size, &extra))
		return CUT;
	for (uint64_t at = 0; bytes_has(extra, at, 4);
	     at += 4 + (uint64_t)load_le16(extra.data + at + 2)) {
		if (!bytes_match(extra, at, "KK\x08\0") || !bytes_has(extra, at, 12))
			continue;
		out->packed_size = load_le32(extra.data + at + 4);
		out->content_size = load_le32(extra.data + at + 8);
		if (out->packed_size < GZIP_HEAD_SIZE + GZIP_TAIL_SIZE)
			return "its header has an impossible size";
		return bytes_has(file, offset, out->packed_size) ? NULL : CUT;
	}
	return NULL;
}

const char *frame_measure(enum frame_codec codec, struct bytes file, uint64_t offset,
			  struct frame_shape *out)
{
	uint64_t size;
	uint32_t magic;

	if (offset >= file.size)
		return CUT;
	if (codec == FRAME_GZIP)
		return is_gzip(file, offset)         ? measure_gzip(file, offset, out)
		       : bytes_has(file, offset, 10) ? "it does not start as gzip members do"
						     : CUT;
	if (!bytes_le32(file, offset, &magic))
		return CUT;
	if (is_skippable(file, offset, &size)) {
		*out = (struct frame_shape){ size, 0 };
		return bytes_has(file, offset, size) ? NULL : CUT;
	}
	if (magic == ZSTD_MAGIC && codec == FRAME_ZSTD)
		return measure_zstd(file, offset, out);
	if (magic == LZ4_MAGIC && codec == FRAME_LZ4)
		return measure_lz4(file, offset, out);
	return "it does not start as frames do";
}

/* --- the seek table */

void seek_table_encode_head(uint32_t frame_count, uint8_t out[SEEK_TABLE_HEAD_SIZE])
{
	store_le32(out, SEEK_TABLE_MAGIC);
	store_le32(out + 4, frame_count * SEEK_TABLE_ENTRY_SIZE + SEEK_TABLE_FOOTER_SIZE);
}

void seek_table_encode_entry(uint32_t packed_size, uint32_t content_size,
			     uint8_t out[SEEK_TABLE_ENTRY_SIZE])
{
	store_le32(out, packed_size);
	store_le32(out + 4, content_size);
}

void seek_table_encode_footer(uint32_t frame_count, uint8_t out[SEEK_TABLE_FOOTER_SIZE])
{
	store_le32(out, frame_count);
	out[4] = 0; /* no checksums: the frames have their own */
	store_le32(out + 5, SEEKABLE_MAGIC);
}

/* The entries of the table at the end of a file, and how large each is. */
static bool find_table(struct bytes file, struct bytes *entries, unsigned *entry_size)
{
	struct bytes footer, head;

	if (!bytes_has(file, 0, SEEK_TABLE_FOOTER_SIZE) ||
	    !bytes_slice(file, file.size - SEEK_TABLE_FOOTER_SIZE, SEEK_TABLE_FOOTER_SIZE,
			 &footer) ||
	    load_le32(footer.data + 5) != SEEKABLE_MAGIC || (footer.data[4] & 0x7c))
		return false;
	*entry_size = footer.data[4] & 0x80 ? 12 : SEEK_TABLE_ENTRY_SIZE;
	uint64_t size = (uint64_t)load_le32(footer.data) * *entry_size;
	uint64_t whole = SEEK_TABLE_HEAD_SIZE + size + SEEK_TABLE_FOOTER_SIZE;
	if (whole > file.size || !bytes_slice(file, file.size - whole, SEEK_TABLE_HEAD_SIZE, &head))
		return false;
	return load_le32(head.data) == SEEK_TABLE_MAGIC &&
	       load_le32(head.data + 4) == size + SEEK_TABLE_FOOTER_SIZE &&
	       bytes_slice(file, file.size - whole + SEEK_TABLE_HEAD_SIZE, size, entries);
}

enum kioku_status seek_table_decode(struct bytes file, struct frame_index *out,
				    struct kioku_error *error)
{
	uint64_t offset = 0;
	struct bytes entries;
	unsigned entry_size;

	if (!find_table(file, &entries, &entry_size))
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "it has no seek table");
	for (size_t at = 0; at < entries.size; at += entry_size) {
		uint32_t packed_size = load_le32(entries.data + at);
		TRY(frame_index_add(out, offset, packed_size, load_le32(entries.data + at + 4),
				    error));
		offset += packed_size;
	}
	if (offset + SEEK_TABLE_HEAD_SIZE + entries.size + SEEK_TABLE_FOOTER_SIZE == file.size)
		return KIOKU_OK;
	frame_index_release(out);
	return error_set(error, KIOKU_ERROR_NOT_FOUND, "its seek table does not fit the file");
}

/* --- gzip */

void gzip_encode_head(uint32_t member_size, uint32_t content_size, uint8_t out[GZIP_HEAD_SIZE])
{
	/* Deflate, an extra field, no time, an unknown system; 12 bytes of it, 8 of them KK's. */
	static const uint8_t head[] = {
		0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 12, 0, 'K', 'K', 8, 0
	};

	memcpy(out, head, sizeof(head));
	store_le32(out + 16, member_size);
	store_le32(out + 20, content_size);
}

void gzip_encode_tail(uint32_t crc32, uint32_t content_size, uint8_t out[GZIP_TAIL_SIZE])
{
	store_le32(out, crc32);
	store_le32(out + 4, content_size);
}

void gzip_encode_end(uint8_t out[GZIP_END_SIZE])
{
	gzip_encode_head(GZIP_END_SIZE, 0, out);
	out[GZIP_HEAD_SIZE] = 3; /* one block of no bytes, with the fixed code */
	out[GZIP_HEAD_SIZE + 1] = 0;
	gzip_encode_tail(0, 0, out + GZIP_HEAD_SIZE + 2);
}
