/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting for a traced thread: by asking for some microseconds, as waking up takes longer than most
 * stops, then asleep. Who has stopped then has left the CPU as well, so that what it is asked next is
 * answered at once. SIGCHLD must be blocked.
 */
#ifndef SNAPSHOT_WAIT_H
#define SNAPSHOT_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

enum wait_outcome {
	WAIT_STOPPED, /* *status says how */
	WAIT_GONE,    /* it has ended, or is not ours */
	WAIT_LATE,
};

/* CLOCK_MONOTONIC, nanoseconds. */
uint64_t wait_now(void);

/* deadline: of wait_now(). */
enum wait_outcome wait_for_stop(pid_t tid, uint64_t deadline, int *status);

/*
 * Lets a stopped thread go on by a ptrace request, with a signal or 0, until its next stop; *status: how it is
 * stopped. Errors: NOT_FOUND (it was killed), LIMIT (the deadline), OS.
 */
enum kioku_status wait_go_on(int request, pid_t tid, int signal, uint64_t deadline, int *status,
			     struct kioku_error *error);

/* How a thread is stopped, of waitpid()'s status. */
bool wait_is_call_stop(int status);  /* at the entry or exit of a system call */
bool wait_is_event_stop(int status); /* PTRACE_INTERRUPT, a group stop, or a new thread */

#endif
