/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/errand.h"

#include <sched.h>
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
	if (status == KIOKU_OK && thread_record_is_of_kernel(&record))
		status =
			error_set(error, KIOKU_ERROR_UNSUPPORTED, "thread %d is the kernel's", tid);
	if (status == KIOKU_OK)
		status = site_call(errand->site, &one, &injection, number, arguments, false,
				   wait_now() + call_limit, result, error);
	tracee_resume(&one);
	errand_hurry(false);
	uint64_t stop = one.resumed_at - one.stopped_at;
	if (status == KIOKU_OK && stop > errand->stop)
		errand->stop = stop;
	/* One that went into the kernel for long after it was looked at is let go when we end. */
	const uint64_t limit = wait_now() + call_limit;
	while (!tracee_settle(&one) && wait_now() < limit)
		usleep(SETTLE_INTERVAL * 1000);
	if (one.count > 0)
		status = error_set(error, KIOKU_ERROR_REFUSED, "thread %d does not stop", tid);
	tracee_release(&one);
	return status;
}

/* How much a thread would rather be left alone; NEVER: it cannot be stopped now. */
enum reluctance { WAITS, WORKS, IS_ADDRESSED, NEVER };

static enum reluctance reluctance_of(const struct process *process, pid_t tid)
{
	char state = task_state_of(process->folder, tid);

	if (state == 'D' || state == 'Z' || state == 'X' ||
	    thread_is_of_kernel(process->folder, tid))
		return NEVER;
	if (task_is_addressed(process->folder, process->pid, tid))
		return IS_ADDRESSED;
	return state == 'S' ? WAITS : WORKS;
}

/* Threads, in the order in which they are to be tried. */
static size_t list_threads(const struct process *process, pid_t *out)
{
	AUTO_NUMBERS struct number_list tids = { 0 };
	enum reluctance of[THREADS];
	size_t known = 0, count = 0;

	(void)!process_threads(process, &tids, NULL);
	for (; known < tids.count && known < THREADS; known++)
		of[known] = reluctance_of(process, tids.numbers[known]);
	for (enum reluctance wanted = WAITS; wanted < NEVER; wanted++)
		for (size_t i = 0; i < known; i++)
			if (of[i] == wanted)
				out[count++] = tids.numbers[i];
	return count;
}

/* Whether any thread is not a zombie. */
static bool is_alive(const struct process *process)
{
	AUTO_NUMBERS struct number_list tids = { 0 };

	(void)!process_threads(process, &tids, NULL);
	for (size_t i = 0; i < tids.count; i++) {
		char state = task_state_of(process->folder, tids.numbers[i]);
		if (state != 'Z' && state != 'X')
			return true;
	}
	return false;
}

static enum kioku_status call_in_any(struct errand *errand, pid_t tid, long number,
				     const uint64_t arguments[6], int64_t *result,
				     struct kioku_error *error)
{
	pid_t tids[1 + THREADS] = { tid };
	size_t first = tid == 0, count = 1 + list_threads(errand->process, tids + 1);
	enum kioku_status status = KIOKU_ERROR_NOT_FOUND;

	if (count == 1)
		return site_refuse(errand->process->pid, error);
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

enum kioku_status errand_call(struct errand *errand, pid_t tid, long number,
			      const uint64_t arguments[6], int64_t *result,
			      struct kioku_error *error)
{
	const uint64_t limit = wait_now() + PATIENCE;

	for (;;) {
		enum kioku_status status =
			call_in_any(errand, tid, number, arguments, result, error);
		/* Threads can end faster than they are listed, and who starts them be in a lock. */
		if (status != KIOKU_ERROR_NOT_FOUND || !is_alive(errand->process))
			return status;
		if (wait_now() >= limit)
			return site_refuse(errand->process->pid, error);
		usleep(SETTLE_INTERVAL * 1000);
	}
}
