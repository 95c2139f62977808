/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Timers that processes have: timer_create(2), kernel/time/posix-timers.c, and setitimer(2), itimer.c, 4.18 to 7.2. */
#ifndef KERNEL_PROCESS_TIMER_H
#define KERNEL_PROCESS_TIMER_H

#include "kernel/task.h"

enum process_timer_kind { TIMER_CREATED, TIMER_REAL, TIMER_VIRTUAL, TIMER_PROFILE };

struct process_timer {
	enum process_timer_kind kind;
	int32_t pid; /* of the process */
	char comm[16];
	uint64_t address; /* of the struct k_itimer; of others, of the signal_struct */
	uint64_t hrtimer; /* struct hrtimer that it waits in, if it is set; 0: it counts CPU time */
	uint64_t expires; /* of CPU time, in nanoseconds; 0: not set */
	uint64_t interval; /* nanoseconds; 0: once */
	/* Of those that were created. */
	int32_t id, clock; /* as timer_create() has them; negative clocks count CPU time */
	int32_t signal;
	bool has_signal; /* when it expires, the process is sent one */
};

/* Not OK: the walk stops with this status. */
typedef enum kioku_status process_timer_fn(void *user, const struct process_timer *timer);

/*
 * Every timer of every process, but those of setitimer() that count CPU time and are not set; what is damaged is
 * reported as a gap. Errors: receive's, those of the task walk, UNSUPPORTED.
 */
enum kioku_status process_timer_each(struct kioku_kernel *kernel, process_timer_fn *receive,
				     void *user, struct kioku_error *error);

/* The same of one process, of whose leader all members were read. */
enum kioku_status process_timer_each_of(struct kioku_kernel *kernel, const struct task *leader,
					process_timer_fn *receive, void *user,
					struct kioku_error *error);

#endif
