/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/json_writer.h"

#include <inttypes.h>

/* The length of the UTF-8 character at offset, or 0 if it is none (RFC 3629, table of section 4). */
static size_t character_length(struct bytes text, size_t offset)
{
	const uint8_t *at = text.data + offset;
	uint8_t first = at[0], low = 0x80, high = 0xbf;
	size_t length = first < 0x80   ? 1
			: first < 0xc2 ? 0
			: first < 0xe0 ? 2
			: first < 0xf0 ? 3
				       : 4;

	if (first > 0xf4 || !bytes_has(text, offset, length))
		return 0;
	if (first == 0xe0)
		low = 0xa0;
	if (first == 0xed)
		high = 0x9f;
	if (first == 0xf0)
		low = 0x90;
	if (first == 0xf4)
		high = 0x8f;
	for (size_t i = 1; i < length; i++, low = 0x80, high = 0xbf)
		if (at[i] < low || at[i] > high)
			return 0;
	return length;
}

/* How many bytes from offset on stand for themselves. */
static size_t plain_length(struct bytes text, size_t offset)
{
	size_t end = offset;

	while (end < text.size && text.data[end] >= 0x20 && text.data[end] < 0x7f &&
	       text.data[end] != '\\' && text.data[end] != '"')
		end++;
	return end - offset;
}

/* Whoever writes has the stream to itself: taking its lock for each character is most of the time otherwise. */
void json_write_string(FILE *out, struct bytes text)
{
	putc_unlocked('"', out);
	for (size_t offset = 0; offset < text.size;) {
		const uint8_t *at = text.data + offset;
		size_t plain = plain_length(text, offset);
		if (plain) {
			fwrite_unlocked(at, 1, plain, out);
			offset += plain;
			continue;
		}
		size_t length = character_length(text, offset);
		/* NUL too: readers of JSON in C lose what is behind one. */
		if (length == 0 || *at == 0)
			fprintf(out, "\\\\x%02x", *at);
		else if (*at == '\\')
			fputs("\\\\\\\\", out);
		else if (*at == '"')
			fputs("\\\"", out);
		else if (*at < 0x20 || *at == 0x7f)
			fprintf(out, "\\u%04x", *at);
		else
			fwrite(at, 1, length, out);
		offset += length ? length : 1;
	}
	putc_unlocked('"', out);
}

/* What comes before a value. */
static void put_key(struct json_writer *writer, const char *key)
{
	if (writer->has_sibling)
		fputs_unlocked(", ", writer->out);
	if (key) {
		putc_unlocked('"', writer->out);
		fputs_unlocked(key, writer->out);
		fputs_unlocked("\": ", writer->out);
	}
	writer->has_sibling = true;
}

static void begin(struct json_writer *writer, const char *key, char bracket)
{
	put_key(writer, key);
	putc_unlocked(bracket, writer->out);
	writer->has_sibling = false;
}

static void end(struct json_writer *writer, char bracket)
{
	putc_unlocked(bracket, writer->out);
	writer->has_sibling = true;
}

void json_begin_object(struct json_writer *writer, const char *key)
{
	begin(writer, key, '{');
}

void json_begin_array(struct json_writer *writer, const char *key)
{
	begin(writer, key, '[');
}

void json_end_object(struct json_writer *writer)
{
	end(writer, '}');
}

void json_end_array(struct json_writer *writer)
{
	end(writer, ']');
}

void json_put_bytes(struct json_writer *writer, const char *key, struct bytes text)
{
	put_key(writer, key);
	json_write_string(writer->out, text);
}

void json_put_text(struct json_writer *writer, const char *key, const char *text)
{
	put_key(writer, key);
	if (text)
		json_write_string(writer->out,
				  (struct bytes){ (const uint8_t *)text, strlen(text) });
	else
		fputs("null", writer->out);
}

void json_put_unsigned(struct json_writer *writer, const char *key, uint64_t number)
{
	char digits[20];
	size_t first = sizeof(digits);

	put_key(writer, key);
	do {
		digits[--first] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	fwrite_unlocked(digits + first, 1, sizeof(digits) - first, writer->out);
}

void json_put_signed(struct json_writer *writer, const char *key, int64_t number)
{
	put_key(writer, key);
	fprintf(writer->out, "%" PRId64, number);
}

void json_put_address(struct json_writer *writer, const char *key, uint64_t address)
{
	put_key(writer, key);
	fprintf(writer->out, "\"0x%" PRIx64 "\"", address);
}

void json_put_flag(struct json_writer *writer, const char *key, bool flag)
{
	put_key(writer, key);
	fputs(flag ? "true" : "false", writer->out);
}
