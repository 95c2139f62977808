/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <zlib.h>

#include "base/gunzip.h"

#define GZIP 16 /* added to the window bits, as zlib.h has it */

enum kioku_status gunzip(struct bytes packed, uint8_t *out, size_t size)
{
	z_stream stream = { .next_in = (uint8_t *)packed.data, /* which zlib does not write to */
			    .avail_in = (uInt)packed.size,
			    .next_out = out,
			    .avail_out = (uInt)size };

	if (inflateInit2(&stream, MAX_WBITS + GZIP) != Z_OK)
		return KIOKU_ERROR_NO_MEMORY;
	int result = inflate(&stream, Z_FINISH);
	inflateEnd(&stream);
	return result == Z_STREAM_END && stream.avail_out == 0 ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}
