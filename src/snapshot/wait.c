/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/wait.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

enum { SPIN = 60000, NAP_LIMIT = 1000000 }; /* nanoseconds */

uint64_t wait_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Until some child changes, for which SIGCHLD stands; others' may have come before. */
static void nap(uint64_t time)
{
	struct timespec limit = { .tv_nsec = (long)(time < NAP_LIMIT ? time : NAP_LIMIT) };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigtimedwait(&set, NULL, &limit);
}

enum wait_outcome wait_for_stop(pid_t tid, uint64_t deadline, int *status)
{
	uint64_t start = wait_now(), now = start;

	for (;; now = wait_now()) {
		pid_t found = waitpid(tid, status, __WALL | WNOHANG);
		if (found == tid)
			return WIFSTOPPED(*status) ? WAIT_STOPPED : WAIT_GONE;
		if (found < 0 && errno != EINTR)
			return WAIT_GONE;
		if (now >= deadline)
			return WAIT_LATE;
		if (now - start > SPIN)
			nap(deadline - now);
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
