/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/file_filter.h"

#include <fnmatch.h>
#include <string.h>

bool file_filter_has_fstype(const struct file_filter *filter, const struct superblock *superblock)
{
	size_t size = filter->fstype ? strlen(filter->fstype) : 0;

	return !filter->fstype || strcmp(filter->fstype, superblock->fstype) == 0 ||
	       (strncmp(filter->fstype, superblock->fstype, size) == 0 &&
		superblock->fstype[size] == '.');
}

static bool matches(const char *glob, const struct path_text *before, const struct path_text *path)
{
	char text[2 * PATH_ROOM + 1];
	size_t size = 0;

	if (before && before->size > 1) {
		memcpy(text, before->data, before->size);
		size = before->size;
	}
	if (size == 0 || path->size > 1) {
		memcpy(text + size, path->data, path->size);
		size += path->size;
	}
	text[size] = '\0';
	return fnmatch(glob, text, FNM_LEADING_DIR) == 0;
}

bool file_filter_has_path(const struct file_filter *filter, const struct path_text *mountpoint,
			  const struct path_text *path)
{
	return !filter->path || matches(filter->path, NULL, path) ||
	       (mountpoint && matches(filter->path, mountpoint, path));
}
