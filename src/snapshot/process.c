/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/process.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

/* include/linux/sched.h */
enum { PF_EXITING = 0x4, PF_KTHREAD = 0x200000 };

enum { CHUNK = 64 << 10 };

enum kioku_status process_read(int folder, const char *name, char **out, size_t *size,
			       struct kioku_error *error)
{
	AUTO_CLOSE int file = openat(folder, name, O_RDONLY | O_CLOEXEC);
	AUTO_FREE char *text = NULL;
	size_t capacity = 0, used = 0;

	*out = NULL;
	*size = 0;
	if (file < 0)
		return error_os(error, "%s", name);
	for (;;) {
		if (capacity - used < CHUNK / 2) {
			capacity = capacity ? 2 * capacity : CHUNK;
			char *grown = realloc(text, capacity);
			if (!grown)
				return error_no_memory(error);
			text = grown;
		}
		ssize_t got = read(file, text + used, capacity - used - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_os(error, "%s", name);
		if (got == 0)
			break;
		used += (size_t)got;
	}
	text[used] = '\0';
	*size = used;
	*out = TAKE(text);
	return KIOKU_OK;
}

/* Fields of stat, from the third on: the name before them can hold anything. */
static bool decode_stat(const char *text, struct process *out)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	long nice;
	uint64_t start;
	uint32_t flags;
	size_t threads;

	if (!open || !close || close < open)
		return false;
	size_t length = (size_t)(close - open - 1);
	length = length < sizeof(out->name) ? length : sizeof(out->name) - 1;
	memcpy(out->name, open + 1, length);
	out->name[length] = '\0';
	if (sscanf(close + 1,
		   " %c %d %d %d %*d %*d %" SCNu32 " %*u %*u %*u %*u %*u %*u %*d %*d %*d %ld %zu "
		   "%*d %" SCNu64,
		   &out->state, &out->ppid, &out->pgrp, &out->sid, &flags, &nice, &threads,
		   &start) != 8)
		return false;
	out->flags = flags;
	out->nice = (int8_t)nice;
	out->threads = threads;
	out->start_time = start;
	return true;
}

/* What stands behind "KEY:" in status; "" if it has no such line. */
static const char *status_value(const char *status, const char *key)
{
	size_t length = strlen(key);

	for (const char *line = status; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, length) == 0 && line[length] == ':')
			return line + length + 1 + strspn(line + length + 1, " \t");
	}
	return "";
}

/* The second of the four numbers in "Uid:" and "Gid:". */
static uint32_t effective(const char *status, const char *key)
{
	unsigned first, second = 0;

	(void)sscanf(status_value(status, key), "%u %u", &first, &second);
	return second;
}

static enum kioku_status check(const struct process *process, const char *status,
			       struct kioku_error *error)
{
	int tracer = atoi(status_value(status, "TracerPid"));
	int tgid = atoi(status_value(status, "Tgid"));

	if (tgid != process->pid)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "%d is a thread of process %d",
				 process->pid, tgid);
	if (process->flags & PF_KTHREAD)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "process %d (%s) is a thread of the kernel", process->pid,
				 process->name);
	if (process->pid == getpid())
		return error_set(error, KIOKU_ERROR_REFUSED, "process %d takes the snapshot itself",
				 process->pid);
	if (tracer != 0)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "process %d (%s) is traced by process %d already", process->pid,
				 process->name, tracer);
	if (process->flags & PF_EXITING && process->threads <= 1)
		return error_set(error, KIOKU_ERROR_REFUSED, "process %d (%s) is ending",
				 process->pid, process->name);
	return KIOKU_OK;
}

/* By the auxiliary vector: its first number is a type, and its second half in 64 bits is not. */
static enum kioku_status check_class(const struct process *process, struct kioku_error *error)
{
	uint8_t head[EI_NIDENT] = { 0 };
	AUTO_CLOSE int file = openat(process->folder, "exe", O_RDONLY | O_CLOEXEC);

	if (file >= 0 && read(file, head, sizeof(head)) == sizeof(head) &&
	    memcmp(head, ELFMAG, SELFMAG) == 0 && head[EI_CLASS] == ELFCLASS32)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "process %d (%s) is a 32-bit one, which is not supported",
				 process->pid, process->name);
	return KIOKU_OK;
}

/* A first thread that has ended leaves no memory behind, and the others have all of it. */
static void find_live_task(struct process *process)
{
	int folder = openat(process->folder, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *tasks = folder < 0 ? NULL : fdopendir(folder);

	if (process->state == 'Z')
		for (struct dirent *entry; tasks && (entry = readdir(tasks));)
			if (atoi(entry->d_name) > 0 && atoi(entry->d_name) != process->pid)
				process->task = atoi(entry->d_name);
	if (tasks)
		closedir(tasks);
	else if (folder >= 0)
		close(folder);
}

static bool is_other_namespace(int folder)
{
	struct stat theirs, ours;

	return fstatat(folder, "ns/pid", &theirs, 0) != 0 ||
	       stat("/proc/self/ns/pid", &ours) != 0 || theirs.st_ino != ours.st_ino ||
	       theirs.st_dev != ours.st_dev;
}

enum kioku_status process_open(pid_t pid, struct process *out, struct kioku_error *error)
{
	AUTO_FREE char *stat = NULL, *status = NULL;
	char path[32];
	size_t size;

	*out = (struct process){ .pid = pid, .task = pid, .folder = -1 };
	snprintf(path, sizeof(path), "/proc/%d", pid);
	out->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out->folder < 0 || process_read(out->folder, "stat", &stat, &size, NULL) != KIOKU_OK ||
	    process_read(out->folder, "status", &status, &size, NULL) != KIOKU_OK)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "there is no process %d", pid);
	if (!decode_stat(stat, out))
		return error_set(error, KIOKU_ERROR_CORRUPT, "/proc/%d/stat has another form", pid);
	out->uid = effective(status, "Uid");
	out->gid = effective(status, "Gid");
	out->has_seccomp = atoi(status_value(status, "Seccomp")) > 0;
	out->other_namespace = is_other_namespace(out->folder);
	find_live_task(out);
	TRY(check(out, status, error));
	if (out->state == 'Z' && out->task == pid)
		return error_set(error, KIOKU_ERROR_REFUSED, "process %d (%s) has ended", pid,
				 out->name);
	return check_class(out, error);
}

void process_close(struct process *process)
{
	if (process->folder >= 0)
		close(process->folder);
	process->folder = -1;
}

static void task_path(char out[64], pid_t task, const char *name)
{
	snprintf(out, 64, "task/%d/%s", task, name);
}

int process_open_file(int folder, pid_t task, const char *name)
{
	char path[64];

	task_path(path, task, name);
	return openat(folder, path, O_RDONLY | O_CLOEXEC);
}

enum kioku_status mapping_list_read(int folder, pid_t task, const char *file,
				    struct mapping_list *out, struct kioku_error *error)
{
	char path[64];
	uint64_t offset = 0;
	size_t size, lines = 0, capacity = 0;

	*out = (struct mapping_list){ 0 };
	task_path(path, task, file);
	TRY(process_read(folder, path, &out->text, &size, error));
	struct bytes text = { (const uint8_t *)out->text, size };
	for (struct mapping mapping; mapping_decode(text, &offset, &mapping); lines++) {
		if (lines == capacity) {
			capacity = capacity ? 2 * capacity : 256;
			struct mapping *grown =
				reallocarray(out->mappings, capacity, sizeof(*grown));
			if (!grown)
				return error_no_memory(error);
			out->mappings = grown;
		}
		out->mappings[lines] = mapping;
		out->count = lines + 1;
	}
	if (offset != size)
		return error_set(error, KIOKU_ERROR_CORRUPT, "%s has another form", file);
	return KIOKU_OK;
}

void mapping_list_release(struct mapping_list *list)
{
	free(list->mappings);
	free(list->text);
	*list = (struct mapping_list){ 0 };
}
