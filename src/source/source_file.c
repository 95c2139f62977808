/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file behind a source, mapped in one piece. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "source/driver.h"

static enum kioku_status check_kind(mode_t mode, struct kioku_error *error)
{
	if (S_ISREG(mode) || S_ISBLK(mode))
		return KIOKU_OK;
	if (S_ISDIR(mode))
		return error_set(error, KIOKU_ERROR_ARGUMENT, "it is a directory");
	return error_set(error, KIOKU_ERROR_UNSUPPORTED,
			 "it is a %s, which cannot be mapped; copy it to a file first",
			 S_ISFIFO(mode)  ? "pipe"
			 : S_ISCHR(mode) ? "character device"
					 : "socket");
}

enum kioku_status source_map_file(struct kioku_source *source, const char *path,
				  struct kioku_error *error)
{
	struct stat status;

	/* Without O_NONBLOCK, opening a pipe that nobody writes to would wait forever. */
	source->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (source->descriptor < 0)
		return error_os(error, "open");
	if (fstat(source->descriptor, &status) != 0)
		return error_os(error, "fstat");
	TRY(check_kind(status.st_mode, error));

	/* Not st_size, which is 0 for block devices. */
	off_t size = lseek(source->descriptor, 0, SEEK_END);
	if (size < 0)
		return error_os(error, "lseek");
	if (size == 0)
		return error_set(error, KIOKU_ERROR_CORRUPT, "it is empty");
	if ((uint64_t)size > SIZE_MAX)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "it is larger than this machine's address space");

	void *data = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED | MAP_NORESERVE,
			  source->descriptor, 0);
	if (data == MAP_FAILED)
		return error_os(error, "mmap of %lld bytes", (long long)size);
	source->file = (struct bytes){ data, (size_t)size };
	if (!page_set_init(&source->touched, (uint64_t)size))
		return error_no_memory(error);
	return KIOKU_OK;
}

bool source_file_bytes(struct kioku_source *source, uint64_t offset, uint64_t size,
		       struct bytes *out)
{
	if (!bytes_slice(source->file, offset, size, out))
		return false;
	page_set_add(&source->touched, offset, size);
	return true;
}
