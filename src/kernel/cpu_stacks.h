/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a CPU runs, and the stacks that it may be on: arch/x86/include/asm/processor.h, 5.1 to 7.0. */
#ifndef KERNEL_CPU_STACKS_H
#define KERNEL_CPU_STACKS_H

#include "kernel/stack_words.h"
#include "kernel/task.h"

/* The task that a CPU runs. Errors: UNSUPPORTED, CORRUPT (what is there is no task), UNMAPPED, ABSENT. */
enum kioku_status cpu_task(struct kioku_kernel *kernel, uint32_t cpu, struct task *out);

/*
 * The stack of a CPU's task, and those that interrupts and exceptions take it to as far as this kernel has
 * them. Errors: UNSUPPORTED, CORRUPT (the task has no stack), NO_MEMORY, UNMAPPED, ABSENT.
 */
enum kioku_status cpu_stacks_read(struct kioku_kernel *kernel, uint32_t cpu,
				  const struct task *task, struct stacks *out);

#endif
