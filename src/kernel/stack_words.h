/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words of kernel stacks that one walk may go through: a thread's, and those of interrupts. */
#ifndef KERNEL_STACK_WORDS_H
#define KERNEL_STACK_WORDS_H

#include "kernel/kernel.h"

#define STACK_PAGES 64
#define STACKS      8

struct stack_words {
	uint64_t start, end; /* what is used of the stack */
	uint8_t *data;
	bool present[STACK_PAGES + 1];
	bool is_entered; /* by the walk: it does not come back to one that it left */
};

/* All zero are no stacks. */
struct stacks {
	struct stack_words list[STACKS];
	size_t count;
};

/*
 * Reads one more, at most STACK_PAGES pages; pages that are lost are so noted. Errors: NO_MEMORY, LIMIT (there
 * is no room for it).
 */
enum kioku_status stacks_add(struct kioku_kernel *kernel, struct stacks *stacks, uint64_t start,
			     uint64_t end);
void stacks_release(struct stacks *stacks);
#define AUTO_STACKS CLEANUP(stacks_release)

/* The stack that an address is on, or just above of; NULL: none. */
struct stack_words *stacks_at(struct stacks *stacks, uint64_t address);

/* False: it is on none of them, or lost. */
bool stacks_word(const struct stacks *stacks, uint64_t address, uint64_t *out);

#endif
