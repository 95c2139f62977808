/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/json_cursor.h"

bool cursor_fail(struct json_cursor *cursor, const char *problem)
{
	if (!cursor->problem)
		cursor->problem = problem;
	return false;
}

char cursor_peek(struct json_cursor *cursor)
{
	while (cursor->at < cursor->text.size) {
		char c = (char)cursor->text.data[cursor->at];
		if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
			return c;
		cursor->at++;
	}
	return '\0';
}

static bool take(struct json_cursor *cursor, char expected, const char *problem)
{
	if (cursor->problem || cursor_peek(cursor) != expected)
		return cursor_fail(cursor, problem);
	cursor->at++;
	return true;
}

bool cursor_enter(struct json_cursor *cursor, char bracket)
{
	if (cursor->depth == JSON_DEPTH)
		return cursor_fail(cursor, "it is nested too deeply");
	if (!take(cursor, bracket,
		  bracket == '{' ? "an object is expected" : "an array is expected"))
		return false;
	cursor->is_first |= 1ull << cursor->depth;
	cursor->open[cursor->depth++] = bracket;
	return true;
}

/* The comma before what comes next, or the bracket that ends it. */
static bool next(struct json_cursor *cursor)
{
	if (cursor->problem || cursor->depth == 0)
		return false;
	uint64_t bit = 1ull << (cursor->depth - 1);
	bool was_first = cursor->is_first & bit;
	cursor->is_first &= ~bit;
	if (cursor_peek(cursor) == (cursor->open[cursor->depth - 1] == '{' ? '}' : ']')) {
		cursor->at++;
		cursor->depth--;
		return false;
	}
	return was_first || take(cursor, ',', "a comma or the end of what is open is expected");
}

bool cursor_next_key(struct json_cursor *cursor, struct bytes *key)
{
	return next(cursor) && cursor_take_string(cursor, key) &&
	       take(cursor, ':', "a colon is expected");
}

bool cursor_next_element(struct json_cursor *cursor)
{
	return next(cursor);
}

bool cursor_take_string(struct json_cursor *cursor, struct bytes *out)
{
	if (!take(cursor, '"', "a string is expected"))
		return false;
	const uint8_t *start = cursor->text.data + cursor->at;
	const uint8_t *end = cursor->text.data + cursor->text.size;
	const uint8_t *at = start;
	for (; at < end && *at != '"' && *at >= ' '; at++)
		at += *at == '\\' && at + 1 < end;
	if (at >= end || *at != '"') {
		cursor->at = (size_t)((at < end ? at : end) - cursor->text.data);
		return cursor_fail(cursor, "a string has no end");
	}
	*out = (struct bytes){ start, (size_t)(at - start) };
	cursor->at += out->size + 1;
	return true;
}

static bool take_word(struct json_cursor *cursor, const char *word)
{
	size_t size = strlen(word);

	if (!bytes_has(cursor->text, cursor->at, size) ||
	    memcmp(cursor->text.data + cursor->at, word, size) != 0)
		return false;
	cursor->at += size;
	return true;
}

bool cursor_take_flag(struct json_cursor *cursor, bool *out)
{
	if (cursor->problem)
		return false;
	cursor_peek(cursor);
	if (take_word(cursor, "true"))
		*out = true;
	else if (take_word(cursor, "false"))
		*out = false;
	else
		return cursor_fail(cursor, "true or false is expected");
	return true;
}

static bool at_digit(const struct json_cursor *cursor)
{
	return cursor->at < cursor->text.size && cursor->text.data[cursor->at] >= '0' &&
	       cursor->text.data[cursor->at] <= '9';
}

bool cursor_take_integer(struct json_cursor *cursor, uint64_t *out, bool *is_negative)
{
	uint64_t value = 0;

	if (cursor->problem)
		return false;
	*is_negative = cursor_peek(cursor) == '-';
	cursor->at += *is_negative;
	if (!at_digit(cursor))
		return cursor_fail(cursor, "a number is expected");
	for (; at_digit(cursor); cursor->at++)
		if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(cursor->text.data[cursor->at] - '0'),
					   &value))
			return cursor_fail(cursor, "a number takes more than 64 bits");
	if (cursor->at < cursor->text.size && strchr(".eE", cursor->text.data[cursor->at]))
		return cursor_fail(cursor, "a whole number is expected");
	if (*is_negative && value > 1ull << 63)
		return cursor_fail(cursor, "a number takes more than 64 bits");
	*out = *is_negative ? 0 - value : value;
	return true;
}

bool cursor_take_natural(struct json_cursor *cursor, uint64_t *out)
{
	bool is_negative;

	if (!cursor_take_integer(cursor, out, &is_negative))
		return false;
	return !is_negative || cursor_fail(cursor, "a number is negative");
}

/* A number of any form, or a word. */
static bool skip_scalar(struct json_cursor *cursor)
{
	size_t start = cursor->at;

	if (take_word(cursor, "true") || take_word(cursor, "false") || take_word(cursor, "null"))
		return true;
	while (cursor->at < cursor->text.size && cursor->text.data[cursor->at] &&
	       strchr("+-.0123456789eE", cursor->text.data[cursor->at]))
		cursor->at++;
	return cursor->at > start || cursor_fail(cursor, "a value is expected");
}

bool cursor_skip(struct json_cursor *cursor)
{
	unsigned outside = cursor->depth;
	struct bytes ignored;

	if (cursor->problem)
		return false;
	do {
		char c = cursor_peek(cursor);
		if (c == '{' || c == '[')
			cursor_enter(cursor, c);
		else if (c == '"')
			cursor_take_string(cursor, &ignored);
		else
			skip_scalar(cursor);
		/* To the next value, which may be outside of what was entered. */
		while (!cursor->problem && cursor->depth > outside) {
			bool more = cursor->open[cursor->depth - 1] == '{'
					    ? cursor_next_key(cursor, &ignored)
					    : cursor_next_element(cursor);
			if (more)
				break;
		}
	} while (!cursor->problem && cursor->depth > outside);
	return !cursor->problem;
}

bool cursor_at_end(struct json_cursor *cursor)
{
	cursor_peek(cursor);
	return !cursor->problem && cursor->at == cursor->text.size;
}
