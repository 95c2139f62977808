/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registers of user mode, as the kernel has saved them when a thread last entered it. */
#ifndef KERNEL_REGISTERS_H
#define KERNEL_REGISTERS_H

#include "format/xstate_format.h"
#include "kernel/task.h"

#define REGISTER_COUNT 27

/* struct user_regs_struct of x86-64 (arch/x86/include/asm/user_64.h): the order of NT_PRSTATUS. */
struct registers {
	uint64_t values[REGISTER_COUNT];
	/* NT_X86_XSTATE, of which the first XSTATE_FXSAVE_SIZE bytes are NT_PRFPREG, too. */
	uint8_t xstate[XSTATE_COMMON_LIMIT];
	size_t xstate_size; /* bytes; XSTATE_FXSAVE_SIZE: no more than that is known; 0: nothing is */
	/* It was on a CPU, in user mode perhaps: these are of when it entered the kernel before. */
	bool is_running;
};

/* Where in values. */
enum register_index { REGISTER_RIP = 16, REGISTER_CS, REGISTER_FLAGS, REGISTER_RSP, REGISTER_SS };

/*
 * Errors: CORRUPT (what lies there cannot be registers of user mode), UNSUPPORTED (types are missing),
 * UNMAPPED, ABSENT.
 */
enum kioku_status registers_read(struct kioku_kernel *kernel, const struct task *task,
				 struct registers *out, struct kioku_error *error);

#endif
