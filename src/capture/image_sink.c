/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/image_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Large enough to write in sequence, small enough for the bound on memory that this is about. */
enum { DROP_STEP = 8 << 20 };

static void find_kind(struct image_sink *sink)
{
	struct stat status;

	sink->is_file = fstat(sink->descriptor, &status) == 0 && S_ISREG(status.st_mode);
	off_t position = sink->is_file ? lseek(sink->descriptor, 0, SEEK_CUR) : 0;
	sink->base = position > 0 ? (uint64_t)position : 0;
}

enum kioku_status image_sink_open(struct image_sink *sink, const char *path,
				  struct kioku_error *error)
{
	*sink = (struct image_sink){ .path = path, .descriptor = STDOUT_FILENO };
	if (strcmp(path, "-") == 0) {
		sink->path = "the standard output";
		find_kind(sink);
		return KIOKU_OK;
	}
	sink->owns = sink->can_seek = true;
	sink->descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
	if (sink->descriptor < 0 && errno == EEXIST)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "%s exists already", path);
	if (sink->descriptor < 0)
		return error_os(error, "cannot create %s", path);
	find_kind(sink);
	return KIOKU_OK;
}

void image_sink_release(struct image_sink *sink)
{
	if (sink->owns && sink->descriptor >= 0)
		close(sink->descriptor);
	sink->descriptor = -1;
}

/*
 * Starts to write back what is new, and drops what was written back meanwhile: pages can leave the
 * cache only once they are clean.
 */
static void drop_behind(struct image_sink *sink)
{
	off_t flushed = (off_t)(sink->base + sink->flushed);
	off_t dropped = (off_t)(sink->base + sink->dropped);

	if (!sink->is_file || sink->size - sink->flushed < DROP_STEP)
		return;
	sync_file_range(sink->descriptor, flushed, (off_t)(sink->size - sink->flushed),
			SYNC_FILE_RANGE_WRITE);
	if (flushed > dropped) {
		sync_file_range(sink->descriptor, dropped, flushed - dropped,
				SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
					SYNC_FILE_RANGE_WAIT_AFTER);
		posix_fadvise(sink->descriptor, dropped, flushed - dropped, POSIX_FADV_DONTNEED);
	}
	sink->dropped = sink->flushed;
	sink->flushed = sink->size;
}

static ssize_t write_some(const struct image_sink *sink, uint64_t offset, const void *data,
			  size_t size)
{
	return sink->can_seek ? pwrite(sink->descriptor, data, size, (off_t)offset)
			      : write(sink->descriptor, data, size);
}

enum kioku_status image_sink_write(struct image_sink *sink, uint64_t offset, const void *data,
				   size_t size, size_t *written, struct kioku_error *error)
{
	*written = 0;
	while (*written < size) {
		ssize_t part = write_some(sink, offset + *written, (const char *)data + *written,
					  size - *written);
		if (part < 0 && errno == EINTR)
			continue;
		if (part == 0)
			errno = EIO;
		if (part <= 0)
			return error_os(error, "cannot write to %s", sink->path);
		*written += (size_t)part;
		uint64_t end = offset + *written;
		sink->size = end > sink->size ? end : sink->size;
	}
	drop_behind(sink);
	return KIOKU_OK;
}

enum kioku_status image_sink_hole(struct image_sink *sink, uint64_t offset, uint64_t size,
				  struct kioku_error *error)
{
	if (offset + size <= sink->size)
		return KIOKU_OK;
	if (ftruncate(sink->descriptor, (off_t)(offset + size)) != 0)
		return error_os(error, "cannot write to %s", sink->path);
	sink->size = offset + size;
	return KIOKU_OK;
}

enum kioku_status image_sink_read(const struct image_sink *sink, uint64_t offset, void *buffer,
				  size_t size, size_t *got, struct kioku_error *error)
{
	ssize_t part;

	do
		part = pread(sink->descriptor, buffer, size, (off_t)offset);
	while (part < 0 && errno == EINTR);
	if (part == 0)
		errno = EIO;
	if (part <= 0)
		return error_os(error, "cannot read %s back", sink->path);
	*got = (size_t)part;
	return KIOKU_OK;
}

enum kioku_status image_sink_sync(struct image_sink *sink, struct kioku_error *error)
{
	if (sink->is_file && fsync(sink->descriptor) != 0)
		return error_os(error, "cannot write to %s", sink->path);
	if (sink->is_file)
		posix_fadvise(sink->descriptor, (off_t)sink->base, 0, POSIX_FADV_DONTNEED);
	return KIOKU_OK;
}
