/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walking a red-black tree (struct rb_node) in its order, assuming the worst: no node comes twice, every
 * one must point back at its parent, and damage costs what is below it.
 */
#ifndef KERNEL_RBTREE_H
#define KERNEL_RBTREE_H

#include "base/address_set.h"
#include "kernel/record.h"

/* A tree of 2^62 nodes is not higher: at most twice the logarithm of what it holds. */
#define RB_HEIGHT 128

struct rb_walk {
	struct kioku_kernel *kernel;
	const char *what; /* for diagnostics: "tree of mounts" */
	struct address_set seen;
	uint64_t stack[RB_HEIGHT]; /* nodes whose left side was given, or is being given */
	unsigned depth;
};

/* first is the struct rb_node that the tree's root points at, 0 for an empty tree. */
void rb_begin(struct rb_walk *walk, struct kioku_kernel *kernel, uint64_t first, const char *what);

/* The next node's address, false at the end. */
bool rb_next(struct rb_walk *walk, uint64_t *node);

void rb_end(struct rb_walk *walk);
#define AUTO_RB_WALK CLEANUP(rb_end)

#endif
