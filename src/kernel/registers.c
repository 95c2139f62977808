/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/registers.h"

#include <string.h>

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
	uint64_t fpstate; /* struct fpstate, a pointer since v5.16 */
	uint32_t old_fpu; /* whether there is one counts, not what it says */
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
	OPTIONAL(struct thread, fpstate, "thread.fpu.fpstate"),
	OPTIONAL(struct thread, old_fpu, "thread.fpu.last_cpu"), /* until v6.16 */
};
static const struct record thread_record = RECORD(struct thread, "task_struct", thread_members);

/* Where an fpstate has its registers; before v5.16 the task has them itself. */
struct area {
	uint8_t bytes[512];
};

static const struct member state_members[] = { MEMBER(struct area, bytes, "regs.__padding") };
static const struct record state_record = RECORD(struct area, "fpstate", state_members);
static const struct member inner_members[] = {
	MEMBER(struct area, bytes, "thread.fpu.state.__padding"),
};
static const struct record inner_record = RECORD(struct area, "task_struct", inner_members);

/* Since v6.16 the struct fpu follows the task (x86_task_fpu()). */
struct fpu {
	uint64_t fpstate;
};

static const struct member fpu_members[] = { MEMBER(struct fpu, fpstate, "fpstate") };
static const struct record fpu_record = RECORD(struct fpu, "fpu", fpu_members);

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

/* The struct fpstate of a thread; 0: it has none of its own. */
static uint64_t find_fpstate(struct kioku_kernel *kernel, const struct task *task,
			     const struct binding *binding, const struct thread *thread)
{
	const struct binding *fpu_binding;
	struct fpu fpu;
	uint32_t type;

	if (BINDING_HAS(binding, struct thread, old_fpu))
		return thread->fpstate;
	if (record_bind(kernel, &fpu_record, &fpu_binding, NULL) != KIOKU_OK ||
	    kioku_types_find(kernel->types, "struct task_struct", &type, NULL) != KIOKU_OK)
		return 0;
	uint64_t address = task->address + kioku_type_size(kernel->types, type);
	return record_read(kernel, fpu_binding, address, &fpu, NULL) == KIOKU_OK ? fpu.fpstate : 0;
}

/* Best effort: debuggers do without. */
static void read_floating(struct kioku_kernel *kernel, const struct task *task, uint64_t fpstate,
			  struct registers *out)
{
	bool apart = kernel_is_pointer(kernel, fpstate);
	const struct record *record = apart ? &state_record : &inner_record;
	const struct binding *binding;
	struct area area;

	if (record_bind(kernel, record, &binding, NULL) != KIOKU_OK ||
	    record_read(kernel, binding, apart ? fpstate : task->address, &area, NULL) != KIOKU_OK)
		return;
	memcpy(out->floating, area.bytes, sizeof(out->floating));
	out->has_floating = true;
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
	read_floating(kernel, task, find_fpstate(kernel, task, binding, &thread), out);
	return KIOKU_OK;
}
