/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/process_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/growing.h"
#include "base/scan.h"

/* --- numbers */

bool number_list_add(struct number_list *list, int32_t number)
{
	if (!GROW(list->numbers, list->count, list->capacity))
		return false;
	list->numbers[list->count++] = number;
	return true;
}

static int compare_numbers(const void *left, const void *right)
{
	int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;

	return a < b ? -1 : a > b;
}

bool number_list_has(const struct number_list *list, int32_t number)
{
	return list->count > 0 && bsearch(&number, list->numbers, list->count,
					  sizeof(*list->numbers), compare_numbers);
}

void number_list_release(struct number_list *list)
{
	free(list->numbers);
	*list = (struct number_list){ 0 };
}

/* Entries as getdents64 gives them, into a list; those that are no numbers are passed over. */
static bool add_entries(struct number_list *list, const char *entries, size_t size)
{
	for (size_t at = 0; at < size;) {
		const struct dirent64 *entry = (const struct dirent64 *)(entries + at);
		struct bytes name = bytes_of_text(entry->d_name);
		size_t offset = 0;
		uint64_t number;
		if (scan_decimal(name, &offset, &number) && offset == name.size &&
		    number <= INT32_MAX && !number_list_add(list, (int32_t)number))
			return false;
		at += entry->d_reclen;
	}
	return true;
}

/* Without opendir(), which allocates: threads are listed again and again while they are stopped. */
enum kioku_status number_list_read(struct number_list *list, int folder, const char *path,
				   struct kioku_error *error)
{
	char entries[8192] __attribute__((aligned(8)));
	ssize_t got;

	list->count = 0;
	AUTO_CLOSE int descriptor = openat(folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while ((got = descriptor < 0 ? -1 : getdents64(descriptor, entries, sizeof(entries))) > 0)
		if (!add_entries(list, entries, (size_t)got))
			return error_no_memory(error);
	if (got < 0)
		return error_os(error, "cannot list %s", path);
	/* Threads come in the order of their creation, whose numbers wrap around. */
	if (list->count > 0)
		qsort(list->numbers, list->count, sizeof(*list->numbers), compare_numbers);
	return KIOKU_OK;
}

/* --- folders and files */

enum kioku_status process_folder_open(int32_t pid, int *out, struct kioku_error *error)
{
	char path[32];

	*out = -1;
	if (pid <= 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "%d is no process id", pid);
	snprintf(path, sizeof(path), "/proc/%d", pid);
	*out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*out >= 0)
		return KIOKU_OK;
	if (errno != ENOENT && errno != ESRCH)
		return error_os(error, "cannot open %s", path);
	if (kill(pid, 0) == 0 || errno == EPERM)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "/proc does not show process %d: it is mounted with hidepid, or "
				 "for another PID namespace",
				 pid);
	return error_set(error, KIOKU_ERROR_NOT_FOUND, "there is no process %d", pid);
}

enum kioku_status task_stat_read(int folder, const char *path, struct file_text *text,
				 struct task_stat *out, struct kioku_error *error)
{
	TRY(file_text_read(text, folder, path, PROCESS_FILE_LIMIT, error));
	return task_stat_decode(file_text_bytes(text), out)
		       ? KIOKU_OK
		       : error_set(error, KIOKU_ERROR_CORRUPT, "%s is not as expected", path);
}

char task_state_of(int folder, pid_t tid)
{
	AUTO_FILE_TEXT struct file_text text = { 0 };
	struct task_stat stat;
	int reason = errno;
	char path[64];

	snprintf(path, sizeof(path), "task/%d/stat", tid);
	bool known = task_stat_read(folder, path, &text, &stat, NULL) == KIOKU_OK;
	errno = reason;
	return known ? stat.state : 'X';
}

bool task_is_addressed(int folder, pid_t pid, pid_t tid)
{
	int reason = errno;
	char path[64], byte;

	snprintf(path, sizeof(path), "task/%d/children", tid);
	AUTO_CLOSE int file = openat(folder, path, O_RDONLY | O_CLOEXEC);
	bool has_children = file >= 0 && read(file, &byte, 1) == 1;
	errno = reason;
	return tid == pid || has_children;
}

bool process_is_gone(const struct kioku_error *error)
{
	return error->status == KIOKU_ERROR_OS &&
	       (error->os_errno == ESRCH || error->os_errno == ENOENT);
}

void process_copy_name(struct bytes name, char *out, size_t size)
{
	size_t length = name.size < size - 1 ? name.size : size - 1;

	if (length > 0)
		memcpy(out, name.data, length);
	out[length] = '\0';
}
