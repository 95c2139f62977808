/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Per-CPU variables. */
#ifndef KERNEL_PERCPU_H
#define KERNEL_PERCPU_H

#include "kernel/kernel.h"

/* How many CPU numbers there may be (nr_cpu_ids), at least 1; some of them may not exist. */
uint32_t percpu_count(struct kioku_kernel *kernel);

/* Whether a CPU of such a number may exist (__cpu_possible_mask); true also where that is not known. */
bool percpu_is_possible(struct kioku_kernel *kernel, uint32_t cpu);

/* Where a CPU's copy is of what a pointer of the kernel (__percpu) leads to. Errors: UNMAPPED, ABSENT. */
enum kioku_status percpu_pointer(struct kioku_kernel *kernel, uint64_t pointer, uint32_t cpu,
				 uint64_t *out, struct kioku_error *error);

/*
 * Where a CPU's copy of a per-CPU symbol lies: the symbol plus __per_cpu_offset[cpu], both for
 * symbols that start at 0 (x86-64 before v6.15) and for ordinary ones.
 * Errors: NOT_FOUND (no such symbol), UNMAPPED, ABSENT.
 */
enum kioku_status percpu_address(struct kioku_kernel *kernel, const char *symbol, uint32_t cpu,
				 uint64_t *out, struct kioku_error *error);

#endif
