/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registers of floating point and vectors, as the kernel keeps them for a thread (arch/x86/kernel/fpu). */
#ifndef KERNEL_FLOATING_STATE_H
#define KERNEL_FLOATING_STATE_H

#include "format/xstate_format.h"
#include "kernel/task.h"

/*
 * Fills in an area as debuggers expect it, and returns its size: XSTATE_FXSAVE_SIZE where the CPU had no more,
 * or more is not known; 0 if nothing can be read, which debuggers do without. Features that no debugger
 * knows a place for are left out.
 */
size_t floating_state_read(struct kioku_kernel *kernel, const struct task *task,
			   uint8_t out[XSTATE_COMMON_LIMIT]);

#endif
