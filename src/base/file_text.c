/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file_text.h"

#include <errno.h>
#include <fcntl.h>

#define FIRST_SIZE 8192u /* most files of /proc are shorter than a page */

bool file_text_reserve(struct file_text *text, size_t size)
{
	if (size < text->capacity)
		return true;
	char *larger = realloc(text->data, size + 1);
	if (!larger)
		return false;
	text->data = larger;
	text->capacity = size + 1;
	return true;
}

void file_text_release(struct file_text *text)
{
	free(text->data);
	*text = (struct file_text){ 0 };
}

static void set_size(struct file_text *text, size_t size)
{
	text->size = size;
	if (text->data)
		text->data[size] = '\0';
}

/* Reads on until there is no room or nothing more; 0 at the end of the file. -1: an error. */
static ssize_t fill(struct file_text *text, int descriptor)
{
	while (text->size + 1 < text->capacity) {
		ssize_t got =
			read(descriptor, text->data + text->size, text->capacity - 1 - text->size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got;
		text->size += (size_t)got;
	}
	return 1;
}

enum kioku_status file_text_read(struct file_text *text, int folder, const char *path, size_t limit,
				 struct kioku_error *error)
{
	ssize_t more = 1;

	set_size(text, 0);
	AUTO_CLOSE int descriptor = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	while (more > 0) {
		size_t room = text->size ? text->size * 2 : FIRST_SIZE;
		if (text->size > limit)
			break;
		if (!file_text_reserve(text, room)) {
			set_size(text, 0);
			return error_no_memory(error);
		}
		more = descriptor < 0 ? -1 : fill(text, descriptor);
	}
	if (more == 0 && text->size <= limit) {
		set_size(text, text->size);
		return KIOKU_OK;
	}
	int problem = errno;
	set_size(text, 0);
	errno = problem;
	return more < 0 ? error_os(error, "cannot read %s", path)
			: error_set(error, KIOKU_ERROR_LIMIT, "%s is longer than %zu bytes", path,
				    limit);
}

enum kioku_status file_text_read_link(struct file_text *text, int folder, const char *path,
				      struct kioku_error *error)
{
	ssize_t got;

	set_size(text, 0);
	for (size_t room = 256;; room *= 2) {
		if (!file_text_reserve(text, room))
			return error_no_memory(error);
		got = readlinkat(folder, path, text->data, text->capacity - 1);
		if (got < 0 || (size_t)got < text->capacity - 1)
			break;
	}
	set_size(text, got > 0 ? (size_t)got : 0);
	return got < 0 ? error_os(error, "cannot read %s", path) : KIOKU_OK;
}
