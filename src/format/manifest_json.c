/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <json-c/json.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "format/manifest_json.h"

#define SCALAR_LIMIT (64u << 10)  /* bytes of text */
#define STATES_LIMIT (256u << 20) /* a range of 1 TiB with a run every few pages */
#define OTHER_LIMIT  (1u << 20)   /* of what is passed over: an argument of a process has 128 KiB */
#define OTHER_DEPTH  8
#define SECONDS_MAX  1e9
#define MEMBERS_MAX  32

static void release_object(struct json_object **object)
{
	json_object_put(*object);
}

#define AUTO_OBJECT CLEANUP(release_object)

enum kioku_status json_reader_open(struct json_reader *reader, struct bytes text,
				   struct kioku_error *error)
{
	*reader = (struct json_reader){
		.text = text,
		.tokener = json_tokener_new(),
		.error = error,
	};
	if (!reader->tokener)
		return error_no_memory(error);
	json_tokener_set_flags(reader->tokener, JSON_TOKENER_STRICT |
							JSON_TOKENER_ALLOW_TRAILING_CHARS |
							JSON_TOKENER_VALIDATE_UTF8);
	return KIOKU_OK;
}

void json_reader_close(struct json_reader *reader)
{
	if (reader->tokener)
		json_tokener_free(reader->tokener);
	reader->tokener = NULL;
}

enum kioku_status json_corrupt(struct json_reader *reader, const char *format, ...)
{
	char what[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	return error_set(reader->error, KIOKU_ERROR_CORRUPT, "at byte %zu: %s", reader->at, what);
}

/* The next character that is no blank, or 0 at the end. */
static char peek(struct json_reader *reader)
{
	while (reader->at < reader->text.size) {
		char next = (char)reader->text.data[reader->at];
		if (next != ' ' && next != '\t' && next != '\n' && next != '\r')
			return next;
		reader->at++;
	}
	return 0;
}

static bool take(struct json_reader *reader, char wanted)
{
	if (peek(reader) != wanted)
		return false;
	reader->at++;
	return true;
}

bool json_at_end(struct json_reader *reader)
{
	peek(reader);
	return reader->at == reader->text.size;
}

bool json_take_null(struct json_reader *reader)
{
	peek(reader);
	if (!bytes_match(reader->text, reader->at, "null"))
		return false;
	reader->at += 4;
	return true;
}

/* Whatever comes next, by json-c. *out is NULL for null. */
static enum kioku_status read_value(struct json_reader *reader, size_t limit,
				    struct json_object **out)
{
	peek(reader);
	size_t left = reader->text.size - reader->at;
	int size = (int)(left < limit ? left : limit);
	json_tokener_reset(reader->tokener);
	*out = json_tokener_parse_ex(reader->tokener, (const char *)reader->text.data + reader->at,
				     size);
	enum json_tokener_error error = json_tokener_get_error(reader->tokener);
	if (error == json_tokener_continue)
		return json_corrupt(reader, "%s",
				    left > limit ? "a value is too long" : "it ends too early");
	if (error != json_tokener_success)
		return json_corrupt(reader, "%s", json_tokener_error_desc(error));
	reader->at += json_tokener_get_parse_end(reader->tokener);
	return KIOKU_OK;
}

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* One byte of two digits, or -1. */
static int hex_byte(const char *digits)
{
	int high = hex_digit(digits[0]);
	int low = high < 0 ? -1 : hex_digit(digits[1]);

	return low < 0 ? -1 : high << 4 | low;
}

/* Takes escapes of bytes back, in place; false where they are not those that are written. */
static bool unescape(char *text)
{
	char *out = text;

	while (*text) {
		if (*text != '\\') {
			*out++ = *text++;
		} else if (text[1] == '\\') {
			*out++ = '\\';
			text += 2;
		} else {
			int byte = text[1] == 'x' ? hex_byte(text + 2) : -1;
			if (byte <= 0)
				return false;
			*out++ = (char)byte;
			text += 4;
		}
	}
	*out = '\0';
	return true;
}

static bool is_hex(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (hex_digit(text[i]) < 0)
			return false;
	return text[length] == '\0';
}

/* A copy of a string; CORRUPT if it is not one, or has a NUL in it. */
static enum kioku_status copy_string(struct json_reader *reader, struct json_object *value,
				     const char *name, char **out)
{
	const char *text = json_object_get_string(value);

	if (!json_object_is_type(value, json_type_string))
		return json_corrupt(reader, "%s is not a string", name);
	if (strlen(text) != (size_t)json_object_get_string_len(value))
		return json_corrupt(reader, "%s has a NUL in it", name);
	*out = strdup(text);
	return *out ? KIOKU_OK : error_no_memory(reader->error);
}

static enum kioku_status store_text(struct json_reader *reader, struct json_object *value,
				    const struct json_member *member, char **out)
{
	if (!value && (member->kind == JSON_OPTIONAL || member->kind == JSON_OPTIONAL_SHA256))
		return KIOKU_OK;
	if (!value && member->kind != JSON_STATES) {
		*out = strdup("");
		return *out ? KIOKU_OK : error_no_memory(reader->error);
	}
	TRY(copy_string(reader, value, member->name, out));
	if ((member->kind == JSON_TEXT || member->kind == JSON_OPTIONAL) && !unescape(*out))
		return json_corrupt(reader, "%s has a backslash that stands for nothing",
				    member->name);
	if ((member->kind == JSON_MD5 && !is_hex(*out, 32)) ||
	    ((member->kind == JSON_SHA256 || member->kind == JSON_OPTIONAL_SHA256) &&
	     !is_hex(*out, 64)))
		return json_corrupt(reader, "%s is not a digest in lower-case hexadecimal",
				    member->name);
	return KIOKU_OK;
}

static enum kioku_status store_digest(struct json_reader *reader, struct json_object *value,
				      const char *name, uint8_t *out)
{
	AUTO_FREE char *text = NULL;

	TRY(copy_string(reader, value, name, &text));
	if (!is_hex(text, (size_t)2 * MANIFEST_HASH_SIZE))
		return json_corrupt(reader, "%s is not a digest in lower-case hexadecimal", name);
	for (size_t i = 0; i < MANIFEST_HASH_SIZE; i++)
		out[i] = (uint8_t)hex_byte(text + 2 * i);
	return KIOKU_OK;
}

static enum kioku_status store_address(struct json_reader *reader, struct json_object *value,
				       const char *name, uint64_t *out)
{
	AUTO_FREE char *text = NULL;

	TRY(copy_string(reader, value, name, &text));
	size_t length = strlen(text);
	if (length < 3 || length > 18 || text[0] != '0' || text[1] != 'x' ||
	    !is_hex(text + 2, length - 2))
		return json_corrupt(reader, "%s is not an address as in \"0x1f000\"", name);
	*out = strtoull(text, NULL, 16);
	return KIOKU_OK;
}

static enum kioku_status store_number(struct json_reader *reader, struct json_object *value,
				      const struct json_member *member, void *out)
{
	double seconds = json_object_get_double(value);
	int64_t number = json_object_get_int64(value); /* saturates */
	bool is_number = json_object_is_type(value, json_type_int);

	if (member->kind == JSON_FLAG) {
		if (!json_object_is_type(value, json_type_boolean))
			return json_corrupt(reader, "%s is neither true nor false", member->name);
		*(bool *)out = json_object_get_boolean(value);
	} else if (member->kind == JSON_SECONDS) {
		if ((!is_number && !json_object_is_type(value, json_type_double)) ||
		    !isfinite(seconds) || seconds < 0 || seconds > SECONDS_MAX)
			return json_corrupt(reader, "%s is not a time in seconds", member->name);
		*(double *)out = seconds;
	} else {
		if (!is_number || number < 0 || number == INT64_MAX)
			return json_corrupt(reader, "%s is not a number from 0 to 2^63",
					    member->name);
		*(uint64_t *)out = (uint64_t)number;
	}
	return KIOKU_OK;
}

static enum kioku_status read_member(struct json_reader *reader, const struct json_member *member,
				     void *target)
{
	AUTO_OBJECT struct json_object *value = NULL;
	void *out = (uint8_t *)target + member->offset;
	char next = peek(reader);

	if (member->decode) {
		enum kioku_status status = member->decode(reader);
		if (status != KIOKU_OK)
			error_prefix(reader->error, "%s", member->name);
		return status;
	}
	if (next == '{' || next == '[')
		return json_corrupt(reader, "%s is no single value", member->name);
	TRY(read_value(reader, member->kind == JSON_STATES ? STATES_LIMIT : SCALAR_LIMIT, &value));
	switch (member->kind) {
	case JSON_DIGEST: return store_digest(reader, value, member->name, out);
	case JSON_ADDRESS: return store_address(reader, value, member->name, out);
	case JSON_NUMBER:
	case JSON_SECONDS:
	case JSON_FLAG: return store_number(reader, value, member, out);
	default: return store_text(reader, value, member, out);
	}
}

/* A key and its colon. *out is the member's index, or count if there is none of that name. */
static enum kioku_status read_key(struct json_reader *reader, const struct json_member *members,
				  size_t count, size_t *out)
{
	AUTO_OBJECT struct json_object *key = NULL;

	if (peek(reader) != '"')
		return json_corrupt(reader, "a member's name is expected");
	TRY(read_value(reader, SCALAR_LIMIT, &key));
	const char *name = json_object_get_string(key);
	for (*out = 0; *out < count; ++*out)
		if (strcmp(members[*out].name, name) == 0)
			break;
	return take(reader, ':') ? KIOKU_OK : json_corrupt(reader, "a colon is expected");
}

/* One member with its name. */
static enum kioku_status read_named(struct json_reader *reader, const struct json_member *members,
				    size_t count, void *target, bool *seen)
{
	size_t index = count;

	TRY(read_key(reader, members, count, &index));
	if (index == count)
		return json_skip(reader);
	if (seen[index])
		return json_corrupt(reader, "%s is there twice", members[index].name);
	seen[index] = true;
	return read_member(reader, &members[index], target);
}

enum kioku_status json_read_object(struct json_reader *reader, const struct json_member *members,
				   size_t count, void *target)
{
	bool seen[MEMBERS_MAX] = { false };

	if (!take(reader, '{'))
		return json_corrupt(reader, "an object is expected");
	if (peek(reader) != '}') {
		do
			TRY(read_named(reader, members, count, target, seen));
		while (take(reader, ','));
	}
	if (!take(reader, '}'))
		return json_corrupt(reader, "a comma or a closing brace is expected");
	for (size_t i = 0; i < count; i++)
		if (!seen[i] && members[i].kind != JSON_NESTED_ADDED)
			return json_corrupt(reader, "%s is missing", members[i].name);
	return KIOKU_OK;
}

enum kioku_status json_read_array(struct json_reader *reader, json_decode_fn *decode)
{
	if (!take(reader, '['))
		return json_corrupt(reader, "an array is expected");
	if (take(reader, ']'))
		return KIOKU_OK;
	do
		TRY(decode(reader));
	while (take(reader, ','));
	return take(reader, ']') ? KIOKU_OK
				 : json_corrupt(reader, "a comma or a closing bracket is expected");
}

enum kioku_status json_skip(struct json_reader *reader)
{
	AUTO_OBJECT struct json_object *scalar = NULL;
	char next = peek(reader);

	if (next != '{' && next != '[')
		return read_value(reader, OTHER_LIMIT, &scalar);
	if (reader->depth == OTHER_DEPTH)
		return json_corrupt(reader, "nested too deeply");
	reader->depth++;
	TRY(next == '{' ? json_read_object(reader, NULL, 0, NULL)
			: json_read_array(reader, json_skip));
	reader->depth--;
	return KIOKU_OK;
}

enum kioku_status json_take_object(struct json_reader *reader, struct bytes *out)
{
	if (peek(reader) != '{')
		return json_corrupt(reader, "an object is expected");
	size_t start = reader->at;
	TRY(json_skip(reader));
	*out = (struct bytes){ reader->text.data + start, reader->at - start };
	return KIOKU_OK;
}

void *json_grow(void *array_pointer, size_t *count, size_t size)
{
	void *array;

	memcpy(&array, array_pointer, sizeof(array));
	/* Full at every power of two. */
	if ((*count & (*count - 1)) == 0) {
		array = reallocarray(array, *count ? *count * 2 : 1, size);
		if (!array)
			return NULL;
		memcpy(array_pointer, &array, sizeof(array));
	}
	return memset((uint8_t *)array + (*count)++ * size, 0, size);
}
