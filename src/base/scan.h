/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text as the kernel prints it, read from front to back: each scan_ function moves *offset behind
 * what it took. Where it returns false, *offset is anywhere and the line is to be given up.
 */
#ifndef BASE_SCAN_H
#define BASE_SCAN_H

#include "base/bytes.h"

#define SCAN_LITERAL(literal) ((struct bytes){ (const uint8_t *)(literal), sizeof(literal) - 1 })

/* The next line, without its line feed, which the last one may lack. False at the end. */
static inline bool scan_line(struct bytes text, size_t *offset, struct bytes *line)
{
	size_t left = *offset < text.size ? text.size - *offset : 0;
	const uint8_t *start = left > 0 ? text.data + *offset : NULL;
	const uint8_t *end = left > 0 ? memchr(start, '\n', left) : NULL;

	if (left == 0)
		return false;
	*line = (struct bytes){ start, end ? (size_t)(end - start) : left };
	*offset += end ? line->size + 1 : line->size;
	return true;
}

/* A number of 1 to 16 lower-case hexadecimal digits. */
static inline bool scan_hex(struct bytes text, size_t *offset, uint64_t *out)
{
	uint64_t value = 0;
	size_t start = *offset;

	for (; *offset < text.size && *offset - start < 16; ++*offset) {
		uint8_t c = text.data[*offset];
		if (c >= '0' && c <= '9')
			value = value << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint64_t)(c - 'a' + 10);
		else
			break;
	}
	*out = value;
	return *offset > start;
}

/* A decimal number that fits. */
static inline bool scan_decimal(struct bytes text, size_t *offset, uint64_t *out)
{
	uint64_t value = 0;
	size_t start = *offset;

	for (; *offset < text.size; ++*offset) {
		uint8_t c = text.data[*offset];
		if (c < '0' || c > '9')
			break;
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(c - '0'), &value))
			return false;
	}
	*out = value;
	return *offset > start;
}

/* The same with a sign. */
static inline bool scan_signed(struct bytes text, size_t *offset, int64_t *out)
{
	bool negative = *offset < text.size && text.data[*offset] == '-';
	uint64_t value;

	*offset += negative;
	if (!scan_decimal(text, offset, &value) || value > INT64_MAX)
		return false;
	*out = negative ? -(int64_t)value : (int64_t)value;
	return true;
}

static inline bool scan_text(struct bytes text, size_t *offset, const char *expected)
{
	size_t size = strlen(expected);

	if (!bytes_has(text, *offset, size) || memcmp(text.data + *offset, expected, size) != 0)
		return false;
	*offset += size;
	return true;
}

static inline bool scan_is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static inline void scan_blanks(struct bytes text, size_t *offset)
{
	while (*offset < text.size && scan_is_blank(text.data[*offset]))
		++*offset;
}

/* What stands between blanks; false at the end. */
static inline bool scan_word(struct bytes text, size_t *offset, struct bytes *word)
{
	scan_blanks(text, offset);
	size_t start = *offset;
	while (*offset < text.size && !scan_is_blank(text.data[*offset]))
		++*offset;
	*word = (struct bytes){ text.data + start, *offset - start };
	return word->size > 0;
}

#endif
