/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "search/string_finder.h"

#include <string.h>

/* Whether there is a character at data; stride is its size in bytes. */
static inline bool is_character(const uint8_t *data, size_t stride)
{
	bool printable = (uint8_t)(*data - 0x20) < 0x5f || *data == '\t';

	return printable && (stride == 1 || data[1] == 0);
}

/*
 * The first run of at least minimum characters at or after from, a multiple of stride away. Only every
 * minimum-th character is looked at where there is none: that is what makes it fast.
 */
static inline bool find_run(const struct string_window *window, size_t stride, size_t minimum,
			    size_t from, size_t *start, size_t *end)
{
	size_t step = minimum * stride, good = from; /* from there to the probe nothing is known */

	for (size_t probe = from + step - stride; probe + stride <= window->size;
	     probe = good + step - stride) {
		if (good >= window->limit)
			return false;
		size_t at = probe + stride;
		while (at > good && is_character(window->data + at - stride, stride))
			at -= stride;
		if (at > good) {
			good = at;
			continue;
		}
		size_t last = probe + stride;
		while (last + stride <= window->size && last - good < STRING_LIMIT * stride &&
		       is_character(window->data + last, stride))
			last += stride;
		*start = good;
		*end = last;
		return true;
	}
	return false;
}

static bool find(struct string_finder *finder, unsigned which, const struct string_window *window,
		 struct found_string *out)
{
	size_t stride = which == 0 ? 1 : 2, start, end;
	uint64_t from =
		finder->done[which] > window->address ? finder->done[which] : window->address;

	/* Both alignments, by address, so that they stay the same from window to window. */
	if (which > 0 && (from & 1) != which - 1)
		from++;
	size_t offset = (size_t)(from - window->address);
	if (offset >= window->limit)
		return false;
	bool found = stride == 1 ? find_run(window, 1, finder->minimum, offset, &start, &end)
				 : find_run(window, 2, finder->minimum, offset, &start, &end);
	if (!found || start >= window->limit) {
		finder->done[which] = window->address + window->limit;
		return false;
	}
	out->address = window->address + start;
	out->size = end - start;
	out->encoding = which == 0 ? STRING_ASCII : STRING_UTF16;
	return true;
}

bool string_finder_next(struct string_finder *finder, const struct string_window *window,
			struct found_string *out)
{
	int best = -1;

	for (unsigned which = 0; which < 3; which++) {
		struct found_string *ahead = &finder->ahead[which];
		if (!(finder->encodings & (which == 0 ? STRING_ASCII : STRING_UTF16)))
			continue;
		if (!ahead->size && !find(finder, which, window, ahead))
			continue;
		if (best < 0 || ahead->address < finder->ahead[best].address)
			best = (int)which;
	}
	if (best < 0)
		return false;
	*out = finder->ahead[best];
	finder->done[best] = out->address + out->size;
	finder->ahead[best].size = 0;
	return true;
}

size_t string_text(const struct found_string *found, const uint8_t *data, char *out)
{
	size_t stride = found->encoding == STRING_UTF16 ? 2 : 1, count = found->size / stride;

	for (size_t i = 0; i < count; i++)
		out[i] = (char)data[i * stride];
	return count;
}
