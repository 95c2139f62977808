/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "recover/location.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 255
#define KEPT           128 /* bytes of a deleted file's name */

void place_filesystem(const struct superblock *superblock, unsigned number,
		      char out[FILESYSTEM_ROOM])
{
	char fstype[FSTYPE_ROOM], suffix[16] = "";

	snprintf(fstype, sizeof(fstype), "%s", superblock->fstype);
	for (char *at = fstype; *at; at++)
		if (!isalnum((unsigned char)*at) && (at == fstype || !strchr("._-", *at)))
			*at = '_';
	if (number > 1)
		snprintf(suffix, sizeof(suffix), "-%u", number);
	snprintf(out, FILESYSTEM_ROOM, "%s-%u:%u%s", fstype, device_major(superblock->device),
		 device_minor(superblock->device), suffix);
}

static bool is_name(const char *name, size_t size)
{
	return size > 0 && size <= NAME_MAX_BYTES && !memchr(name, '\0', size) &&
	       !(size == 1 && name[0] == '.') && !(size == 2 && name[0] == '.' && name[1] == '.');
}

bool place_is_sound(const struct path_text *path)
{
	const char *at = path->data, *end = path->data + path->size;

	if (path->size == 0 || *at != '/')
		return false;
	if (path->size == 1)
		return true;
	while (at < end) {
		const char *name = at + 1;
		const char *next = memchr(name, '/', (size_t)(end - name));
		at = next ? next : end;
		if (!is_name(name, (size_t)(at - name)))
			return false;
	}
	return true;
}

/* The last part of a path, as one name whatever is in it. */
static void keep_name(const struct path_text *path, char out[KEPT + 1])
{
	const char *start = path->data, *end = path->data + path->size;
	size_t size = 0;

	for (const char *at = path->data; path->kind == NAME_PATH && at < end; at++)
		if (*at == '/')
			start = at + 1;
	while (start < end && *start == '/')
		start++;
	for (; start < end && size < KEPT; start++)
		out[size++] = *start == '/' || *start == '\0' ? '_' : *start;
	out[size] = '\0';
}

void place_file(const char *filesystem, const struct inode *inode, const struct path_text *path,
		struct place *out)
{
	char name[KEPT + 1] = "";
	bool is_deleted =
		inode->link_count == 0 || (path && (path->deleted || path->kind != NAME_PATH));

	if (path && !is_deleted && path->is_whole && place_is_sound(path)) {
		snprintf(out->path, sizeof(out->path), "%s%.*s", filesystem,
			 path->size > 1 ? (int)path->size : 0, path->data);
		return;
	}
	if (path)
		keep_name(path, name);
	snprintf(out->path, sizeof(out->path), "%s/%s/%" PRIu64 "%s%s",
		 is_deleted ? ".deleted" : ".unnamed", filesystem, inode->number, *name ? "-" : "",
		 name);
}
