/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/process_find.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/scan.h"

#define READINGS 32 /* of all processes, until two are the same */

static bool is_ended(const struct task_stat *stat)
{
	return (stat->state == 'Z' && stat->threads <= 1) || stat->state == 'X';
}

/* The last part of a path, without what the kernel says of a file that was deleted. */
static struct bytes last_part(struct bytes path)
{
	static const char deleted[] = " (deleted)";
	size_t suffix = sizeof(deleted) - 1, start = 0;

	if (path.size > suffix && memcmp(path.data + path.size - suffix, deleted, suffix) == 0)
		path.size -= suffix;
	for (size_t i = 0; i < path.size; i++)
		if (path.data[i] == '/')
			start = i + 1;
	return (struct bytes){ path.data + start, path.size - start };
}

/* All processes of /proc, a descriptor. */
struct census {
	int proc;
	struct number_list pids;
	struct file_text text;
};

static enum kioku_status census_begin(struct census *census, struct kioku_error *error)
{
	if (census->proc < 0)
		census->proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (census->proc < 0)
		return error_os(error, "cannot open /proc");
	return number_list_read(&census->pids, census->proc, ".", error);
}

static void census_end(struct census *census)
{
	cleanup_close(&census->proc);
	number_list_release(&census->pids);
	file_text_release(&census->text);
}

#define AUTO_CENSUS CLEANUP(census_end)

/* False if it has ended since. */
static bool census_stat(struct census *census, int32_t pid, struct task_stat *out)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/stat", pid);
	return task_stat_read(census->proc, path, &census->text, out, NULL) == KIOKU_OK;
}

static bool is_named(struct census *census, int32_t pid, struct bytes name)
{
	struct task_stat stat;
	char path[64];

	if (!census_stat(census, pid, &stat) || stat.flags & TASK_KERNEL_THREAD || is_ended(&stat))
		return false;
	if (bytes_equal(stat.name, name))
		return true;
	snprintf(path, sizeof(path), "%d/exe", pid);
	if (file_text_read_link(&census->text, census->proc, path, NULL) == KIOKU_OK &&
	    bytes_equal(last_part(file_text_bytes(&census->text)), name))
		return true;
	/* Last, since it waits for a lock that a process which hangs may hold. */
	snprintf(path, sizeof(path), "%d/cmdline", pid);
	return file_text_read(&census->text, census->proc, path, PROCESS_FILE_LIMIT, NULL) ==
		       KIOKU_OK &&
	       census->text.size > 0 &&
	       bytes_equal(last_part(bytes_of_text(census->text.data)), name);
}

enum kioku_status process_find_named(const char *name, struct number_list *out,
				     struct kioku_error *error)
{
	AUTO_CENSUS struct census census = { .proc = -1 };
	struct bytes wanted = bytes_of_text(name);

	out->count = 0;
	TRY(census_begin(&census, error));
	for (size_t i = 0; i < census.pids.count && wanted.size > 0; i++) {
		int32_t pid = census.pids.numbers[i];
		if (pid != getpid() && is_named(&census, pid, wanted) && !number_list_add(out, pid))
			return error_no_memory(error);
	}
	return out->count > 0 ? KIOKU_OK
			      : error_set(error, KIOKU_ERROR_NOT_FOUND,
					  "no process has the name \"%s\"", name);
}

/* The parents of all processes, in the order of pids; -1: it has ended. NULL: no memory. */
static int32_t *list_parents(struct census *census)
{
	int32_t *parents = calloc(census->pids.count + 1, sizeof(*parents));
	struct task_stat stat;

	for (size_t i = 0; parents && i < census->pids.count; i++)
		parents[i] = census_stat(census, census->pids.numbers[i], &stat) && !is_ended(&stat)
				     ? (int32_t)stat.parent
				     : -1;
	return parents;
}

/* A parent's number may be higher than its child's, so that it takes as many rounds as it has levels. */
static enum kioku_status read_tree(struct census *census, int32_t root, struct number_list *out,
				   struct kioku_error *error)
{
	TRY(census_begin(census, error));
	AUTO_FREE int32_t *parents = list_parents(census);
	size_t before;

	if (!parents)
		return error_no_memory(error);
	out->count = 0;
	do {
		struct number_list next = { 0 };
		before = out->count;
		for (size_t i = 0; i < census->pids.count; i++) {
			int32_t pid = census->pids.numbers[i];
			bool is_member = pid == root || number_list_has(out, parents[i]);
			if (parents[i] >= 0 && is_member && !number_list_add(&next, pid)) {
				number_list_release(&next);
				return error_no_memory(error);
			}
		}
		number_list_release(out);
		*out = next;
	} while (out->count > before);
	return number_list_has(out, root)
		       ? KIOKU_OK
		       : error_set(error, KIOKU_ERROR_NOT_FOUND, "there is no process %d", root);
}

enum kioku_status process_tree(int32_t pid, struct number_list *out, struct kioku_error *error)
{
	AUTO_CENSUS struct census census = { .proc = -1 };
	AUTO_NUMBERS struct number_list before = { 0 };

	for (unsigned i = 0; i < READINGS; i++) {
		TRY(read_tree(&census, pid, out, error));
		if (out->count == before.count &&
		    memcmp(out->numbers, before.numbers, out->count * sizeof(*out->numbers)) == 0)
			return KIOKU_OK;
		before.count = 0;
		for (size_t at = 0; at < out->count; at++)
			if (!number_list_add(&before, out->numbers[at]))
				return error_no_memory(error);
	}
	return error_set(error, KIOKU_ERROR_LIMIT,
			 "the children of process %d come and go faster than they can be listed",
			 pid);
}
