/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was packed as a whole, by gzip or xz. */
#ifndef BASE_UNPACK_H
#define BASE_UNPACK_H

#include "base/bytes.h"
#include "base/error.h"

enum packer { PACKER_NONE, PACKER_GZIP, PACKER_XZ };

/* By what it starts with. */
enum packer unpack_packer(struct bytes packed);

/*
 * The content, which is malloc'ed, of at most limit bytes; its checksum confirms it. Of gzip that is the first member
 * (RFC 1952), and what lies behind it is of no interest; of xz, all streams, and nothing may lie behind them.
 * Errors: CORRUPT (damaged, or cut off), LIMIT, NO_MEMORY, UNSUPPORTED (packed in another way, or xz in a build without
 * liblzma).
 */
enum kioku_status unpack(struct bytes packed, size_t limit, void **out, size_t *size,
			 struct kioku_error *error);

/* The same of what must have just that size: anything else is CORRUPT. */
enum kioku_status unpack_exactly(struct bytes packed, size_t size, void **out);

#endif
