/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tar archive (POSIX.1-1988 ustar) in gzip, written in sequence to a sidecar. */
#ifndef CAPTURE_ARCHIVE_H
#define CAPTURE_ARCHIVE_H

#include <zlib.h>

#include "capture/sidecar.h"

#define ARCHIVE_NAME_LIMIT 100 /* bytes of a member's name, its NUL included */

struct archive {
	struct sidecar sidecar;
	z_stream stream;
	bool is_open;    /* stream needs deflateEnd() */
	uint64_t member; /* bytes that the current member still needs */
	uint64_t padding;
	uint8_t buffer[16384];
};

/* Errors of all: those of the sidecar. archive_release() in any case. */
enum kioku_status archive_create(struct archive *archive, struct destination *destination,
				 const char *name, struct kioku_error *error);

/*
 * Begins a file of size bytes, all of which archive_write() has to bring. name is relative;
 * time: seconds since 1970. Errors: also ARGUMENT (the name does not fit).
 */
enum kioku_status archive_begin(struct archive *archive, const char *name, uint64_t size,
				uint64_t time, struct kioku_error *error);
enum kioku_status archive_write(struct archive *archive, const void *data, size_t size,
				struct kioku_error *error);

enum kioku_status archive_finish(struct archive *archive, struct manifest_file *out,
				 struct kioku_error *error);
void archive_release(struct archive *archive);

#endif
