/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file that stands beside an image: made new, for its owner only, digested on the way, and dropped
 * from the page cache behind the writing, so that a target's memory is not filled with it.
 */
#ifndef CAPTURE_SIDECAR_H
#define CAPTURE_SIDECAR_H

#include "base/error.h"
#include "base/digest.h"
#include "format/manifest_format.h"

struct sidecar {
	const char *path; /* borrowed */
	int descriptor;   /* -1: not open */
	struct digest digest;
	uint64_t size;    /* bytes written */
	uint64_t dropped; /* of them, no longer in the page cache */
};

/* Errors: ARGUMENT (there is such a file), OS, NO_MEMORY. sidecar_release() in any case. */
enum kioku_status sidecar_create(struct sidecar *sidecar, const char *path,
				 struct kioku_error *error);
enum kioku_status sidecar_write(struct sidecar *sidecar, const void *data, size_t size,
				struct kioku_error *error);

/* Syncs it and says in *out what it is; out->name and out->sha256 are allocated. */
enum kioku_status sidecar_finish(struct sidecar *sidecar, struct manifest_file *out,
				 struct kioku_error *error);

/* What was written stays. */
void sidecar_release(struct sidecar *sidecar);

#endif
