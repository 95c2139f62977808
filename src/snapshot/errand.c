/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/errand.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "snapshot/wait.h"

enum {
	SETTLE_INTERVAL = 2, /* milliseconds */
	/* Nanoseconds for one thread to stop. It does so once it has a CPU, which harms nobody. */
	PATIENCE = 2000 * 1000 * 1000,
	STACK = 192 << 10, /* bytes, of the 8 MiB that a main thread has */
	THREADS = 64,      /* that are tried */
};

static const uint64_t call_limit = UINT64_C(10000000000); /* nanoseconds */

void errand_hurry(bool on)
{
	struct sched_param parameter = { .sched_priority = on ? 1 : 0 };

	(void)sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &parameter);
}

void errand_touch_stack(void)
{
	volatile uint8_t room[STACK];

	for (size_t i = 0; i < sizeof(room); i += 4096)
		room[i] = 0;
}

static enum kioku_status call_with(struct errand *errand, pid_t tid, long number,
				   const uint64_t arguments[6], int64_t *result,
				   struct kioku_error *error)
{
	struct thread_record record;
	struct injection injection;
	struct tracee one;

	TRY(tracee_init(&one, errand->process->pid, errand->process->folder,
			errand->process->seccomp != 0, 1, error));
	one.only = tid;
	errand_touch_stack();
	enum kioku_status status = tracee_seize(&one, error);
	errand_hurry(true);
	if (status == KIOKU_OK)
		status = tracee_stop(&one, wait_now() + PATIENCE, error);
	if (status == KIOKU_OK)
		status = tracee_read(&one, &record, error);
	if (status == KIOKU_OK)
		status = site_call(errand->site, &one, &injection, number, arguments, false,
				   wait_now() + call_limit, result, error);
	tracee_resume(&one);
	errand_hurry(false);
	uint64_t stop = one.resumed_at - one.stopped_at;
	if (status == KIOKU_OK && stop > errand->stop)
		errand->stop = stop;
	while (!tracee_settle(&one))
		usleep(SETTLE_INTERVAL * 1000);
	tracee_release(&one);
	return status;
}

/* fs/proc/array.c, do_task_stat(): the state follows the name's closing bracket. */
static bool is_waiting(int folder, pid_t tid)
{
	char path[48], text[256];

	snprintf(path, sizeof(path), "task/%d/stat", tid);
	AUTO_CLOSE int file = openat(folder, path, O_RDONLY | O_CLOEXEC);
	ssize_t size = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
	text[size > 0 ? size : 0] = '\0';
	const char *name_end = strrchr(text, ')');
	return name_end && name_end[1] == ' ' && name_end[2] == 'S';
}

/* Threads, those that wait before those that work. */
static size_t list_threads(int folder, pid_t *out)
{
	int tasks = openat(folder, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = tasks < 0 ? NULL : fdopendir(tasks);
	size_t waiting = 0, count = 0;

	if (!list && tasks >= 0)
		close(tasks);
	for (struct dirent *entry; list && count < THREADS && (entry = readdir(list));) {
		pid_t tid = atoi(entry->d_name);
		if (tid <= 0)
			continue;
		out[count++] = tid;
		if (!is_waiting(folder, tid))
			continue;
		out[count - 1] = out[waiting];
		out[waiting++] = tid;
	}
	if (list)
		closedir(list);
	return count;
}

enum kioku_status errand_call(struct errand *errand, pid_t tid, long number,
			      const uint64_t arguments[6], int64_t *result,
			      struct kioku_error *error)
{
	pid_t tids[1 + THREADS] = { tid };
	size_t first = tid == 0, count = 1 + list_threads(errand->process->folder, tids + 1);
	enum kioku_status status = KIOKU_ERROR_NOT_FOUND;

	if (count == 1)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "process %d has ended",
				 errand->process->pid);
	for (size_t i = first; i < count; i++) {
		if (i > 0 && tids[i] == tid)
			continue;
		status = call_with(errand, tids[i], number, arguments, result, error);
		if (status == KIOKU_OK)
			errand->tid = tids[i];
		/* Another thread may do where this one has ended or does not stop. */
		if (status != KIOKU_ERROR_NOT_FOUND && status != KIOKU_ERROR_UNSUPPORTED)
			return status;
	}
	return status;
}
