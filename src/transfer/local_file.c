/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transfer/local_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	DROP_STEP =
		8 << 20, /* large enough to write in sequence, small enough to bound the cache */
	CHUNK = 1 << 20,
};

void local_file_init(struct local_file *file, int descriptor, bool can_seek)
{
	struct stat status;

	*file = (struct local_file){ .descriptor = descriptor, .can_seek = can_seek };
	file->is_file = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
	off_t position = file->is_file && !can_seek ? lseek(descriptor, 0, SEEK_CUR) : 0;
	file->base = position > 0 ? (uint64_t)position : 0;
	file->size = file->is_file && can_seek ? (uint64_t)status.st_size : 0;
}

void local_file_release(struct local_file *file)
{
	cleanup_close(&file->descriptor);
	file->descriptor = -1;
}

/*
 * Starts to write back what is new, and drops what was written back meanwhile: pages can leave the
 * cache only once they are clean.
 */
static void drop_behind(struct local_file *file)
{
	off_t flushed = (off_t)(file->base + file->flushed);
	off_t dropped = (off_t)(file->base + file->dropped);

	if (!file->is_file || file->size - file->flushed < DROP_STEP)
		return;
	sync_file_range(file->descriptor, flushed, (off_t)(file->size - file->flushed),
			SYNC_FILE_RANGE_WRITE);
	if (flushed > dropped) {
		sync_file_range(file->descriptor, dropped, flushed - dropped,
				SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
					SYNC_FILE_RANGE_WAIT_AFTER);
		posix_fadvise(file->descriptor, dropped, flushed - dropped, POSIX_FADV_DONTNEED);
	}
	file->dropped = file->flushed;
	file->flushed = file->size;
}

static ssize_t write_some(const struct local_file *file, uint64_t offset, const void *data,
			  size_t size)
{
	return file->can_seek ? pwrite(file->descriptor, data, size, (off_t)offset)
			      : write(file->descriptor, data, size);
}

enum kioku_status local_file_write(struct local_file *file, const char *name, uint64_t offset,
				   const void *data, size_t size, size_t *written,
				   struct kioku_error *error)
{
	*written = 0;
	while (*written < size) {
		ssize_t part = write_some(file, offset + *written, (const char *)data + *written,
					  size - *written);
		if (part < 0 && errno == EINTR)
			continue;
		if (part == 0)
			errno = EIO;
		if (part <= 0)
			return error_os(error, "cannot write to %s", name);
		*written += (size_t)part;
		uint64_t end = offset + *written;
		file->size = end > file->size ? end : file->size;
	}
	drop_behind(file);
	return KIOKU_OK;
}

enum kioku_status local_file_hole(struct local_file *file, const char *name, uint64_t offset,
				  uint64_t size, struct kioku_error *error)
{
	if (offset + size <= file->size)
		return KIOKU_OK;
	if (ftruncate(file->descriptor, (off_t)(offset + size)) != 0)
		return error_os(error, "cannot write to %s", name);
	file->size = offset + size;
	return KIOKU_OK;
}

/* Most of it is on the disk already. fsync() then has little left to wait for. */
static enum kioku_status sync_in_steps(struct local_file *file, bool (*progress)(void *user),
				       void *user, struct kioku_error *error)
{
	for (uint64_t offset = 0; offset < file->size; offset += DROP_STEP) {
		sync_file_range(file->descriptor, (off_t)(file->base + offset), DROP_STEP,
				SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
					SYNC_FILE_RANGE_WAIT_AFTER);
		if (!progress(user))
			return error_set(error, KIOKU_ERROR_STOPPED, "stopped");
	}
	return KIOKU_OK;
}

enum kioku_status local_file_sync(struct local_file *file, const char *name,
				  bool (*progress)(void *user), void *user,
				  struct kioku_error *error)
{
	if (!file->is_file)
		return KIOKU_OK;
	if (progress)
		TRY(sync_in_steps(file, progress, user, error));
	if (fsync(file->descriptor) != 0)
		return error_os(error, "cannot write to %s", name);
	posix_fadvise(file->descriptor, (off_t)file->base, 0, POSIX_FADV_DONTNEED);
	return KIOKU_OK;
}

struct two_digests {
	struct digest md5, sha256;
};

static void two_digests_release(struct two_digests *digests)
{
	digest_release(&digests->md5);
	digest_release(&digests->sha256);
}

static enum kioku_status digest_bytes(const struct local_file *file, const char *name,
				      struct two_digests *digests, uint8_t *chunk,
				      bool (*progress)(void *user), void *user,
				      struct kioku_error *error)
{
	for (uint64_t offset = 0; offset < file->size;) {
		ssize_t part = pread(file->descriptor, chunk, CHUNK, (off_t)offset);
		if (part < 0 && errno == EINTR)
			continue;
		if (part == 0)
			errno = EIO;
		if (part <= 0)
			return error_os(error, "cannot read %s back", name);
		if ((digests->md5.context && !digest_add(&digests->md5, chunk, (size_t)part)) ||
		    !digest_add(&digests->sha256, chunk, (size_t)part))
			return error_set(error, KIOKU_ERROR_UNSUPPORTED, "OpenSSL failed");
		posix_fadvise(file->descriptor, (off_t)offset, part, POSIX_FADV_DONTNEED);
		offset += (uint64_t)part;
		if (progress && !progress(user))
			return error_set(error, KIOKU_ERROR_STOPPED, "stopped");
	}
	return KIOKU_OK;
}

enum kioku_status local_file_digest(const struct local_file *file, const char *name,
				    struct file_digests *out, bool (*progress)(void *user),
				    void *user, struct kioku_error *error)
{
	AUTO_FREE uint8_t *chunk = malloc(CHUNK);
	CLEANUP(two_digests_release) struct two_digests digests = { 0 };
	uint8_t md5[DIGEST_SIZE] = { 0 };

	*out = (struct file_digests){ 0 };
	if (!chunk)
		return error_no_memory(error);
	TRY(digest_init(&digests.sha256, KIOKU_DIGEST_SHA256, error));
	out->has_md5 = digest_init(&digests.md5, KIOKU_DIGEST_MD5, NULL) == KIOKU_OK;
	if (!out->has_md5)
		digest_release(&digests.md5);
	TRY(digest_bytes(file, name, &digests, chunk, progress, user, error));
	if ((out->has_md5 && !digest_finish(&digests.md5, md5)) ||
	    !digest_finish(&digests.sha256, out->sha256))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "OpenSSL failed");
	memcpy(out->md5, md5, sizeof(out->md5));
	return KIOKU_OK;
}
