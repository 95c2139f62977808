/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON (RFC 8259) that is read once, from its start to its end, in place: nothing is built of it, so that it
 * takes no memory, however large it is. Strings are what lies between the quotes; escapes in them stay as they are.
 *
 *	if (cursor_enter(&cursor, '{'))
 *		while (cursor_next_key(&cursor, &key))
 *			cursor_skip(&cursor);
 *	if (cursor.problem) ...
 *
 * What is read next must be read or passed over by cursor_skip(). After the first problem everything is false.
 */
#ifndef FORMAT_JSON_CURSOR_H
#define FORMAT_JSON_CURSOR_H

#include "base/bytes.h"

#define JSON_DEPTH 64 /* objects in arrays in objects ... */

struct json_cursor {
	struct bytes text;
	size_t at;
	const char *problem; /* NULL: none so far; at says where */
	unsigned depth;
	uint64_t is_first; /* a bit for each depth: nothing was read of it so far */
	char open[JSON_DEPTH];
};

/* Into an object ('{') or an array ('['). */
bool cursor_enter(struct json_cursor *cursor, char bracket);

/* To the next member or element, or out of it: false. */
bool cursor_next_key(struct json_cursor *cursor, struct bytes *key);
bool cursor_next_element(struct json_cursor *cursor);

bool cursor_take_string(struct json_cursor *cursor, struct bytes *out);
bool cursor_take_flag(struct json_cursor *cursor, bool *out);

/* A whole number; of a negative one, its two's complement. */
bool cursor_take_integer(struct json_cursor *cursor, uint64_t *out, bool *is_negative);
bool cursor_take_natural(struct json_cursor *cursor, uint64_t *out);

/* The first character of what is read next; '\0' at the end. */
char cursor_peek(struct json_cursor *cursor);

/* Over a value of any kind. */
bool cursor_skip(struct json_cursor *cursor);

/* Whether only white space follows. */
bool cursor_at_end(struct json_cursor *cursor);

bool cursor_fail(struct json_cursor *cursor, const char *problem); /* false, always */

/* Whether a string is a literal's. */
#define json_is(string, literal) \
	((string).size == sizeof(literal) - 1 && bytes_match(string, 0, literal))

#endif
