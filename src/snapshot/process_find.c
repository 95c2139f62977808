/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which processes there are. */
#include <kioku/snapshot.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "snapshot/process.h"

struct pid_list {
	pid_t *pids;
	size_t count, capacity;
};

static bool add_pid(struct pid_list *list, pid_t pid)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 64;
		pid_t *pids = reallocarray(list->pids, capacity, sizeof(*pids));
		if (!pids)
			return false;
		list->pids = pids;
		list->capacity = capacity;
	}
	list->pids[list->count++] = pid;
	return true;
}

static void release_list(struct pid_list *list)
{
	free(list->pids);
}

/* Ascending, as /proc lists them. */
static enum kioku_status list_all(struct pid_list *out, struct kioku_error *error)
{
	DIR *folder = opendir("/proc");
	bool complete = true;

	if (!folder)
		return error_os(error, "/proc");
	for (struct dirent *entry; complete && (entry = readdir(folder));)
		if (atoi(entry->d_name) > 0)
			complete = add_pid(out, atoi(entry->d_name));
	closedir(folder);
	return complete ? KIOKU_OK : error_no_memory(error);
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool has_name(pid_t pid, const char *name)
{
	AUTO_FREE char *comm = NULL, *arguments = NULL;
	char path[32], program[4096];
	size_t size;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	AUTO_CLOSE int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return false;
	if (process_read(folder, "comm", &comm, &size, NULL) == KIOKU_OK && size > 0) {
		comm[size - 1] = '\0';
		if (strcmp(comm, name) == 0)
			return true;
	}
	ssize_t length = readlinkat(folder, "exe", program, sizeof(program) - 1);
	program[length > 0 ? length : 0] = '\0';
	if (strcmp(last_part(program), name) == 0)
		return true;
	return process_read(folder, "cmdline", &arguments, &size, NULL) == KIOKU_OK && size > 0 &&
	       strcmp(last_part(arguments), name) == 0;
}

enum kioku_status kioku_process_find(const char *name, pid_t **out, size_t *count,
				     struct kioku_error *error)
{
	CLEANUP(release_list) struct pid_list all = { 0 };

	TRY(list_all(&all, error));
	*count = 0;
	for (size_t i = 0; i < all.count; i++)
		if (all.pids[i] != getpid() && has_name(all.pids[i], name))
			all.pids[(*count)++] = all.pids[i];
	if (*count == 0)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "there is no process %s", name);
	*out = TAKE(all.pids);
	return KIOKU_OK;
}

static pid_t parent_of(pid_t pid)
{
	char path[32], text[512];
	pid_t parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	AUTO_CLOSE int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
	if (size <= 0)
		return 0;
	text[size] = '\0';
	const char *close = strrchr(text, ')');
	return close && sscanf(close + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

static enum kioku_status find_tree(pid_t pid, struct pid_list *tree, struct kioku_error *error)
{
	CLEANUP(release_list) struct pid_list all = { 0 };

	TRY(list_all(&all, error));
	AUTO_FREE pid_t *parents = calloc(all.count, sizeof(*parents));
	if (!parents || !add_pid(tree, pid))
		return error_no_memory(error);
	for (size_t i = 0; i < all.count; i++)
		parents[i] = parent_of(all.pids[i]);
	for (size_t at = 0; at < tree->count; at++)
		for (size_t i = 0; i < all.count; i++)
			if (parents[i] == tree->pids[at] && all.pids[i] != getpid() &&
			    !add_pid(tree, all.pids[i]))
				return error_no_memory(error);
	return KIOKU_OK;
}

static bool is_same(const struct pid_list *a, const struct pid_list *b)
{
	return a->count == b->count && memcmp(a->pids, b->pids, a->count * sizeof(*a->pids)) == 0;
}

/* Processes start and end while the list is made: it holds once it comes out twice. */
enum kioku_status kioku_process_tree(pid_t pid, pid_t **out, size_t *count,
				     struct kioku_error *error)
{
	enum { TRIES = 8 };
	CLEANUP(release_list) struct pid_list last = { 0 };

	for (int i = 0; i < TRIES; i++) {
		struct pid_list next = { 0 };
		enum kioku_status status = find_tree(pid, &next, error);
		bool same = status == KIOKU_OK && i > 0 && is_same(&last, &next);
		release_list(&last);
		last = next;
		TRY(status);
		if (same)
			break;
	}
	if (parent_of(pid) == 0 && pid != 1)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "there is no process %d", pid);
	*count = last.count;
	*out = TAKE(last.pids);
	return KIOKU_OK;
}
