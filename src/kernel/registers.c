/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/registers.h"

#include <string.h>

#include "kernel/floating_state.h"
#include "kernel/kernel_stack.h"
#include "kernel/record.h"

enum {
	SAVED = 21, /* members of struct pt_regs: the first of user_regs_struct, in its order */
	FS_BASE = 21,
	GS_BASE = 22,
	DS = 23, /* ds, es, fs, gs */
};

/* arch/x86/include/asm/segment.h: GDT entries of user mode, and those of 32-bit programs. */
static const uint64_t user_code = 0x33, user_code32 = 0x23, user_stack = 0x2b;

struct thread {
	uint64_t stack;
	uint64_t fs_base, gs_base;
	uint16_t ds, es, fs_index, gs_index;
	uint32_t on_cpu;
};

static const struct member thread_members[] = {
	MEMBER(struct thread, stack, "stack"),
	MEMBER(struct thread, fs_base, "thread.fsbase"),
	MEMBER(struct thread, gs_base, "thread.gsbase"),
	MEMBER(struct thread, ds, "thread.ds"),
	MEMBER(struct thread, es, "thread.es"),
	MEMBER(struct thread, fs_index, "thread.fsindex"),
	MEMBER(struct thread, gs_index, "thread.gsindex"),
	OPTIONAL(struct thread, on_cpu, "on_cpu"), /* CONFIG_SMP */
};
static const struct record thread_record = RECORD(struct thread, "task_struct", thread_members);

static bool is_user_mode(const uint64_t *values)
{
	uint64_t code = values[REGISTER_CS] & 0xffff, stack = values[REGISTER_SS] & 0xffff;

	return (code == user_code || code == user_code32) && stack == user_stack &&
	       values[REGISTER_RIP] >> 63 == 0 && values[REGISTER_FLAGS] & 2 /* always set */;
}

/* At the top of the stack, or with FRED (v6.9) below what that keeps there: TOP_OF_KERNEL_STACK_PADDING. */
static enum kioku_status read_saved(struct kioku_kernel *kernel, uint64_t stack, uint64_t *values,
				    struct kioku_error *error)
{
	static const uint64_t paddings[] = { 0, 16 };
	uint64_t size = kernel_stack_size(kernel);

	if (size < PAGE_SIZE || size > 64 * PAGE_SIZE)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "the size of kernel stacks is not known");
	for (size_t i = 0; i < sizeof(paddings) / sizeof(*paddings); i++) {
		uint8_t raw[SAVED * 8];
		TRY(kernel_read(kernel, stack + size - paddings[i] - sizeof(raw), raw, sizeof(raw),
				error));
		for (size_t j = 0; j < SAVED; j++)
			values[j] = load_le64(raw + 8 * j);
		if (is_user_mode(values))
			return KIOKU_OK;
	}
	return error_at(error, KIOKU_ERROR_CORRUPT, stack,
			"its kernel stack has no registers of user mode");
}

enum kioku_status registers_read(struct kioku_kernel *kernel, const struct task *task,
				 struct registers *out, struct kioku_error *error)
{
	const struct binding *binding;
	struct thread thread;

	*out = (struct registers){ 0 };
	TRY(record_bind(kernel, &thread_record, &binding, error));
	TRY(record_read(kernel, binding, task->address, &thread, error));
	if (!kernel_is_pointer(kernel, thread.stack))
		return error_set(error, KIOKU_ERROR_CORRUPT, "it has no kernel stack");
	TRY(read_saved(kernel, thread.stack, out->values, error));
	out->values[FS_BASE] = thread.fs_base;
	out->values[GS_BASE] = thread.gs_base;
	out->values[DS] = thread.ds;
	out->values[DS + 1] = thread.es;
	out->values[DS + 2] = thread.fs_index;
	out->values[DS + 3] = thread.gs_index;
	out->is_running = thread.on_cpu != 0;
	out->xstate_size = floating_state_read(kernel, task, out->xstate);
	return KIOKU_OK;
}
