/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file behind a source. */
#include <fcntl.h>
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

enum kioku_status source_open_file(struct kioku_source *source, const char *path,
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
	TRY(image_file_map(&source->file, source->descriptor, &source->touched, error));
	return image_file_unpack(&source->file, &source->diagnostics, error);
}

bool source_is_plain(const struct kioku_source *source)
{
	return source->pages.page_size == 0 && image_file_is_plain(&source->file);
}
