/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Nanoseconds. */
enum { SPIN = 60000, NAP_LIMIT = 1000000, LATELY = 1000000, LEAVE = 5000, LEAVE_LIMIT = 500000 };

uint64_t wait_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* When we last slept: who stops about then may share a CPU with us. */
static _Thread_local uint64_t slept_at;

/* Until some child changes, for which SIGCHLD stands; others' may have come before. */
static void nap(uint64_t time)
{
	struct timespec limit = { .tv_nsec = (long)(time < NAP_LIMIT ? time : NAP_LIMIT) };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigtimedwait(&set, NULL, &limit);
	slept_at = wait_now();
}

/*
 * With PREEMPT_RT, we are woken before who stops has left its CPU (ptrace_stop(), kernel/signal.c, Linux
 * 6.12). If that is ours, our next request would sleep for a whole tick (wait_task_inactive(),
 * kernel/sched/core.c). Until then there is no function that it waits in; or never, if none is told of.
 */
static void let_leave(pid_t tid)
{
	static _Thread_local bool is_untold;
	char path[sizeof("/proc/4294967295/wchan")], first = '0';

	snprintf(path, sizeof(path), "/proc/%d/wchan", tid);
	AUTO_CLOSE int wchan = is_untold ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	for (uint64_t time = LEAVE; time < LEAVE_LIMIT; time *= 2) {
		if (pread(wchan, &first, 1, 0) != 1 || first != '0')
			return;
		nap(time);
	}
	is_untold = true;
}

static bool has_one_cpu(void)
{
	static _Thread_local long cpus;

	if (cpus == 0)
		cpus = sysconf(_SC_NPROCESSORS_ONLN);
	return cpus == 1;
}

enum wait_outcome wait_for_stop(pid_t tid, uint64_t deadline, int *status)
{
	static _Thread_local uint64_t spin = SPIN;
	uint64_t start = wait_now(), now = start;

	for (;; now = wait_now()) {
		pid_t found = waitpid(tid, status, __WALL | WNOHANG);
		if (found == tid) {
			if (!WIFSTOPPED(*status))
				return WAIT_GONE;
			if (now - slept_at < LATELY)
				let_leave(tid);
			return WAIT_STOPPED;
		}
		if (found < 0 && errno != EINTR)
			return WAIT_GONE;
		if (now >= deadline)
			return WAIT_LATE;
		if (now - start < spin)
			continue;
		nap(deadline - now);
		/*
		 * Where there is one CPU, asking keeps it from those that are to stop. Whether there is takes as
		 * long to find out, and is only asked when asking was in vain.
		 */
		spin = has_one_cpu() ? 0 : SPIN;
	}
}

enum kioku_status wait_go_on(int request, pid_t tid, int signal, uint64_t deadline, int *status,
			     struct kioku_error *error)
{
	enum wait_outcome outcome = WAIT_GONE;

	*status = 0;
	if (ptrace(request, tid, NULL, (void *)(intptr_t)signal) == 0)
		outcome = wait_for_stop(tid, deadline, status);
	else if (errno != ESRCH)
		return error_os(error, "thread %d cannot go on", tid);
	if (outcome == WAIT_GONE)
		return error_set(error, KIOKU_ERROR_NOT_FOUND,
				 "thread %d was killed while it was stopped", tid);
	if (outcome == WAIT_LATE)
		return error_set(error, KIOKU_ERROR_LIMIT, "thread %d does not stop again in time",
				 tid);
	return KIOKU_OK;
}

bool wait_is_call_stop(int status)
{
	return WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80);
}

bool wait_is_event_stop(int status)
{
	return WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_STOP;
}
