/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of this machine, by their paths; and the standard output. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transfer/destination_driver.h"
#include "transfer/local_file.h"

/* For the caller to free; NULL: no memory. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? strndup(path, (size_t)(slash + 1 - path)) : strdup(".");
}

static enum kioku_status open_nothing(struct destination *destination, const struct url *url,
				      const struct destination_options *options,
				      struct kioku_error *error)
{
	return KIOKU_OK;
}

/* --- files */

static enum kioku_status attach(struct destination_file *file, int descriptor, bool can_seek,
				struct kioku_error *error)
{
	file->state = malloc(sizeof(struct local_file));
	if (!file->state) {
		close(descriptor);
		return error_no_memory(error);
	}
	local_file_init(file->state, descriptor, can_seek);
	return KIOKU_OK;
}

static enum kioku_status refuse_existing(const char *path, struct kioku_error *error)
{
	return error_set(error, KIOKU_ERROR_ARGUMENT, "%s exists already", path);
}

static enum kioku_status check_file(const struct url *url,
				    const struct destination_options *options,
				    struct kioku_error *error)
{
	AUTO_FREE char *folder = folder_of(url->path);
	struct stat about;

	if (!folder)
		return error_no_memory(error);
	if (lstat(url->path, &about) == 0)
		return refuse_existing(url->path, error);
	return access(folder, W_OK | X_OK) == 0
		       ? KIOKU_OK
		       : error_os(error, "cannot create files in %s", folder);
}

static enum kioku_status create_file(struct destination_file *file, struct kioku_error *error)
{
	int descriptor = open(file->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);

	if (descriptor < 0 && errno == EEXIST)
		return refuse_existing(file->name, error);
	if (descriptor < 0)
		return error_os(error, "cannot create %s", file->name);
	return attach(file, descriptor, true, error);
}

static enum kioku_status file_write(struct destination_file *file, uint64_t offset,
				    const void *data, size_t size, size_t *written,
				    struct kioku_error *error)
{
	struct local_file *local = file->state;
	enum kioku_status status =
		local_file_write(local, file->name, offset, data, size, written, error);

	file->size = local->size;
	return status;
}

static enum kioku_status file_hole(struct destination_file *file, uint64_t offset, uint64_t size,
				   struct kioku_error *error)
{
	struct local_file *local = file->state;
	enum kioku_status status = local_file_hole(local, file->name, offset, size, error);

	file->size = local->size;
	return status;
}

static enum kioku_status file_finish(struct destination_file *file, const uint8_t *sha256,
				     struct file_digests *digests, bool (*progress)(void *user),
				     void *user, struct kioku_error *error)
{
	TRY(local_file_sync(file->state, file->name, NULL, NULL, error));
	return digests ? local_file_digest(file->state, file->name, digests, progress, user, error)
		       : KIOKU_OK;
}

static void file_close(struct destination_file *file)
{
	if (file->state)
		local_file_release(file->state);
	free(file->state);
}

/* That a name is there, too, is on the disk then; not every file system can say so. */
static void sync_folder(const char *path)
{
	AUTO_FREE char *folder = folder_of(path);
	AUTO_CLOSE int descriptor = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (descriptor >= 0)
		fsync(descriptor);
}

static enum kioku_status replace_file(struct destination *destination, const char *from,
				      const char *to, struct kioku_error *error)
{
	if (rename(from, to) != 0)
		return error_os(error, "cannot rename %s to %s", from, to);
	sync_folder(to);
	return KIOKU_OK;
}

static void remove_file(struct destination *destination, const char *name)
{
	unlink(name);
}

const struct destination_driver file_destination = {
	.can_seek = true,
	.check = check_file,
	.open = open_nothing,
	.create = create_file,
	.replace = replace_file,
	.remove = remove_file,
	.file_write = file_write,
	.file_hole = file_hole,
	.file_finish = file_finish,
	.file_close = file_close,
};

/* --- the standard output */

static enum kioku_status create_stdout(struct destination_file *file, struct kioku_error *error)
{
	int descriptor = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);

	free(file->name);
	file->name = strdup("the standard output");
	if (!file->name)
		return error_no_memory(error);
	if (descriptor < 0)
		return error_os(error, "cannot write to the standard output");
	return attach(file, descriptor, false, error);
}

const struct destination_driver stdout_destination = {
	.is_stream = true,
	.open = open_nothing,
	.create = create_stdout,
	.file_write = file_write,
	.file_finish = file_finish,
	.file_close = file_close,
};
