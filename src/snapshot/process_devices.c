/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/process_devices.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/scan.h"
#include "format/task_format.h"

enum { OCTAL_BITS = 3 };

/* "flags:\t0100000", octal. */
static bool read_flags(const struct process *process, int32_t descriptor, unsigned *out)
{
	AUTO_FILE_TEXT struct file_text text = { 0 };
	struct bytes flags;
	char name[64];

	snprintf(name, sizeof(name), "fdinfo/%d", descriptor);
	if (process_read(process, name, &text, NULL) != KIOKU_OK ||
	    !task_status_find(file_text_bytes(&text), "flags", &flags))
		return false;
	*out = 0;
	for (size_t i = 0; i < flags.size; i++)
		*out = *out << OCTAL_BITS | (flags.data[i] & 7);
	return true;
}

/* Of a pipe, O_DIRECT means packets; and who only writes to a file has nothing written to his memory. */
static bool is_read_directly(const struct process *process, int32_t descriptor, struct bytes link)
{
	size_t at = 0;
	unsigned flags;

	return scan_text(link, &at, "/") && read_flags(process, descriptor, &flags) &&
	       flags & O_DIRECT && (flags & O_ACCMODE) != O_WRONLY;
}

static bool is_vfio(struct bytes link)
{
	size_t group = 0, device = 0;

	return scan_text(link, &group, "/dev/vfio/") ||
	       scan_text(link, &device, "anon_inode:[vfio-device]");
}

static enum kioku_status check_file(const struct process *process, int32_t descriptor,
				    struct kioku_error *error)
{
	char name[64], path[PROCESS_STRING_SIZE], target[PROCESS_STRING_SIZE];

	snprintf(name, sizeof(name), "fd/%d", descriptor);
	process_live_path(process, name, path);
	ssize_t size = readlinkat(process->folder, path, target, sizeof(target));
	const struct bytes link = { (const uint8_t *)target, size > 0 ? (size_t)size : 0 };
	if (is_vfio(link))
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "process %d has a device of vfio, which may write to its memory "
				 "unseen",
				 process->pid);
	if (is_read_directly(process, descriptor, link))
		return error_set(
			error, KIOKU_ERROR_REFUSED,
			"process %d reads a file by O_DIRECT (descriptor %d), which writes "
			"to its memory unseen",
			process->pid, descriptor);
	return KIOKU_OK;
}

enum kioku_status process_devices_check(const struct process *process, struct kioku_error *error)
{
	AUTO_FILE_TEXT struct file_text text = { 0 };
	AUTO_NUMBERS struct number_list files = { 0 };
	char path[PROCESS_STRING_SIZE];
	uint64_t pinned = 0;

	TRY(process_read(process, "status", &text, error));
	if (task_status_numbers(file_text_bytes(&text), "VmPin", &pinned, 1) == 1 && pinned != 0)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "process %d has %llu KiB pinned for devices (VmPin), or for "
				 "io_uring, which write there unseen",
				 process->pid, (unsigned long long)pinned);
	process_live_path(process, "fd", path);
	TRY(number_list_read(&files, process->folder, path, error));
	for (size_t i = 0; i < files.count; i++)
		TRY(check_file(process, files.numbers[i], error));
	return KIOKU_OK;
}
