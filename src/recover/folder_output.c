/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A folder. Every step of a path is taken from a descriptor, and none through a symbolic link; the
 * names were checked before they came here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "recover/output.h"

#define STEP (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static void close_descriptor(int *descriptor)
{
	if (*descriptor >= 0)
		close(*descriptor);
	*descriptor = -1;
}

/* A disk that is full, or gone, spares no other file. */
static enum kioku_status failed(struct output *output, struct kioku_error *error, const char *what,
				const char *path)
{
	output->is_broken |= errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EROFS ||
			     errno == EMFILE || errno == ENOMEM;
	if (errno == EEXIST || errno == ELOOP || errno == ENOTDIR)
		return error_set(error, KIOKU_ERROR_REFUSED, "%s: %s is there already", path, what);
	return error_os(error, "cannot make %s", path);
}

/* One step down, into a folder that is made if it is not there. */
static int step_into(int from, const char *name)
{
	int next = openat(from, name, STEP);

	if (next >= 0 || errno != ENOENT)
		return next;
	if (mkdirat(from, name, 0700) != 0)
		return -1;
	return openat(from, name, STEP);
}

/* Opens the folder that a path is in; *name is its last part. */
static enum kioku_status enter(struct output *output, const char *path, const char **name,
			       struct kioku_error *error)
{
	const char *last = strrchr(path, '/');
	size_t size = last ? (size_t)(last - path) : 0;

	*name = last ? last + 1 : path;
	if (output->parent >= 0 && strlen(output->parent_path) == size &&
	    memcmp(output->parent_path, path, size) == 0)
		return KIOKU_OK;
	close_descriptor(&output->parent);
	memcpy(output->parent_path, path, size);
	output->parent_path[size] = '\0';

	AUTO_FREE char *copy = strdup(output->parent_path);
	AUTO_CLOSE int at = dup(output->root);
	char *rest = copy;
	if (!copy)
		return error_no_memory(error);
	for (char *step; at >= 0 && (step = strsep(&rest, "/")) && *step;) {
		int next = step_into(at, step);
		int problem = errno;
		close(at);
		at = next;
		errno = problem;
	}
	if (at < 0)
		return failed(output, error, "one of its folders", path);
	output->parent = at;
	at = -1;
	return KIOKU_OK;
}

static enum kioku_status make_folder(struct output *output, const char *path,
				     const struct attributes *attributes, struct kioku_error *error)
{
	const char *name;
	struct stat is;

	TRY(enter(output, path, &name, error));
	if (mkdirat(output->parent, name, 0700) == 0)
		return KIOKU_OK;
	/* What was made on the way to something in it. */
	if (errno == EEXIST && fstatat(output->parent, name, &is, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISDIR(is.st_mode))
		return KIOKU_OK;
	errno = errno ? errno : EEXIST;
	return failed(output, error, "another file", path);
}

static enum kioku_status make_file(struct output *output, const char *path,
				   const struct attributes *attributes,
				   const struct content *content, struct kioku_error *error)
{
	const char *name;

	TRY(enter(output, path, &name, error));
	output->file = openat(output->parent, name,
			      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (output->file < 0)
		return failed(output, error, "another file", path);
	if (content->size > INT64_MAX || ftruncate(output->file, (off_t)content->size) != 0) {
		enum kioku_status status = error_os(error, "cannot make %s of %llu bytes", path,
						    (unsigned long long)content->size);
		close_descriptor(&output->file);
		unlinkat(output->parent, name, 0);
		return status;
	}
	return KIOKU_OK;
}

static enum kioku_status write_data(struct output *output, uint64_t offset, const void *data,
				    size_t size, struct kioku_error *error)
{
	for (const char *at = data; size > 0;) {
		ssize_t written = pwrite(output->file, at, size, (off_t)offset);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0) {
			output->is_broken = true;
			return error_os(error, "cannot write");
		}
		at += written;
		offset += (uint64_t)written;
		size -= (size_t)written;
	}
	return KIOKU_OK;
}

static void times_of(const struct attributes *attributes, struct timespec times[2])
{
	times[0] = (struct timespec){ attributes->atime, attributes->atime_fraction };
	times[1] = (struct timespec){ attributes->mtime, attributes->mtime_fraction };
}

/* The owner first: changing it drops bits of the mode. Times last. */
static enum kioku_status set_attributes(struct output *output, int descriptor,
					const struct attributes *attributes,
					struct kioku_error *error)
{
	struct timespec times[2];

	if (output->sets_owners && fchown(descriptor, attributes->uid, attributes->gid) != 0)
		return error_os(error, "cannot set the owner");
	if (fchmod(descriptor, attributes->mode) != 0)
		return error_os(error, "cannot set the mode");
	times_of(attributes, times);
	if (futimens(descriptor, times) != 0)
		return error_os(error, "cannot set the times");
	return KIOKU_OK;
}

static enum kioku_status end_file(struct output *output, const struct attributes *attributes,
				  struct kioku_error *error)
{
	enum kioku_status status = set_attributes(output, output->file, attributes, error);
	int file = output->file;

	output->file = -1;
	if (close(file) != 0 && status == KIOKU_OK) {
		output->is_broken = true;
		return error_os(error, "cannot write");
	}
	return status;
}

static enum kioku_status make_link(struct output *output, const char *path, const char *target,
				   struct kioku_error *error)
{
	const char *name, *target_name;

	TRY(enter(output, target, &target_name, error));
	AUTO_CLOSE int folder = dup(output->parent);
	if (folder < 0)
		return failed(output, error, "", path);
	TRY(enter(output, path, &name, error));
	if (linkat(folder, target_name, output->parent, name, 0) != 0)
		return failed(output, error, "another file", path);
	return KIOKU_OK;
}

static enum kioku_status make_symlink(struct output *output, const char *path, const char *target,
				      const struct attributes *attributes,
				      struct kioku_error *error)
{
	struct timespec times[2];
	const char *name;

	TRY(enter(output, path, &name, error));
	if (symlinkat(target, output->parent, name) != 0)
		return failed(output, error, "another file", path);
	if (output->sets_owners && fchownat(output->parent, name, attributes->uid, attributes->gid,
					    AT_SYMLINK_NOFOLLOW) != 0)
		return error_os(error, "%s: cannot set the owner", path);
	times_of(attributes, times);
	if (utimensat(output->parent, name, times, AT_SYMLINK_NOFOLLOW) != 0)
		return error_os(error, "%s: cannot set the times", path);
	return KIOKU_OK;
}

static enum kioku_status end_folder(struct output *output, const char *path,
				    const struct attributes *attributes, struct kioku_error *error)
{
	const char *name;

	TRY(enter(output, path, &name, error));
	AUTO_CLOSE int folder = openat(output->parent, name, STEP);
	if (folder < 0)
		return failed(output, error, "another file", path);
	enum kioku_status status = set_attributes(output, folder, attributes, error);
	if (status != KIOKU_OK)
		error_prefix(error, "%s", path);
	return status;
}

static enum kioku_status end(struct output *output, struct kioku_error *error)
{
	return KIOKU_OK;
}

static void release(struct output *output)
{
	close_descriptor(&output->file);
	close_descriptor(&output->parent);
	close_descriptor(&output->root);
}

static const struct output_driver folder_output = {
	.folder = make_folder,
	.file = make_file,
	.data = write_data,
	.file_end = end_file,
	.link = make_link,
	.symlink = make_symlink,
	.folder_end = end_folder,
	.end = end,
	.release = release,
};

static enum kioku_status check_empty(int folder, const char *path, struct kioku_error *error)
{
	int descriptor = dup(folder);
	DIR *listing = descriptor >= 0 ? fdopendir(descriptor) : NULL;
	bool is_empty = true;

	if (!listing)
		return error_os(error, "cannot read %s", path);
	for (struct dirent *entry; (entry = readdir(listing));)
		is_empty &= strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	closedir(listing);
	return is_empty ? KIOKU_OK
			: error_set(error, KIOKU_ERROR_REFUSED, "%s has something in it", path);
}

enum kioku_status folder_output_open(struct output *output, const char *path, bool sets_owners,
				     struct kioku_error *error)
{
	*output = (struct output){ .driver = &folder_output,
				   .root = -1,
				   .parent = -1,
				   .file = -1,
				   .sets_owners = sets_owners };
	/* What is in memory is for its owner only. */
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return error_os(error, "cannot make %s", path);
	output->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (output->root < 0)
		return error_os(error, "cannot open %s", path);
	return check_empty(output->root, path, error);
}

void recover_output_release(struct output *output)
{
	if (output->driver)
		output->driver->release(output);
}
