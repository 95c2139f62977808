/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The soft-dirty bits of a process: whether there are any, whose they are, how long it takes to look at all. */
#ifndef SNAPSHOT_SOFT_DIRTY_BITS_H
#define SNAPSHOT_SOFT_DIRTY_BITS_H

#include "snapshot/process.h"

/* Whether this kernel has such bits, and tells us of frames: tried in a process of our own. */
bool soft_dirty_works(void);

/*
 * Whether the bits of some of these mappings, with flags, have been cleared: by whom is not known. Stacks do not say,
 * which begin without (setup_arg_pages(), fs/exec.c).
 */
bool soft_dirty_is_cleared(const struct mapping_list *mappings);

/*
 * How long it takes to look at all of a process's pages once, nanoseconds; no longer is looked at them than until
 * that is more than a limit. Errors: OS, NOT_FOUND (it has ended).
 */
enum kioku_status soft_dirty_measure(const struct process *process,
				     const struct mapping_list *mappings, uint64_t limit,
				     uint64_t *out, struct kioku_error *error);

/* Opens a process's clear_refs; -1 with errno. */
int soft_dirty_open_bits(const struct process *process);

/* Clears all of them. False, with errno: they are as they were. */
bool soft_dirty_clear_bits(int clear_refs);

#endif
