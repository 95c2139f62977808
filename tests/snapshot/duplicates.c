// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * usage: duplicates PID HEADER COUNT [auto|fork|track|stopped|torn]
 * Duplicates a process COUNT times in one of its own. HEADER is that of a running "counters", and each
 * duplicate is checked; 0: it is another target, and none is. What it is
 * measured against: "stopped" reads it while ptrace has it stopped, "torn" while it runs.
 * The last line is {"snapshots": N, "torn": N, "first": "...", "descriptors": N, ...}; descriptors are those that
 * were opened and not closed. Status 0: all were made and none was torn.
 */
#include "check.h"

#include <kioku/snapshot.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define MOST_THREADS 256
#define TRIES        20

/* What makes duplicates. */
struct maker {
	const char *name;
	enum kioku_snapshot_method method;
	bool (*make)(pid_t pid);
	bool (*read)(void *context, uint64_t address, void *buffer, size_t size);
	void (*release)(void);
};

static pid_t target;
static const struct maker *maker;

static bool read_target(void *context, uint64_t address, void *buffer, size_t size)
{
	struct iovec here = { buffer, size }, there = { (void *)address, size };

	(void)context;
	return process_vm_readv(target, &here, 1, &there, 1, 0) == (ssize_t)size;
}

static unsigned list_threads(pid_t pid, pid_t *threads)
{
	char path[64];
	unsigned count = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	folder = opendir(path);
	if (folder == NULL)
		return 0;
	for (struct dirent *entry; (entry = readdir(folder)) != NULL && count < MOST_THREADS;) {
		if (entry->d_name[0] != '.')
			threads[count++] = atoi(entry->d_name);
	}
	closedir(folder);
	return count;
}

static pid_t stopped[MOST_THREADS];
static unsigned stopped_count;

/* Targets start no threads once they are ready: the list is complete. */
static bool stop(pid_t pid)
{
	stopped_count = list_threads(pid, stopped);
	for (unsigned i = 0; i < stopped_count; i++) {
		if (ptrace(PTRACE_SEIZE, stopped[i], NULL, NULL) != 0 ||
		    ptrace(PTRACE_INTERRUPT, stopped[i], NULL, NULL) != 0)
			return false;
	}
	for (unsigned i = 0; i < stopped_count; i++) {
		if (waitpid(stopped[i], NULL, __WALL) != stopped[i])
			return false;
	}
	return stopped_count > 0;
}

static void resume(void)
{
	for (unsigned i = 0; i < stopped_count; i++)
		ptrace(PTRACE_DETACH, stopped[i], NULL, NULL);
}

static bool start_torn(pid_t pid)
{
	(void)pid;
	return true;
}

static void end_torn(void)
{
}

static struct kioku_process *duplicate;

static bool complain(enum kioku_status status, const struct kioku_error *error)
{
	if (status != KIOKU_OK)
		fprintf(stderr, "duplicates: %s: %s\n", kioku_status_name(status), error->message);
	return status == KIOKU_OK;
}

/*
 * On a busy machine, a target that gets no CPU does not stop in time, and is let go: no harm, and no
 * duplicate.
 */
static unsigned long refused;

static bool make_duplicate(pid_t pid)
{
	const struct kioku_snapshot_options options = { .size = sizeof(options),
							.method = maker->method };
	struct kioku_error error;
	enum kioku_status status = kioku_process_duplicate(pid, &options, &duplicate, &error);

	for (unsigned i = 0; status == KIOKU_ERROR_REFUSED && i < TRIES; i++, refused++)
		status = kioku_process_duplicate(pid, &options, &duplicate, &error);
	return complain(status, &error);
}

static bool read_duplicate(void *context, uint64_t address, void *buffer, size_t size)
{
	struct kioku_error error;

	(void)context;
	return complain(kioku_process_read(duplicate, address, buffer, size, &error), &error);
}

static void release_duplicate(void)
{
	kioku_process_release(duplicate);
	duplicate = NULL;
}

static const struct maker makers[] = {
	{ "auto", KIOKU_SNAPSHOT_AUTO, make_duplicate, read_duplicate, release_duplicate },
	{ "fork", KIOKU_SNAPSHOT_FORK, make_duplicate, read_duplicate, release_duplicate },
	{ "track", KIOKU_SNAPSHOT_TRACK, make_duplicate, read_duplicate, release_duplicate },
	{ "stopped", 0, stop, read_target, resume },
	{ "torn", 0, start_torn, read_target, end_torn },
};

static const struct maker *find_maker(const char *name)
{
	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		if (strcmp(makers[i].name, name) == 0)
			return &makers[i];
	}
	return NULL;
}

static long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000L + time.tv_nsec;
}

static unsigned count_descriptors(void)
{
	unsigned count = 0;
	DIR *folder = opendir("/proc/self/fd");

	while (folder != NULL && readdir(folder) != NULL)
		count++;
	if (folder != NULL)
		closedir(folder);
	return count;
}

int main(int argc, char **argv)
{
	struct check_rolls rolls = { 0 };
	unsigned long made = 0, torn = 0, count;
	struct check_result first = { 0 };
	long began = now(), longest = 0;
	unsigned descriptors = count_descriptors();
	uint64_t header;

	maker = argc < 4 ? NULL : find_maker(argc > 4 ? argv[4] : "auto");
	if (maker == NULL) {
		fprintf(stderr,
			"usage: duplicates PID HEADER COUNT [auto|fork|track|stopped|torn]\n");
		return 2;
	}
	target = atoi(argv[1]);
	header = strtoull(argv[2], NULL, 0);
	count = strtoul(argv[3], NULL, 0);
	for (; made < count; made++) {
		const struct check_image image = { maker->read, NULL };
		struct check_result result = { 0 };
		long start = now();
		bool good;

		if (!maker->make(target))
			break;
		if (now() - start > longest)
			longest = now() - start;
		good = header == 0 || check_counters(&image, header, &rolls, &result);
		maker->release();
		if (!good)
			break;
		if (result.torn != 0 && torn++ == 0)
			first = result;
	}
	free(rolls.last);
	printf("{\"snapshots\": %lu, \"torn\": %lu, \"first\": \"%s\", \"descriptors\": %d, "
	       "\"refused\": %lu, \"longest\": %ld, \"nanoseconds\": %ld}\n",
	       made, torn, first.first, (int)(count_descriptors() - descriptors), refused, longest,
	       now() - began);
	return made == count && torn == 0 ? 0 : 1;
}
