/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Paths of what stands beside an image. */
#ifndef CAPTURE_NAMING_H
#define CAPTURE_NAMING_H

#include "base/error.h"

/* Allocated; NULL where there is none, as of a stream without a manifest. */
struct naming {
	char *manifest, *unfinished; /* the temporary name it is written to */
	char *journal, *signature, *context;
	char *swap; /* without its number: what swap_copy() takes for the image */
	char *md5, *sha256;
};

/*
 * image: NULL for a stream. manifest: where the caller wants it, or NULL. Beside it lie the journal, the signature, and of a
 * stream the context. naming_release() in any case. Errors: NO_MEMORY.
 */
enum kioku_status naming_make(struct naming *naming, const char *image, const char *manifest,
			      struct kioku_error *error);
void naming_release(struct naming *naming);

/* Errors: ARGUMENT: one of them is there already. */
enum kioku_status naming_check_new(const struct naming *naming, struct kioku_error *error);

/* The last part of a path. */
const char *naming_base(const char *path);

#endif
