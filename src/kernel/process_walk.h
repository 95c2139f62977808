/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes that have memory of their own, one after the other. */
#ifndef KERNEL_PROCESS_WALK_H
#define KERNEL_PROCESS_WALK_H

#include "kernel/memory_map.h"

struct process {
	const struct task *task;
	struct memory_map map;
	struct kioku_address_space *space;
};

struct process_walk {
	bool (*wants)(void *user, int32_t pid); /* NULL: all */
	/* Not OK: the walk stops with this status. */
	enum kioku_status (*receive)(void *user, const struct process *process);
	void *user;
};

/*
 * Every process that is wanted; those whose memory cannot be read are reported as a gap, those that have none
 * are left out. Errors: those of the task walk, or receive's.
 */
enum kioku_status process_each(struct kioku_kernel *kernel, const struct process_walk *walk,
			       struct kioku_error *error);

#endif
