/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/mapped_files.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/growing.h"

/* Memory that is shared without a file has one that the kernel made, at times with an inode of 0. */
static bool has_file(const struct mapping *mapping)
{
	return mapping->inode != 0 || mapping->is_shared;
}

static bool is_of(const struct mapped_file *file, const struct mapping *mapping)
{
	return file->inode == mapping->inode && file->device_major == mapping->device_major &&
	       file->device_minor == mapping->device_minor;
}

const struct mapped_file *mapped_files_find(const struct mapped_files *files,
					    const struct mapping *mapping)
{
	for (size_t i = 0; has_file(mapping) && i < files->count; i++)
		if (is_of(&files->files[i], mapping))
			return &files->files[i];
	return NULL;
}

/* What it is is looked at first: opening a device may do something. */
static bool open_file(int folder, const char *path, struct mapped_file *file, struct stat *about)
{
	file->descriptor = -1;
	if (fstatat(folder, path, about, 0) != 0)
		return false;
	if (!S_ISREG(about->st_mode))
		return true;
	file->size = (uint64_t)about->st_size;
	file->descriptor = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return file->descriptor >= 0;
}

static bool open_mapped(const struct process *process, const struct mapping *mapping,
			struct mapped_file *file)
{
	struct stat about;
	char path[PATH_MAX], root[PROCESS_STRING_SIZE];

	/* A leader that has exited has none; any thread's number names a folder that has them. */
	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64,
		 process->live_thread, mapping->start, mapping->end);
	if (open_file(process->folder, path, file, &about))
		return true;
	/* Without the right to that. Another file may have the name by now. */
	process_live_path(process, "root", root);
	snprintf(path, sizeof(path), "%s%.*s", root, (int)mapping->name.size,
		 (const char *)mapping->name.data);
	if (!open_file(process->folder, path, file, &about))
		return false;
	if (about.st_ino == mapping->inode)
		return true;
	cleanup_close(&file->descriptor);
	return false;
}

static enum kioku_status add(struct mapped_files *files, const struct process *process,
			     const struct mapping *mapping, struct kioku_error *error)
{
	struct mapped_file file = { .device_major = mapping->device_major,
				    .device_minor = mapping->device_minor,
				    .inode = mapping->inode };

	if (!GROW(files->files, files->count, files->capacity))
		return error_no_memory(error);
	if (open_mapped(process, mapping, &file))
		files->files[files->count++] = file;
	return KIOKU_OK;
}

/* Whether a mapping that was opened by its addresses was still there afterwards, so that it was it. */
static bool is_confirmed(const struct mapped_file *file, const struct mapping_list *before,
			 const struct mapping_list *after)
{
	for (size_t i = 0; i < before->count; i++) {
		const struct mapping *mapping = &before->mappings[i];
		const struct mapping *same = mapping_list_find(after, mapping->start);
		if (is_of(file, mapping))
			return same && same->start == mapping->start && same->end == mapping->end &&
			       is_of(file, same);
	}
	return false;
}

enum kioku_status mapped_files_open(struct mapped_files *files, struct process *process,
				    struct kioku_error *error)
{
	AUTO_MAPS struct process_maps before = { 0 }, after = { 0 };
	size_t known = files->count;

	TRY(process_mappings(process, false, &before, error));
	for (size_t i = 0; i < before.list.count; i++) {
		const struct mapping *mapping = &before.list.mappings[i];
		if (has_file(mapping) && !mapped_files_find(files, mapping))
			TRY(add(files, process, mapping, error));
	}
	if (files->count == known)
		return KIOKU_OK;
	TRY(process_mappings(process, false, &after, error));
	for (size_t i = known; i < files->count;) {
		struct mapped_file *file = &files->files[i];
		if (is_confirmed(file, &before.list, &after.list)) {
			i++;
			continue;
		}
		cleanup_close(&file->descriptor);
		*file = files->files[--files->count];
	}
	return KIOKU_OK;
}

void mapped_files_release(struct mapped_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		cleanup_close(&files->files[i].descriptor);
	free(files->files);
	*files = (struct mapped_files){ 0 };
}
