/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <string.h>

#include "escape.h"
#include "json.h"

static void begin_value(struct json *json, const char *key)
{
	if (json->comma)
		putc(',', json->file);
	if (key)
		fprintf(json->file, "\"%s\":", key);
	json->comma = true;
}

void json_open(struct json *json, const char *key, char bracket)
{
	begin_value(json, key);
	putc(bracket, json->file);
	json->comma = false;
}

void json_close(struct json *json, char bracket)
{
	putc(bracket, json->file);
	json->comma = true;
}

static bool is_utf8(const char *data, size_t size)
{
	uint32_t character;

	for (size_t offset = 0, length; offset < size; offset += length) {
		length = utf8_decode(data + offset, size - offset, &character);
		if (length == 0)
			return false;
	}
	return true;
}

static void write_character(const struct json *json, uint32_t character, const char *data,
			    size_t length)
{
	if (character == '"' || character == '\\') {
		putc('\\', json->file);
		putc((int)character, json->file);
	} else if (!character_unsafe(character, json->ascii)) {
		fwrite_unlocked(data, 1, length, json->file);
	} else if (character < 0x10000) {
		fprintf(json->file, "\\u%04x", character);
	} else { /* a UTF-16 surrogate pair (RFC 8259, section 7) */
		character -= 0x10000;
		fprintf(json->file, "\\u%04x\\u%04x", 0xd800 + (character >> 10),
			0xdc00 + (character & 0x3ff));
	}
}

bool json_text(struct json *json, const char *key, const char *data, size_t size)
{
	bool exact = is_utf8(data, size);

	begin_value(json, key);
	putc('"', json->file);
	for (size_t offset = 0, length; offset < size; offset += length) {
		uint32_t character;
		length = utf8_decode(data + offset, size - offset, &character);
		if (length == 0) {
			length = 1;
			fprintf(json->file, "\\\\x%02x", (unsigned char)data[offset]);
			continue;
		}
		if (!exact && character == '\\')
			fputs("\\\\", json->file);
		write_character(json, character, data + offset, length);
	}
	putc('"', json->file);
	return exact;
}

void json_string(struct json *json, const char *key, const char *text)
{
	if (text) {
		json_text(json, key, text, strlen(text));
		return;
	}
	begin_value(json, key);
	fputs("null", json->file);
}

void json_number(struct json *json, const char *key, uint64_t value)
{
	begin_value(json, key);
	fprintf(json->file, "%" PRIu64, value);
}

void json_integer(struct json *json, const char *key, int64_t value)
{
	begin_value(json, key);
	fprintf(json->file, "%" PRId64, value);
}

void json_decimal(struct json *json, const char *key, double value)
{
	begin_value(json, key);
	fprintf(json->file, "%.3f", value);
}

void json_address(struct json *json, const char *key, uint64_t value)
{
	begin_value(json, key);
	fprintf(json->file, "\"0x%" PRIx64 "\"", value);
}

void json_boolean(struct json *json, const char *key, bool value)
{
	begin_value(json, key);
	fputs(value ? "true" : "false", json->file);
}
