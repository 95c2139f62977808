/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a machine has panicked: kernel/panic.c, 4.18 to 7.0. */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include "kernel/kernel_stack.h"
#include "kernel/printk.h"

/* The CPU that panicked. Errors: NOT_FOUND (none has), UNSUPPORTED, CORRUPT, UNMAPPED, ABSENT. */
enum kioku_status panic_cpu(struct kioku_kernel *kernel, uint32_t *out);

/*
 * What the kernel said of it, a record of the log at a time: from the first report of the last seconds before
 * the panic to the end. Errors: receive's, and those of printk_each().
 */
enum kioku_status panic_each_message(struct kioku_kernel *kernel, printk_fn *receive, void *user,
				     struct kioku_error *error);

/*
 * Where a CPU that stands still was: from its registers where the image has them, else from the call in
 * panic() that lies on its stacks. Errors: NOT_FOUND (neither is there), and those of cpu_stacks_read().
 */
enum kioku_status panic_stack(struct kioku_kernel *kernel, const struct kernel_code *code,
			      uint32_t cpu, const struct task *task, struct kernel_stack *out);

#endif
