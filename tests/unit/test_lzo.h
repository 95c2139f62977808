/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small compressor of lzo-rle: literals and runs of zeros, by Documentation/staging/lzo.rst. */
#ifndef TESTS_UNIT_TEST_LZO_H
#define TESTS_UNIT_TEST_LZO_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { LZO_RUN_LEAST = 4, LZO_RUN_MOST = 4 + 2047 };

/* Literals that follow no others: 0000LLLL, and 255 more for each byte of zero. */
static inline size_t lzo_put_literals(uint8_t *out, const uint8_t *data, size_t count)
{
	size_t at = 0;

	if (count <= 18) {
		out[at++] = (uint8_t)(count - 3);
	} else {
		size_t rest = count - 18;
		for (out[at++] = 0; rest > 255; rest -= 255)
			out[at++] = 0;
		out[at++] = (uint8_t)rest;
	}
	memcpy(out + at, data, count);
	return at + count;
}

static inline size_t lzo_zeros(const uint8_t *data, size_t size)
{
	size_t count = 0;

	while (count < size && count < LZO_RUN_MOST && data[count] == 0)
		count++;
	return count;
}

/* Size of the stream; out has room for size + size / 4 + 16. The first four bytes stay literals. */
static inline size_t lzo_pack(const uint8_t *data, size_t size, uint8_t *out)
{
	size_t at = 0, done = 0;

	out[at++] = 17;
	out[at++] = 1;
	while (done < size) {
		size_t end = done + 4;
		while (end < size && lzo_zeros(data + end, size - end) < LZO_RUN_LEAST)
			end++;
		end = end > size ? size : end;
		at += lzo_put_literals(out + at, data + done, end - done);
		done = end;
		while (done < size) {
			size_t zeros = lzo_zeros(data + done, size - done);
			if (zeros < LZO_RUN_LEAST)
				break;
			/* What cannot be a run of its own follows this one. */
			size_t left = size - done - zeros, more = left < 4 ? left : 0;
			out[at++] = (uint8_t)(0x18 | ((zeros - 4) & 7));
			out[at++] = (uint8_t)(0xfc | more);
			out[at++] = 0xff;
			out[at++] = (uint8_t)((zeros - 4) >> 3);
			memcpy(out + at, data + done + zeros, more);
			at += more;
			done += zeros + more;
		}
	}
	memcpy(out + at, "\x11\0\0", 3);
	return at + 3;
}

#endif
