/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/sidecar.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { DROP_STEP = 8 << 20 };

enum kioku_status sidecar_create(struct sidecar *sidecar, const char *path,
				 struct kioku_error *error)
{
	*sidecar = (struct sidecar){ .path = path, .descriptor = -1 };
	TRY(digest_init(&sidecar->digest, KIOKU_DIGEST_SHA256, error));
	sidecar->descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (sidecar->descriptor < 0 && errno == EEXIST)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "%s exists already", path);
	if (sidecar->descriptor < 0)
		return error_os(error, "cannot create %s", path);
	return KIOKU_OK;
}

/* Written pages are clean only once they are on the disk; until then there is nothing to drop. */
static void drop_behind(struct sidecar *sidecar)
{
	off_t start = (off_t)sidecar->dropped;
	off_t size = (off_t)(sidecar->size - sidecar->dropped);

	if (size < DROP_STEP)
		return;
	sync_file_range(sidecar->descriptor, start, size,
			SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
				SYNC_FILE_RANGE_WAIT_AFTER);
	posix_fadvise(sidecar->descriptor, start, size, POSIX_FADV_DONTNEED);
	sidecar->dropped = sidecar->size;
}

enum kioku_status sidecar_write(struct sidecar *sidecar, const void *data, size_t size,
				struct kioku_error *error)
{
	const char *next = data;

	if (!digest_add(&sidecar->digest, data, size))
		return error_no_memory(error);
	while (size > 0) {
		ssize_t written = write(sidecar->descriptor, next, size);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return error_os(error, "cannot write %s", sidecar->path);
		next += written;
		size -= (size_t)written;
		sidecar->size += (uint64_t)written;
	}
	drop_behind(sidecar);
	return KIOKU_OK;
}

enum kioku_status sidecar_finish(struct sidecar *sidecar, struct manifest_file *out,
				 struct kioku_error *error)
{
	const char *slash = strrchr(sidecar->path, '/');
	char hash[DIGEST_HEX_SIZE];

	if (fsync(sidecar->descriptor) != 0)
		return error_os(error, "cannot write %s", sidecar->path);
	posix_fadvise(sidecar->descriptor, 0, 0, POSIX_FADV_DONTNEED);
	int descriptor = sidecar->descriptor;
	sidecar->descriptor = -1;
	if (close(descriptor) != 0)
		return error_os(error, "cannot write %s", sidecar->path);
	if (!digest_finish_hex(&sidecar->digest, hash))
		return error_no_memory(error);
	out->size = sidecar->size;
	out->name = strdup(slash ? slash + 1 : sidecar->path);
	out->sha256 = strdup(hash);
	return out->name && out->sha256 ? KIOKU_OK : error_no_memory(error);
}

void sidecar_release(struct sidecar *sidecar)
{
	cleanup_close(&sidecar->descriptor);
	sidecar->descriptor = -1;
	digest_release(&sidecar->digest);
}
