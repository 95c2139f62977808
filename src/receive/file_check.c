/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "receive/file_check.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static void parse_hex(const char *text, uint8_t *out, size_t size)
{
	memset(out, 0, size);
	for (size_t i = 0; i < size && text[2 * i]; i++)
		sscanf(text + 2 * i, "%2hhx", &out[i]);
}

enum kioku_status file_digest(const struct local_file *file, const char *name,
			      uint8_t md5[TRANSFER_MD5_SIZE], uint8_t sha256[TRANSFER_SHA256_SIZE],
			      bool (*goes_on)(void *user), void *user, struct kioku_error *error)
{
	struct file_digests digests;

	TRY(local_file_digest(file, name, &digests, goes_on, user, error));
	parse_hex(digests.md5, md5, TRANSFER_MD5_SIZE);
	parse_hex(digests.sha256, sha256, TRANSFER_SHA256_SIZE);
	return KIOKU_OK;
}

enum kioku_status file_flush(struct local_file *file, const char *name, bool (*goes_on)(void *user),
			     void *user, struct kioku_error *error)
{
	enum { STEP = 8 << 20 };

	/* Most of it is on the disk already. fsync() then has little left to wait for. */
	for (uint64_t offset = 0; offset < file->size; offset += STEP) {
		sync_file_range(file->descriptor, (off_t)offset, STEP,
				SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
					SYNC_FILE_RANGE_WAIT_AFTER);
		if (!goes_on(user))
			return error_set(error, KIOKU_ERROR_STOPPED, "stopped");
	}
	return local_file_sync(file, name, error);
}
