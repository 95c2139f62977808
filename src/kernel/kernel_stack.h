/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernel stacks, of threads that sleep or of a CPU: who has called whom. */
#ifndef KERNEL_KERNEL_STACK_H
#define KERNEL_KERNEL_STACK_H

#include "kernel/kernel_code.h"
#include "kernel/stack_words.h"
#include "kernel/task.h"

#define STACK_FRAMES 128

/* Bytes of a kernel stack (THREAD_SIZE); 0: not known. */
uint64_t kernel_stack_size(const struct kioku_kernel *kernel);

struct stack_frame {
	uint64_t address;     /* where the function that was called returns to */
	bool is_guess;        /* it lies on the stack and may be left over from something earlier */
	bool was_interrupted; /* there, so that the address is that of the next instruction */
	uint64_t registers;   /* what was interrupted had these: a struct pt_regs; 0: not known */
};

struct kernel_stack {
	enum stack_state {
		STACK_FOLLOWED, /* down to where the thread entered the kernel, or was started */
		STACK_LOST,     /* from some frame on it was not; what follows that is guessed */
		STACK_RUNNING,  /* it was on a CPU, which knows; frames are none */
		STACK_GONE,     /* it has exited; frames are none */
	} state;
	const char *problem;                     /* of STACK_LOST; static */
	struct stack_frame frames[STACK_FRAMES]; /* the innermost first, the scheduler's too */
	size_t count;
	size_t sure;             /* of these, the first ones are no guesses */
	uint64_t user_registers; /* the struct pt_regs with which it was entered; 0: not known */
};

/*
 * Follows the stack by ORC; without it by frame pointers. Errors: UNSUPPORTED (types or symbols are
 * missing), CORRUPT (what the task says of its stack contradicts itself), UNMAPPED, ABSENT.
 */
enum kioku_status kernel_stack_read(struct kioku_kernel *kernel, const struct kernel_code *code,
				    const struct task *task, struct kernel_stack *out);

struct stack_start {
	uint64_t ip, sp, bp;  /* bp 0: not known */
	bool was_interrupted; /* ip is the next instruction, and no return address */
};

/* The same from a place on one of some stacks, through all of them; the state is FOLLOWED or LOST. */
void kernel_stack_follow(struct kioku_kernel *kernel, const struct kernel_code *code,
			 struct stacks *stacks, const struct stack_start *start,
			 struct kernel_stack *out);

#endif
