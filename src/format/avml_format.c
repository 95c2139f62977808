/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifdef __x86_64__
#include <nmmintrin.h>
#endif

#include "format/avml_format.h"

bool avml_is_magic(struct bytes file)
{
	uint32_t magic;

	return bytes_le32(file, 0, &magic) && magic == AVML_MAGIC;
}

const char *avml_header_decode(struct bytes head, struct avml_header *out)
{
	if (head.size < AVML_HEADER_SIZE)
		return "its header is cut short by the end of the file";
	if (load_le32(head.data) != AVML_MAGIC)
		return "its header has no AVML magic number";
	if (load_le32(head.data + 4) != AVML_VERSION)
		return "its header has a version other than 2";
	if (load_le64(head.data + 24) != 0)
		return "its header has reserved bytes that are not zero";
	out->start = load_le64(head.data + 8);
	out->last = load_le64(head.data + 16);
	if (out->last < out->start)
		return "its header ends before it starts";
	if (out->last - out->start == UINT64_MAX)
		return "its header claims all of the address space";
	return NULL;
}

void avml_header_encode(const struct avml_header *header, uint8_t out[AVML_HEADER_SIZE])
{
	store_le32(out, AVML_MAGIC);
	store_le32(out + 4, AVML_VERSION);
	store_le64(out + 8, header->start);
	store_le64(out + 16, header->last);
	store_le64(out + 24, 0);
}

uint64_t avml_trailer_decode(const uint8_t raw[AVML_TRAILER_SIZE])
{
	return load_le64(raw);
}

void avml_trailer_encode(uint64_t stream_size, uint8_t out[AVML_TRAILER_SIZE])
{
	store_le64(out, stream_size);
}

const char *snappy_chunk_decode(struct bytes head, struct snappy_chunk *out)
{
	static const uint8_t kinds[] = { SNAPPY_COMPRESSED, SNAPPY_STORED };

	if (head.size < 4)
		return "its stream is cut short by the end of the file";
	uint32_t word = load_le32(head.data), type = word & 0xff, size = word >> 8;
	if (type >= 0x80) { /* 0xfe is padding, 0xff the head of a stream, the rest is reserved */
		*out = (struct snappy_chunk){ SNAPPY_SKIPPED, size, 0 };
		return NULL;
	}
	if (type >= sizeof(kinds))
		return "its stream has a chunk of an unknown type";
	if (head.size < SNAPPY_CHUNK_HEAD_SIZE)
		return "its stream is cut short by the end of the file";
	if (size < 4 || size - 4 > SNAPPY_PAYLOAD_LIMIT)
		return "its stream has a chunk of an impossible size";
	*out = (struct snappy_chunk){ (enum snappy_chunk_kind)kinds[type], size - 4,
				      load_le32(head.data + 4) };
	if (out->kind == SNAPPY_STORED && out->size > SNAPPY_CONTENT_LIMIT)
		return "its stream has a chunk of an impossible size";
	return NULL;
}

void snappy_chunk_encode(const struct snappy_chunk *chunk, uint8_t out[SNAPPY_CHUNK_HEAD_SIZE])
{
	store_le32(out, (chunk->size + 4) << 8 | (chunk->kind == SNAPPY_STORED));
	store_le32(out + 4, chunk->checksum);
}

bool snappy_content_size(struct bytes payload, uint32_t *out)
{
	uint32_t size = 0;

	/* 65536 has 17 bits: three bytes of 7. */
	for (unsigned i = 0; i < 3 && i < payload.size; i++) {
		size |= (payload.data[i] & 0x7fu) << 7 * i;
		if (!(payload.data[i] & 0x80)) {
			*out = size;
			return size <= SNAPPY_CONTENT_LIMIT;
		}
	}
	return false;
}

/* --- CRC-32C, without its inversions at both ends */

static uint32_t checksum_slowly(uint32_t crc, const uint8_t *data, size_t size)
{
	/* Of the 16 values of four bits, for the reflected polynomial 0x82f63b78. */
	static const uint32_t table[] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	for (size_t i = 0; i < size; i++) {
		crc ^= data[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t checksum_fast(uint32_t crc, const uint8_t *data,
								size_t size)
{
	uint64_t wide = crc;
	size_t i = 0;

	for (; size - i >= 8; i += 8)
		wide = _mm_crc32_u64(wide, load_le64(data + i));
	crc = (uint32_t)wide;
	for (; i < size; i++)
		crc = _mm_crc32_u8(crc, data[i]);
	return crc;
}

static uint32_t checksum(uint32_t crc, const uint8_t *data, size_t size)
{
	return __builtin_cpu_supports("sse4.2") ? checksum_fast(crc, data, size)
						: checksum_slowly(crc, data, size);
}
#else
static uint32_t checksum(uint32_t crc, const uint8_t *data, size_t size)
{
	return checksum_slowly(crc, data, size);
}
#endif

uint32_t snappy_checksum(const void *data, size_t size)
{
	uint32_t crc = ~checksum(UINT32_MAX, data, size);

	return (crc >> 15 | crc << 17) + 0xa282ead8u;
}
