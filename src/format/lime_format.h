/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LiME version 1 (LiME src/lime.h, struct lime_mem_range_header): records, each a header of 32
 * bytes and then the bytes of one range of physical memory; little-endian on every machine there is.
 */
#ifndef FORMAT_LIME_FORMAT_H
#define FORMAT_LIME_FORMAT_H

#include "base/bytes.h"
#include "format/lime_layout.h"

struct lime_header {
	uint64_t start, last; /* physical addresses of the first and the last byte */
};

/* Whether a file starts as a LiME record does, of whatever version. */
bool lime_is_magic(struct bytes file);

/*
 * Whether a file starts as a zlib stream written by LiME's compress=1 does: deflate, a window of
 * 2 KiB (LiME src/deflate.c, wbits 11) and a header checksum that fits (RFC 1950 section 2.2).
 */
bool lime_is_compressed(struct bytes file);

/* Decodes LIME_HEADER_SIZE bytes; NULL, or what is wrong with them: "its ...". */
const char *lime_header_decode(struct bytes head, struct lime_header *out);

void lime_header_encode(const struct lime_header *header, uint8_t out[LIME_HEADER_SIZE]);

#endif
