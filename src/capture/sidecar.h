/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file that stands beside an image: made new, written in sequence, digested on the way. */
#ifndef CAPTURE_SIDECAR_H
#define CAPTURE_SIDECAR_H

#include "base/digest.h"
#include "format/manifest_format.h"
#include "transfer/destination.h"

struct sidecar {
	struct destination_file *file; /* owned */
	struct digest digest;
	uint64_t size; /* bytes written */
};

/* Errors: those of destination_create(). sidecar_release() in any case. */
enum kioku_status sidecar_create(struct sidecar *sidecar, struct destination *destination,
				 const char *name, struct kioku_error *error);
enum kioku_status sidecar_write(struct sidecar *sidecar, const void *data, size_t size,
				struct kioku_error *error);

/*
 * Finishes it, and says in *out what it is; out->name and out->sha256 are allocated. out may be
 * NULL.
 */
enum kioku_status sidecar_finish(struct sidecar *sidecar, struct manifest_file *out,
				 struct kioku_error *error);

/* What was written stays. */
void sidecar_release(struct sidecar *sidecar);

#define AUTO_SIDECAR CLEANUP(sidecar_release)

#endif
