/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <langinfo.h>
#include <string.h>
#include <wchar.h>

#include "escape.h"

size_t utf8_decode(const char *data, size_t size, uint32_t *character)
{
	/* By length: the lowest character that needs it; anything lower is an overlong form. */
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)data;

	if (p[0] < 0x80) {
		*character = p[0];
		return 1;
	}
	size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || length > size)
		return 0;

	uint32_t value = p[0] & (0x7f >> length);
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (p[i] & 0x3f);
	}
	if (value < lowest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*character = value;
	return length;
}

bool character_unsafe(uint32_t character, bool ascii)
{
	/* Format characters (Unicode category Cf and the line separators): no glyph of their own. */
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{ 0x00ad, 0x00ad },    { 0x0600, 0x0605 },   { 0x061c, 0x061c },
		{ 0x06dd, 0x06dd },    { 0x070f, 0x070f },   { 0x115f, 0x1160 },
		{ 0x180b, 0x180f },    { 0x200b, 0x200f },   { 0x2028, 0x202e },
		{ 0x2060, 0x206f },    { 0x3164, 0x3164 },   { 0xfe00, 0xfe0f },
		{ 0xfeff, 0xfeff },    { 0xffa0, 0xffa0 },   { 0xfff0, 0xfffb },
		{ 0xfffe, 0xffff },    { 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
		{ 0xf0000, 0x10ffff },
	};

	if (character < 0x7f)
		return character < 0x20 || character == '\\';
	if (character < 0xa0 || ascii)
		return true;
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (character >= hidden[i].first && character <= hidden[i].last)
			return true;
	return false;
}

unsigned character_width(uint32_t character)
{
	int width = character < 0x80 ? 1 : wcwidth((wchar_t)character);

	return width < 0 ? 1 : (unsigned)width;
}

static unsigned write_escaped(FILE *file, uint32_t character)
{
	int width = character == '\\'     ? fprintf(file, "\\\\")
		    : character < 0x80    ? fprintf(file, "\\x%02x", character)
		    : character < 0x10000 ? fprintf(file, "\\u%04x", character)
					  : fprintf(file, "\\U%08x", character);
	return width < 0 ? 0 : (unsigned)width;
}

/* How many of these bytes are characters of ASCII that stand for themselves. */
static size_t plain_length(const char *data, size_t size)
{
	size_t length = 0;

	while (length < size && data[length] >= 0x20 && data[length] < 0x7f && data[length] != '\\')
		length++;
	return length;
}

unsigned escape_write(FILE *file, const char *data, size_t size, bool ascii)
{
	unsigned width = 0;

	for (size_t offset = 0, length; offset < size; offset += length) {
		uint32_t character;
		length = plain_length(data + offset, size - offset);
		if (length > 0) {
			width += (unsigned)length;
			fwrite_unlocked(data + offset, 1, length, file);
			continue;
		}
		length = utf8_decode(data + offset, size - offset, &character);
		if (length == 0) {
			length = 1;
			width += 4;
			fprintf(file, "\\x%02x", (unsigned char)data[offset]);
		} else if (character_unsafe(character, ascii)) {
			width += write_escaped(file, character);
		} else {
			width += character_width(character);
			fwrite_unlocked(data + offset, 1, length, file);
		}
	}
	return width;
}

bool locale_is_utf8(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}
