/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process that is stopped, all of its threads, by ptrace(2), without signals: attached to while it
 * runs (PTRACE_SEIZE, Linux 3.4), stopped, read, let go. Every call is for one thread of ours, which
 * is the tracer, and has SIGCHLD blocked.
 */
#ifndef SNAPSHOT_TRACEE_H
#define SNAPSHOT_TRACEE_H

#include <stddef.h>

#include "snapshot/process_files.h"
#include "snapshot/thread_record.h"

struct tracee_thread {
	pid_t tid;
	bool is_stopped;
	bool was_interrupted;
	bool is_changed;              /* its registers have been set already */
	bool is_addressed;            /* task_is_addressed() */
	struct thread_record *record; /* NULL: not read */
};

struct tracee {
	pid_t pid;
	int folder; /* of /proc/PID; borrowed */
	long options;
	pid_t only;              /* the one thread that matters; 0: all */
	struct number_list tids; /* that were listed last */
	struct tracee_thread *threads;
	size_t count, capacity;
	/*
	 * Threads of the kernel's (thread_is_of_kernel()), which are left alone: what they do for the process
	 * would end with an error that it does not expect. Like a device, they may write to its memory meanwhile,
	 * where it waits for that.
	 */
	pid_t *others;
	size_t other_count;
	uint64_t stopped_at,
		resumed_at; /* wait_now(): the first thread stopped, the last went on */
};

/*
 * has_seccomp: it has filters, which are suspended while we are attached, for what is injected.
 * capacity: threads at most. tracee_release() in any case. Errors: NO_MEMORY.
 */
enum kioku_status tracee_init(struct tracee *tracee, pid_t pid, int folder, bool has_seccomp,
			      size_t capacity, struct kioku_error *error);

/*
 * Attaches to all threads, or the only one, which go on running. Errors: REFUSED (no permission, or traced
 * by another), NOT_FOUND (it has ended), LIMIT (more threads than expected), OS.
 */
enum kioku_status tracee_seize(struct tracee *tracee, struct kioku_error *error);

/*
 * Stops all threads, also those that were started meanwhile. One that sleeps in the kernel where
 * nothing can interrupt it is not waited for beyond the deadline: it cannot come back to its code
 * before it stops. Errors: as tracee_seize().
 */
enum kioku_status tracee_stop(struct tracee *tracee, uint64_t deadline, struct kioku_error *error);

/* Whether none of them runs, in the kernel or out of it. */
bool tracee_is_stopped(const struct tracee *tracee);

/*
 * Reads the registers of all threads into records, at least as many as there are threads.
 * Errors: OS, UNSUPPORTED.
 */
enum kioku_status tracee_read(struct tracee *tracee, struct thread_record *records,
			      struct kioku_error *error);

/*
 * Lets all threads go on, in an order in which signals that the process ignores end no call. Those that
 * could not stop are still attached then: see tracee_settle().
 */
void tracee_resume(struct tracee *tracee);

/* Lets threads go on that have stopped since; false while there are others. */
bool tracee_settle(struct tracee *tracee);

void tracee_release(struct tracee *tracee);

#endif
