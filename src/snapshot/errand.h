/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One system call in a target that runs: one thread is stopped for it, the others go on. */
#ifndef SNAPSHOT_ERRAND_H
#define SNAPSHOT_ERRAND_H

#include "snapshot/injection.h"
#include "snapshot/process.h"
#include "snapshot/site.h"

struct errand {
	const struct process *process; /* borrowed */
	const struct site *site;
	pid_t tid;     /* in which the last call was made; 0: none was */
	uint64_t stop; /* nanoseconds: the longest for which a thread was stopped */
};

/*
 * Makes a call; *result is what it returned, -errno included. tid: in that thread, or whichever can if
 * it cannot; 0: in one that is waiting. Errors: UNSUPPORTED (none can), NOT_FOUND, LIMIT, OS, REFUSED.
 */
enum kioku_status errand_call(struct errand *errand, pid_t tid, long number,
			      const uint64_t arguments[6], int64_t *result,
			      struct kioku_error *error);

/*
 * Touches what a stop needs of our stack. The first touch of a page after a fork is a fault, which costs
 * up to 20 us in a virtual machine; of memory, memset() does it.
 */
void errand_touch_stack(void);

/* Nobody runs before us while something is stopped. Without the right to that, it takes longer. */
void errand_hurry(bool on);

#endif
