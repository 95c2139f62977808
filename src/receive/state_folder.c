/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "receive/state_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"

static enum kioku_status check_owner(const struct state_folder *state, struct kioku_error *error)
{
	struct stat status;

	if (fstat(state->state, &status) != 0)
		return error_os(error, "cannot look at %s/" STATE_FOLDER, state->path);
	if (status.st_uid != geteuid() || status.st_mode & 077)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "%s/" STATE_FOLDER
				 " must belong to who runs this, and be closed to others",
				 state->path);
	return KIOKU_OK;
}

static enum kioku_status take_lock(struct state_folder *state, struct kioku_error *error)
{
	state->lock = openat(state->state, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (state->lock < 0)
		return error_os(error, "cannot open %s/" STATE_FOLDER "/lock", state->path);
	if (flock(state->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "another receiver uses the folder %s",
				 state->path);
	return KIOKU_OK;
}

enum kioku_status state_folder_open(struct state_folder *state, const char *path,
				    struct kioku_error *error)
{
	*state = (struct state_folder){ strdup(path), -1, -1, -1 };
	if (!state->path)
		return error_no_memory(error);
	state->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state->folder < 0)
		return error_os(error, "cannot open the folder %s", path);
	if (mkdirat(state->folder, STATE_FOLDER, 0700) != 0 && errno != EEXIST)
		return error_os(error, "cannot make %s/" STATE_FOLDER, path);
	state->state = openat(state->folder, STATE_FOLDER,
			      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (state->state < 0)
		return error_os(error, "cannot open %s/" STATE_FOLDER, path);
	TRY(check_owner(state, error));
	return take_lock(state, error);
}

void state_folder_close(struct state_folder *state)
{
	free(state->path);
	cleanup_close(&state->lock);
	cleanup_close(&state->state);
	cleanup_close(&state->folder);
}

bool write_all(int descriptor, const void *data, size_t size)
{
	const char *rest = data;

	while (size > 0) {
		ssize_t part = write(descriptor, rest, size);
		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0)
			return false;
		rest += part;
		size -= (size_t)part;
	}
	return true;
}

enum kioku_status state_write(int folder, const char *name, const void *data, size_t size,
			      bool durable, int *descriptor, struct kioku_error *error)
{
	char unfinished[64];

	snprintf(unfinished, sizeof(unfinished), "%s.new", name);
	AUTO_CLOSE int file = openat(folder, unfinished,
				     O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0 || !write_all(file, data, size) || (durable && fsync(file) != 0) ||
	    renameat(folder, unfinished, folder, name) != 0) {
		enum kioku_status status =
			error_os(error, "cannot write " STATE_FOLDER "/%s", name);
		unlinkat(folder, unfinished, 0);
		return status;
	}
	if (durable)
		fsync(folder);
	if (descriptor) {
		*descriptor = file;
		file = -1;
	}
	return KIOKU_OK;
}

static enum kioku_status read_all(int file, char *out, size_t limit, size_t *size)
{
	*size = 0;
	while (*size < limit) {
		ssize_t part = read(file, out + *size, limit - *size);
		if (part < 0 && errno == EINTR)
			continue;
		if (part < 0)
			return KIOKU_ERROR_OS;
		if (part == 0)
			return KIOKU_OK;
		*size += (size_t)part;
	}
	return KIOKU_ERROR_CORRUPT;
}

enum kioku_status state_read(int folder, const char *name, size_t limit, char **out, size_t *size,
			     struct kioku_error *error)
{
	AUTO_CLOSE int file = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0 && errno == ENOENT)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "there is no %s", name);
	if (file < 0)
		return error_os(error, "cannot open %s", name);
	AUTO_FREE char *data = malloc(limit + 2);
	if (!data)
		return error_no_memory(error);
	switch (read_all(file, data, limit + 1, size)) {
	case KIOKU_OK: break;
	case KIOKU_ERROR_OS: return error_os(error, "cannot read %s", name);
	default: return error_set(error, KIOKU_ERROR_CORRUPT, "%s is too large", name);
	}
	data[*size] = '\0';
	*out = TAKE(data);
	return KIOKU_OK;
}
