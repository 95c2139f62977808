/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Carving task structures out of physical memory, dead and unlinked ones too.
 *
 * Every task holds list heads that are empty nearly always, so that they point at themselves: eight
 * bytes whose only right value is their own address in the direct map. Which ones is learned from
 * the tasks that are listed. A copy of a task elsewhere (a file, a guest, another boot) has other
 * addresses in it and does not match.
 */
#ifndef KERNEL_TASK_SCAN_H
#define KERNEL_TASK_SCAN_H

#include "kernel/task.h"

/* physical is where task lies. Not OK: the scan stops with this status. */
typedef enum kioku_status carved_fn(void *user, const struct task *task, uint64_t physical);

/* Errors: UNSUPPORTED (nothing to learn from), those of the task walk, or receive's. */
enum kioku_status task_scan(struct kioku_kernel *kernel, carved_fn *receive, void *user,
			    struct kioku_error *error);

#endif
