/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walking a struct maple_tree (lib/maple_tree.c, v6.1): ranges of indexes that do not overlap, as
 * mappings of a process since v6.1. Nodes are checked against where they were reached from; damage ends
 * a branch with a GAP diagnostic.
 */
#ifndef KERNEL_MAPLE_H
#define KERNEL_MAPLE_H

#include "kernel/kernel.h"

/* Whether this kernel has such trees. */
bool maple_is_known(struct kioku_kernel *kernel);

/* Of a tree that is part of another struct: the offset of its ma_root in it, in bytes. */
uint64_t maple_root_offset(struct kioku_kernel *kernel);

/* [first, last] has this pointer. Not OK: the walk stops with this status. */
typedef enum kioku_status maple_fn(void *user, uint64_t first, uint64_t last, uint64_t pointer);

/*
 * Every range that has a pointer, in ascending order. what names the tree in diagnostics.
 * Errors: UNSUPPORTED (types), ABSENT or UNMAPPED (the tree itself), NO_MEMORY, or receive's.
 */
enum kioku_status maple_each(struct kioku_kernel *kernel, uint64_t tree, const char *what,
			     maple_fn *receive, void *user, struct kioku_error *error);

#endif
