/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pages that images keep compressed, one by one. */
#ifndef SOURCE_PAGE_CODEC_H
#define SOURCE_PAGE_CODEC_H

#include "base/bytes.h"

/* PAGE_DEFLATE has no zlib header; PAGE_LZ4 is one block. */
enum page_codec {
	PAGE_STORED,
	PAGE_ZLIB,
	PAGE_LZO,
	PAGE_SNAPPY,
	PAGE_ZSTD,
	PAGE_DEFLATE,
	PAGE_LZ4
};

/* NULL, or why this build cannot read such pages. */
const char *page_codec_missing(enum page_codec codec);

/*
 * Fills exactly size bytes, and never more, from all of a compressed page; NULL, or what is wrong
 * with it. What was filled in by then means nothing.
 */
const char *page_decompress(enum page_codec codec, struct bytes compressed, uint8_t *out,
			    size_t size);

#endif
