/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes from outside, read with bounds and an explicit byte order. Reads past the end return false
 * and leave *out alone, so that a parser can chain them with && and look at values afterwards.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *data;
	size_t size;
};

static inline struct bytes bytes_of_text(const char *text)
{
	return (struct bytes){ (const uint8_t *)text, strlen(text) };
}

static inline bool bytes_equal(struct bytes bytes, struct bytes other)
{
	return bytes.size == other.size &&
	       (bytes.size == 0 || memcmp(bytes.data, other.data, bytes.size) == 0);
}

/* For data whose size was checked already. */
static inline uint16_t load_le16(const void *data)
{
	const uint8_t *p = data;
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t load_le32(const void *data)
{
	const uint8_t *p = data;
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t load_le64(const void *data)
{
	const uint8_t *p = data;
	return (uint64_t)load_le32(p) | (uint64_t)load_le32(p + 4) << 32;
}

static inline uint32_t load_be32(const void *data)
{
	return __builtin_bswap32(load_le32(data));
}

static inline uint64_t load_be64(const void *data)
{
	return __builtin_bswap64(load_le64(data));
}

/* The other way round. */
static inline void store_le16(void *data, uint16_t value)
{
	uint8_t *p = data;
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

static inline void store_le32(void *data, uint32_t value)
{
	uint8_t *p = data;
	store_le16(p, (uint16_t)value);
	store_le16(p + 2, (uint16_t)(value >> 16));
}

static inline void store_le64(void *data, uint64_t value)
{
	uint8_t *p = data;
	store_le32(p, (uint32_t)value);
	store_le32(p + 4, (uint32_t)(value >> 32));
}

static inline void store_be64(void *data, uint64_t value)
{
	store_le64(data, __builtin_bswap64(value));
}

/* Whether [offset, offset + size) lies inside, without overflow. */
static inline bool bytes_has(struct bytes bytes, uint64_t offset, uint64_t size)
{
	return offset <= bytes.size && size <= bytes.size - offset;
}

/* The part [offset, offset + size), or false. */
static inline bool bytes_slice(struct bytes bytes, uint64_t offset, uint64_t size,
			       struct bytes *out)
{
	if (!bytes_has(bytes, offset, size))
		return false;
	*out = (struct bytes){ bytes.data + offset, (size_t)size };
	return true;
}

static inline bool bytes_u8(struct bytes bytes, uint64_t offset, uint8_t *out)
{
	if (!bytes_has(bytes, offset, 1))
		return false;
	*out = bytes.data[offset];
	return true;
}

static inline bool bytes_le16(struct bytes bytes, uint64_t offset, uint16_t *out)
{
	if (!bytes_has(bytes, offset, 2))
		return false;
	*out = load_le16(bytes.data + offset);
	return true;
}

static inline bool bytes_le32(struct bytes bytes, uint64_t offset, uint32_t *out)
{
	if (!bytes_has(bytes, offset, 4))
		return false;
	*out = load_le32(bytes.data + offset);
	return true;
}

/* Whether all bytes are zero. Eight words at a time: compilers make vectors of them. */
static inline bool bytes_are_zero(const void *data, size_t size)
{
	const uint8_t *p = data;
	uint64_t words[8], any = 0;

	for (; size >= sizeof(words); p += sizeof(words), size -= sizeof(words)) {
		memcpy(words, p, sizeof(words));
		if (words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] |
		    words[7])
			return false;
	}
	while (size-- > 0)
		any |= *p++;
	return any == 0;
}

/* Whether the bytes at offset are those of a string literal, its NUL not counted. */
#define bytes_match(bytes, offset, literal)                   \
	(bytes_has((bytes), (offset), sizeof(literal) - 1) && \
	 memcmp((bytes).data + (offset), (literal), sizeof(literal) - 1) == 0)

#endif
