/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walking a struct list_head, assuming the worst: damaged and hostile lists end, no node comes
 * twice, and what lies behind the damage is reached from the other end.
 */
#ifndef KERNEL_LIST_H
#define KERNEL_LIST_H

#include "base/address_set.h"
#include "kernel/kernel.h"

/*
 * What a walk of a machine that runs needs to know of its nodes: a node that it stands on may leave the
 * list meanwhile, and what lies at its address then may be another one.
 */
struct list_nodes {
	/* Brings in a node's links, and whatever of it will be read next. */
	void (*fetch)(struct kioku_kernel *kernel, void *user, uint64_t node);
	/* Something that another node at the same address does not have. */
	uint64_t (*identity)(struct kioku_kernel *kernel, void *user, uint64_t node);
	void *user;
};

struct list_visit {
	uint64_t node, identity;
};

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

	const struct list_nodes *nodes; /* NULL: nothing changes */
	struct list_visit *path; /* all nodes that were given, in order, and have not left since */
	size_t path_count, path_capacity;
	size_t given;     /* index in path of the node that was given last */
	unsigned retries; /* since then */
	bool has_left;    /* the node that was given before this one is no more in the list */
};

void list_begin(struct list_walk *walk, struct kioku_kernel *kernel, uint64_t head,
		const char *what);

/*
 * Says that the list may change while it is walked. A step is taken only from a node that is in the
 * list at that moment, and checked where it arrives; a node that has left is gone back from.
 */
void list_watch(struct list_walk *walk, const struct list_nodes *nodes);

/* The next node's address, false at the end. */
bool list_next(struct list_walk *walk, uint64_t *node);

/* Says that the node given last is no member of this list: the branch ends there. */
void list_reject(struct list_walk *walk, const char *why);

void list_end(struct list_walk *walk);
#define AUTO_LIST_WALK CLEANUP(list_end)

#endif
