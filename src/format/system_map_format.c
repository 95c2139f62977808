/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/system_map_format.h"

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Characters of names are none of white space and control. */
static size_t word_size(struct bytes line, size_t at)
{
	size_t start = at;

	while (at < line.size && line.data[at] > ' ' && line.data[at] != 0x7f)
		at++;
	return at - start;
}

bool system_map_next(struct bytes text, size_t *at, struct system_map_line *out)
{
	struct system_map_line found = { 0 };
	size_t i = 0;

	if (*at >= text.size)
		return false;
	struct bytes line = { text.data + *at, text.size - *at };
	const uint8_t *end = memchr(line.data, '\n', line.size);
	size_t whole = end ? (size_t)(end - line.data) + 1 : line.size;
	line.size = end ? whole - 1 : whole;

	for (; i < line.size && i < 16 && hex_digit(line.data[i]) >= 0; i++)
		found.address = found.address << 4 | (uint64_t)hex_digit(line.data[i]);
	if (i == 0 || line.size < i + 4 || line.data[i] != ' ' || line.data[i + 1] <= ' ' ||
	    line.data[i + 1] >= 0x7f || line.data[i + 2] != ' ')
		return false;
	found.type = (char)line.data[i + 1];
	i += 3;
	found.name = (struct bytes){ line.data + i, word_size(line, i) };
	i += found.name.size;
	while (i < line.size && (line.data[i] == '\t' || line.data[i] == ' '))
		i++;
	found.is_of_module = i < line.size && line.data[i] == '[';
	if (found.name.size == 0 || (i < line.size && !found.is_of_module))
		return false;
	*out = found;
	*at += whole;
	return true;
}
