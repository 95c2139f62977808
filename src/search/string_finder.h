/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Texts in bytes, as strings(1) finds them: runs of printable ASCII characters and tabs, of a byte each or
 * in UTF-16LE. Bytes come in windows; what was found is in ascending order.
 */
#ifndef SEARCH_STRING_FINDER_H
#define SEARCH_STRING_FINDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STRING_LIMIT 65536u /* characters; what is longer comes in pieces */

enum string_encoding {
	STRING_ASCII = 1,
	STRING_UTF16 = 2,
};

struct found_string {
	uint64_t address; /* of its first byte */
	uint64_t size;    /* bytes */
	enum string_encoding encoding;
};

/* All zero but minimum and encodings: nothing was looked at yet. */
struct string_finder {
	size_t minimum;     /* characters, at least 1 */
	unsigned encodings; /* enum string_encoding, combined */
	uint64_t done[3]; /* of ASCII, and of both alignments of UTF-16: the address to go on at */
	struct found_string ahead[3]; /* likewise: found, and behind what was given; size 0: none */
};

/* size bytes of data are at address; strings that start in the first limit of them are wanted. */
struct string_window {
	const uint8_t *data;
	uint64_t address;
	size_t size, limit;
};

/* The bytes behind limit that a window needs, so that no string is cut there. */
#define STRING_OVERLAP (2 * STRING_LIMIT)

/*
 * The next string of a window; false when there are no more. The windows of one finder ascend; where one
 * goes on where another's limit was, a string across that border comes once and whole.
 */
bool string_finder_next(struct string_finder *finder, const struct string_window *window,
			struct found_string *out);

/* Copies its characters, of a byte each, to out, of at least STRING_LIMIT bytes; returns how many. */
size_t string_text(const struct found_string *found, const uint8_t *data, char *out);

#endif
