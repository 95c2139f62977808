/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The PID tables: the struct idr of each struct pid_namespace, kernel/pid.c, v4.15 to v7.0. */
#ifndef KERNEL_PID_TABLE_H
#define KERNEL_PID_TABLE_H

#include "kernel/task.h"

/*
 * The address of a task_struct that a struct pid of a table leads to: is_own, by its own number, else as a
 * member of the process group or session of that number. Not OK: the walk stops with this status.
 */
typedef enum kioku_status pid_task_fn(void *user, uint64_t task, bool is_own);

/*
 * All of them, of the initial namespace and of those that its numbers lead to; a task comes once for each way.
 * What is damaged is a GAP. Errors: UNSUPPORTED (no such tables), receive's.
 */
enum kioku_status pid_table_each(struct kioku_kernel *kernel, pid_task_fn *receive, void *user,
				 struct kioku_error *error);

#endif
