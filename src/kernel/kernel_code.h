/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Code of the kernel and of its modules: what a return address belongs to. */
#ifndef KERNEL_KERNEL_CODE_H
#define KERNEL_KERNEL_CODE_H

#include "kernel/module_code.h"
#include "kernel/orc.h"

#define CODE_TEXT 640 /* bytes of "? FUNCTION+0x1a/0x2b [MODULE]", its NUL included */

struct code_range {
	uint64_t start, end; /* both 0: it is not known */
};

static inline bool code_range_has(const struct code_range *range, uint64_t address)
{
	return address >= range->start && address < range->end;
}

struct kernel_code {
	struct code_range image; /* of the kernel as it was linked: code, constants and variables */
	struct code_range text;
	struct code_range
		initial; /* of booting, which is given up; the idle task was called from there */
	struct code_range scheduler[2]; /* functions that are left out of stacks, as /proc does */
	struct orc_table orc;           /* of the kernel image */
	struct modules modules;
};

/* What kernel_code_release() releases. False: no memory. */
bool kernel_code_read(struct kioku_kernel *kernel, struct kernel_code *out);
void kernel_code_release(struct kernel_code *code);

/* Whether an address is in the kernel's code or a module's. */
bool kernel_code_has(const struct kernel_code *code, uint64_t address);

/* Whether it is of the scheduler, or of locks: in_sched_functions(), kernel/sched/core.c. */
bool kernel_code_is_scheduler(const struct kernel_code *code, uint64_t address);

/* The ORC table for an address. False: there is none. */
bool kernel_code_orc(const struct kernel_code *code, uint64_t address, struct orc_table *out);

/* The function around an address; false: its name is not known. */
bool kernel_code_function(struct kioku_kernel *kernel, const struct kernel_code *code,
			  uint64_t address, struct code_name *out);

/*
 * A return address as /proc/PID/stack shows it ("%pB"): FUNCTION+0x1a/0x2b, with the module's name behind
 * it; where no function is known, the address alone. Returns the length.
 */
size_t kernel_code_text(struct kioku_kernel *kernel, const struct kernel_code *code,
			uint64_t address, char out[CODE_TEXT]);

/* The same of any other address of code, such as that of the next instruction ("%pS"). */
size_t kernel_code_place(struct kioku_kernel *kernel, const struct kernel_code *code,
			 uint64_t address, char out[CODE_TEXT]);

#endif
