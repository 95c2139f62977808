/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/digest_format.h"

static bool hex_digit(uint8_t digit, uint8_t *out)
{
	if (digit >= '0' && digit <= '9')
		*out = (uint8_t)(digit - '0');
	else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
		*out = (uint8_t)((digit | 0x20) - 'a' + 10);
	else
		return false;
	return true;
}

/* So many bytes in hexadecimal, and nothing that goes on like that. */
static bool read_hex(struct bytes line, size_t offset, size_t size, uint8_t *out)
{
	uint8_t high = 0, low = 0;

	if (!bytes_has(line, offset, 2 * size))
		return false;
	for (size_t i = 0; i < size; i++) {
		if (!hex_digit(line.data[offset + 2 * i], &high) ||
		    !hex_digit(line.data[offset + 2 * i + 1], &low))
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	size_t end = offset + 2 * size;
	return end == line.size || !hex_digit(line.data[end], &low);
}

/* "HEX  NAME", "HEX *NAME", "HEX"; a backslash in front says that NAME is escaped. */
static bool read_gnu(struct bytes line, size_t size, uint8_t *out, struct bytes *name)
{
	size_t start = line.size > 0 && line.data[0] == '\\';
	size_t end = start + 2 * size;

	if (!read_hex(line, start, size, out))
		return false;
	if (end < line.size && line.data[end] != ' ' && line.data[end] != '\t')
		return false;
	while (end < line.size && (line.data[end] == ' ' || line.data[end] == '\t'))
		end++;
	if (end < line.size && line.data[end] == '*')
		end++;
	*name = (struct bytes){ line.data + end, line.size - end };
	return true;
}

/* "ALGORITHM (NAME) = HEX" */
static bool read_bsd(struct bytes line, size_t size, uint8_t *out, struct bytes *name)
{
	static const char middle[] = ") = ";
	size_t length = sizeof(middle) - 1;
	const uint8_t *open = line.size > 0 ? memchr(line.data, '(', line.size) : NULL;

	if (!open || line.size < 2 * size + length ||
	    !read_hex(line, line.size - 2 * size, size, out))
		return false;
	size_t end = line.size - 2 * size - length, start = (size_t)(open - line.data) + 1;
	if (start > end || memcmp(line.data + end, middle, length) != 0)
		return false;
	*name = (struct bytes){ line.data + start, end - start };
	return true;
}

/* Whether a line's name, with or without a folder, is name. */
static bool is_name(struct bytes found, const char *name)
{
	size_t length = strlen(name);

	return found.size >= length &&
	       memcmp(found.data + found.size - length, name, length) == 0 &&
	       (found.size == length || found.data[found.size - length - 1] == '/');
}

/* The line at *at without its end, which may be that of DOS; steps to the next one. */
static struct bytes next_line(struct bytes text, size_t *at)
{
	const uint8_t *start = text.data + *at;
	const uint8_t *end = memchr(start, '\n', text.size - *at);
	size_t size = end ? (size_t)(end - start) : text.size - *at;

	*at += size + (end != NULL);
	while (size > 0 && (start[size - 1] == '\r' || start[size - 1] == ' '))
		size--;
	return (struct bytes){ start, size };
}

bool digest_find(struct bytes text, const char *name, size_t size, uint8_t out[DIGEST_SIZE_MAX],
		 bool *is_bare)
{
	size_t count = 0;

	for (size_t at = 0; at < text.size;) {
		struct bytes line = next_line(text, &at), found;
		uint8_t digest[DIGEST_SIZE_MAX];
		if (!read_gnu(line, size, digest, &found) && !read_bsd(line, size, digest, &found))
			continue;
		count++;
		memcpy(out, digest, size);
		*is_bare = found.size == 0;
		if (is_name(found, name))
			return true;
	}
	return count == 1;
}
