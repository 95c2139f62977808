/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/process_handles.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "format/task_format.h"

enum { OCTAL_BITS = 3, RING_TRIES = 50, RING_INTERVAL = 1000 /* microseconds */ };

#define RING_NAME "anon_inode:[io_uring]" /* of a file, and of what is mapped of it */

static bool read_about(const struct process *process, int32_t descriptor, struct file_text *out)
{
	char name[64];

	snprintf(name, sizeof(name), "fdinfo/%d", descriptor);
	return process_read(process, name, out, NULL) == KIOKU_OK;
}

/* "flags:\t0100000", octal. */
static bool read_flags(const struct process *process, int32_t descriptor, unsigned *out)
{
	AUTO_FILE_TEXT struct file_text text = { 0 };
	struct bytes flags;

	if (!read_about(process, descriptor, &text) ||
	    !task_status_find(file_text_bytes(&text), "flags", &flags))
		return false;
	*out = 0;
	for (size_t i = 0; i < flags.size; i++)
		*out = *out << OCTAL_BITS | (flags.data[i] & 7);
	return true;
}

/* Whether an io_uring has buffers, io_uring/fdinfo.c; while it is at work, it may not say. */
static bool has_buffers(const struct process *process, int32_t descriptor)
{
	AUTO_FILE_TEXT struct file_text text = { 0 };
	uint64_t buffers = 1;

	for (unsigned i = 0; i < RING_TRIES; i++) {
		if (read_about(process, descriptor, &text) &&
		    task_status_numbers(file_text_bytes(&text), "UserBufs", &buffers, 1) == 1)
			break;
		buffers = 1;
		usleep(RING_INTERVAL);
	}
	return buffers != 0;
}

/* Of a pipe, O_DIRECT means packets; and who only writes to a file has nothing written to his memory. */
static bool is_read_directly(const struct process *process, int32_t descriptor, struct bytes link)
{
	unsigned flags;

	return bytes_match(link, 0, "/") && read_flags(process, descriptor, &flags) &&
	       flags & O_DIRECT && (flags & O_ACCMODE) != O_WRONLY;
}

static bool ends_with(struct bytes text, const char *end)
{
	size_t size = strlen(end);

	return text.size >= size && memcmp(text.data + text.size - size, end, size) == 0;
}

/* File systems of no disk have a device number of no driver. */
static bool is_on_disk(const struct process *process, const char *path)
{
	struct stat about;

	return fstatat(process->folder, path, &about, 0) == 0 &&
	       (S_ISBLK(about.st_mode) || major(about.st_dev) != 0);
}

static void learn_file(const struct process *process, int32_t descriptor,
		       struct process_handles *out)
{
	char name[64], path[PROCESS_STRING_SIZE], target[PROCESS_STRING_SIZE];

	snprintf(name, sizeof(name), "fd/%d", descriptor);
	process_live_path(process, name, path);
	ssize_t size = readlinkat(process->folder, path, target, sizeof(target));
	const struct bytes link = { (const uint8_t *)target, size > 0 ? (size_t)size : 0 };
	out->has_vfio |= bytes_match(link, 0, "/dev/vfio/") ||
			 bytes_match(link, 0, "anon_inode:[vfio-device]");
	if (bytes_match(link, 0, RING_NAME)) {
		out->has_own_rings = true;
		out->has_buffers |= has_buffers(process, descriptor);
	}
	out->has_page_bits |= ends_with(link, "/pagemap") || ends_with(link, "/clear_refs");
	if (!is_read_directly(process, descriptor, link))
		return;
	out->direct = descriptor;
	out->are_all_disks &= is_on_disk(process, path);
}

enum kioku_status process_handles_read(const struct process *process,
				       const struct mapping_list *mappings,
				       struct process_handles *out, struct kioku_error *error)
{
	AUTO_FILE_TEXT struct file_text text = { 0 };
	AUTO_NUMBERS struct number_list files = { 0 };
	char path[PROCESS_STRING_SIZE];

	*out = (struct process_handles){ .direct = -1, .are_all_disks = true };
	TRY(process_read(process, "status", &text, error));
	(void)task_status_numbers(file_text_bytes(&text), "VmPin", &out->pinned, 1);
	process_live_path(process, "fd", path);
	TRY(number_list_read(&files, process->folder, path, error));
	for (size_t i = 0; i < files.count; i++)
		learn_file(process, files.numbers[i], out);
	out->has_queue = out->has_own_rings;
	for (size_t i = 0; i < mappings->count; i++) {
		const struct bytes name = mappings->mappings[i].name;
		bool is_ring = bytes_match(name, 0, RING_NAME);
		out->has_queue |= is_ring || bytes_match(name, 0, "/[aio]");
		out->has_own_rings &= !is_ring;
	}
	return KIOKU_OK;
}

enum kioku_status process_handles_check_writes(const struct process_handles *handles, pid_t pid,
					       struct kioku_error *error)
{
	if (handles->pinned != 0)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "process %d has %llu KiB pinned for devices (VmPin), or for "
				 "io_uring, which write there unseen",
				 pid, (unsigned long long)handles->pinned);
	if (handles->has_buffers)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "process %d has buffers registered with io_uring, or it does not "
				 "say, which are written unseen",
				 pid);
	if (handles->has_own_rings)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "process %d has an io_uring that it has not mapped: its rings may "
				 "be in the process's own memory, and are written there unseen",
				 pid);
	if (handles->has_vfio)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "process %d has a device of vfio, which may write to its memory "
				 "unseen",
				 pid);
	if (handles->direct >= 0)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "process %d may read a file by O_DIRECT (descriptor %d), which "
				 "writes to its memory unseen",
				 pid, handles->direct);
	return KIOKU_OK;
}
