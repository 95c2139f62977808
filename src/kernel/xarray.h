/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walking a struct xarray (lib/xarray.c, v4.20), or the radix_tree_root that it replaced: page caches, IDRs.
 * Nodes are checked against where they were reached from; damage ends a branch with a GAP diagnostic.
 */
#ifndef KERNEL_XARRAY_H
#define KERNEL_XARRAY_H

#include "kernel/kernel.h"

struct xarray_entry {
	uint64_t index; /* of the first slot that it has */
	uint64_t count; /* slots, a power of two: more than one of a large folio */
	bool is_value;  /* an integer and no pointer: a swap slot, or a shadow of a page */
	uint64_t value; /* the pointer, or the integer */
	bool is_lost;   /* of xarray_each_or_lost() only */
};

/* Not OK: the walk stops with this status. */
typedef enum kioku_status xarray_fn(void *user, const struct xarray_entry *entry);

/*
 * Every entry that has a slot in [first, last], in ascending order. what names it in diagnostics:
 * "page cache of inode 12".
 * Errors: UNSUPPORTED (types), ABSENT or UNMAPPED (the xarray itself), NO_MEMORY, or receive's.
 */
enum kioku_status xarray_each(struct kioku_kernel *kernel, uint64_t xarray, uint64_t first,
			      uint64_t last, const char *what, xarray_fn *receive, void *user,
			      struct kioku_error *error);

/*
 * The same, where it matters that an empty slot is really empty: slots that damage hides are given, too,
 * as an entry that is_lost. These may overlap others, and come in any order.
 */
enum kioku_status xarray_each_or_lost(struct kioku_kernel *kernel, uint64_t xarray, uint64_t first,
				      uint64_t last, const char *what, xarray_fn *receive,
				      void *user, struct kioku_error *error);

/* The entry that has a slot. Errors: NOT_FOUND (it is empty), CORRUPT, and as above. */
enum kioku_status xarray_find(struct kioku_kernel *kernel, uint64_t xarray, uint64_t index,
			      struct xarray_entry *out, struct kioku_error *error);

/* Of one that is part of another struct: the offset in it of what points at its nodes, in bytes. Errors: UNSUPPORTED. */
enum kioku_status xarray_head_offset(struct kioku_kernel *kernel, uint64_t *out,
				     struct kioku_error *error);

#endif
