/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose memory files are mapped into: a way to processes that none of their lists is needed for. */
#ifndef CHECK_MEMORY_OWNERS_H
#define CHECK_MEMORY_OWNERS_H

#include "kernel/kernel.h"

/* Not OK: the walk stops with this status. */
typedef enum kioku_status memory_owner_fn(void *user, uint64_t task);

/*
 * The address of the task that owns each address space into which a file is mapped, by the trees of mappings that
 * files have (i_mmap of struct address_space) and mm_struct.owner; each space once. None where the kernel does not
 * say who owns one (without CONFIG_MEMCG). Errors: UNSUPPORTED, NO_MEMORY, receive's.
 */
enum kioku_status memory_owners_each(struct kioku_kernel *kernel, memory_owner_fn *receive,
				     void *user, struct kioku_error *error);

#endif
