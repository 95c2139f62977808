/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where compressed pages lie in memory: the allocators zsmalloc (mm/zsmalloc.c, v4.18 to v7.0), zbud and
 * z3fold (mm/zbud.c, mm/z3fold.c, until v6.14), whose handles zswap and zram keep.
 */
#ifndef KERNEL_ZPOOL_H
#define KERNEL_ZPOOL_H

#include "kernel/kernel.h"

/*
 * Reads the start of what a handle of a struct zs_pool stands for. Errors: CORRUPT (handle and object do not
 * lead to each other, or it is smaller than size), UNSUPPORTED (types), ABSENT, UNMAPPED.
 */
enum kioku_status zsmalloc_read(struct kioku_kernel *kernel, uint64_t pool, uint64_t handle,
				void *out, size_t size, struct kioku_error *error);

/* The same for a handle of a struct zpool, which is one of the three. */
enum kioku_status zpool_read(struct kioku_kernel *kernel, uint64_t zpool, uint64_t handle,
			     void *out, size_t size, struct kioku_error *error);

#endif
