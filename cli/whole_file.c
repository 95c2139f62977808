/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "message.h"
#include "whole_file.h"

/* A device or pipe is no file that another could take the place of: it is written to. */
static int open_special(struct whole_file *whole, const char *path)
{
	whole->file = fopen(path, "we");
	return whole->file ? STATUS_COMPLETE
			   : message_error("cannot write %s: %s", path, strerror(errno));
}

int whole_file_create(struct whole_file *whole, const char *path)
{
	*whole = (struct whole_file){ .path = path };
	if (strcmp(path, "-") == 0) {
		whole->file = stdout;
		return STATUS_COMPLETE;
	}
	struct stat before;
	if (stat(path, &before) == 0 && !S_ISREG(before.st_mode) && !S_ISDIR(before.st_mode))
		return open_special(whole, path);
	if (asprintf(&whole->temporary, "%s.%ld", path, (long)getpid()) < 0) {
		whole->temporary = NULL;
		return message_error("out of memory");
	}
	int descriptor = open(whole->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	whole->file = descriptor >= 0 ? fdopen(descriptor, "w") : NULL;
	if (whole->file)
		return STATUS_COMPLETE;
	int status = message_error("cannot create %s: %s", whole->temporary, strerror(errno));
	/* Somebody else's, which is not to be removed. */
	if (descriptor < 0) {
		free(whole->temporary);
		whole->temporary = NULL;
	} else {
		close(descriptor);
	}
	return status;
}

int whole_file_finish(struct whole_file *whole)
{
	if (whole->file == stdout) /* main looks after it */
		return ferror(whole->file) ? STATUS_FAILED : STATUS_COMPLETE;
	bool failed = fflush(whole->file) != 0 || ferror(whole->file) ||
		      (whole->temporary && fsync(fileno(whole->file)) != 0);
	failed |= fclose(whole->file) != 0;
	whole->file = NULL;
	if (failed || (whole->temporary && rename(whole->temporary, whole->path) != 0))
		return message_error("cannot write %s: %s", whole->path, strerror(errno));
	free(whole->temporary);
	whole->temporary = NULL;
	return STATUS_COMPLETE;
}

void whole_file_release(struct whole_file *whole)
{
	if (whole->file && whole->file != stdout)
		fclose(whole->file);
	if (whole->temporary)
		unlink(whole->temporary);
	free(whole->temporary);
}
