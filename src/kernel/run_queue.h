/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the scheduler has: struct rq of each CPU, kernel/sched/sched.h, v4.18 to v7.0. */
#ifndef KERNEL_RUN_QUEUE_H
#define KERNEL_RUN_QUEUE_H

#include "kernel/task.h"

/* Not OK: the walk stops with this status. */
typedef enum kioku_status queued_fn(void *user, uint64_t task);

/*
 * The address of each task_struct that a CPU runs, or has in the queues of the fair and of the real-time
 * class. What is damaged is a GAP. Errors: UNSUPPORTED, receive's.
 */
enum kioku_status run_queue_each(struct kioku_kernel *kernel, queued_fn *receive, void *user,
				 struct kioku_error *error);

#endif
