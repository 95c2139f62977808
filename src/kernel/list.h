/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walking a struct list_head, assuming the worst: damaged and hostile lists end, no node comes
 * twice, and what lies behind the damage is reached from the other end.
 */
#ifndef KERNEL_LIST_H
#define KERNEL_LIST_H

#include "base/address_set.h"
#include "kernel/kernel.h"

struct list_walk {
	struct kioku_kernel *kernel;
	const char *what; /* for diagnostics: "task list" */
	uint64_t head;
	uint64_t at; /* the node given last, or the head */
	bool backwards;
	bool damaged;
	bool doubtful; /* the node given last does not point back to where it was reached from */
	bool ended;
	struct address_set seen;
	size_t repeats; /* nodes met again on the way back */
};

void list_begin(struct list_walk *walk, struct kioku_kernel *kernel, uint64_t head,
		const char *what);

/* The next node's address, false at the end. */
bool list_next(struct list_walk *walk, uint64_t *node);

/* Says that the node given last is no member of this list: the branch ends there. */
void list_reject(struct list_walk *walk, const char *why);

void list_end(struct list_walk *walk);
#define AUTO_LIST_WALK CLEANUP(list_end)

#endif
