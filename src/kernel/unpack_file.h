/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that were packed as a whole, by gzip or xz. */
#ifndef KERNEL_UNPACK_FILE_H
#define KERNEL_UNPACK_FILE_H

#include "base/bytes.h"
#include "base/error.h"

/* Whether it starts as such a file does. */
bool unpack_is_packed(struct bytes packed);

/*
 * The content, which is malloc'ed, of at most limit bytes. Errors: CORRUPT (damaged, or cut off), LIMIT, NO_MEMORY,
 * UNSUPPORTED (xz, in a build without liblzma).
 */
enum kioku_status unpack_file(struct bytes packed, size_t limit, void **out, size_t *size,
			      struct kioku_error *error);

#endif
