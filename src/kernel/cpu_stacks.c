/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/cpu_stacks.h"

#include "kernel/kernel_stack.h"
#include "kernel/percpu.h"

/* Where these are not variables of their own: 6.2 to 6.14 (64701838bf05). */
struct hot {
	uint64_t task, interrupt_stack;
};

static const struct member hot_members[] = {
	MEMBER(struct hot, task, "current_task"),
	MEMBER(struct hot, interrupt_stack, "hardirq_stack_ptr"),
};
static const struct record hot_record = RECORD(struct hot, "pcpu_hot", hot_members);

struct task_stack {
	uint64_t start;
};

static const struct member task_stack_members[] = { MEMBER(struct task_stack, start, "stack") };
static const struct record task_stack_record =
	RECORD(struct task_stack, "task_struct", task_stack_members);

/* Only where they are, and how large. */
struct exception_stacks {
	uint8_t double_fault, nmi, debug, machine_check, communication, communication_again;
};

static const struct member exception_stacks_members[] = {
	MEMBER(struct exception_stacks, double_fault, "DF_stack"),
	MEMBER(struct exception_stacks, nmi, "NMI_stack"),
	OPTIONAL(struct exception_stacks, debug, "DB_stack"),
	MEMBER(struct exception_stacks, machine_check, "MCE_stack"),
	OPTIONAL(struct exception_stacks, communication, "VC_stack"),
	OPTIONAL(struct exception_stacks, communication_again, "VC2_stack"),
};
static const struct record exception_stacks_record =
	RECORD(struct exception_stacks, "cea_exception_stacks", exception_stacks_members);

static enum kioku_status read_variable(struct kioku_kernel *kernel, const char *name, uint32_t cpu,
				       uint64_t *out)
{
	uint64_t address;
	uint8_t raw[8];

	TRY(percpu_address(kernel, name, cpu, &address, NULL));
	TRY(kernel_read(kernel, address, raw, sizeof(raw), NULL));
	*out = load_le64(raw);
	return KIOKU_OK;
}

static enum kioku_status read_hot(struct kioku_kernel *kernel, uint32_t cpu, struct hot *out)
{
	uint64_t address;

	*out = (struct hot){ 0 };
	if (percpu_address(kernel, "pcpu_hot", cpu, &address, NULL) == KIOKU_OK)
		return record_read_at(kernel, &hot_record, address, out);
	if (read_variable(kernel, "hardirq_stack_ptr", cpu, &out->interrupt_stack) != KIOKU_OK)
		(void)read_variable(kernel, "irq_stack_ptr", cpu, &out->interrupt_stack);
	return read_variable(kernel, "current_task", cpu, &out->task);
}

enum kioku_status cpu_task(struct kioku_kernel *kernel, uint32_t cpu, struct task *out)
{
	struct hot hot;

	TRY(read_hot(kernel, cpu, &hot));
	if (!kernel_is_pointer(kernel, hot.task))
		return KIOKU_ERROR_CORRUPT;
	TRY(task_read(kernel, hot.task, out, NULL));
	return task_is_plausible(kernel, out) ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}

/* The pointer is to the end, or (5.13) to the last word. As large as those of tasks: IRQ_STACK_SIZE. */
static void add_interrupt_stack(struct kioku_kernel *kernel, uint64_t pointer, uint64_t size,
				struct stacks *out)
{
	uint64_t end = (pointer + 15) & ~15ull;

	if (kernel_is_pointer(kernel, pointer))
		(void)stacks_add(kernel, out, end - size, end);
}

static void add_exception_stacks(struct kioku_kernel *kernel, uint64_t start, struct stacks *out)
{
	static const size_t members[] = {
		offsetof(struct exception_stacks, double_fault),
		offsetof(struct exception_stacks, nmi),
		offsetof(struct exception_stacks, debug),
		offsetof(struct exception_stacks, machine_check),
		offsetof(struct exception_stacks, communication),
		offsetof(struct exception_stacks, communication_again),
	};
	const struct binding *binding;

	if (record_bind(kernel, &exception_stacks_record, &binding, NULL) != KIOKU_OK)
		return;
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
		const struct bound_member *member = binding_member(binding, members[i]);
		uint64_t at = start + member->offset;
		if (member->size)
			(void)stacks_add(kernel, out, at, at + member->size);
	}
}

enum kioku_status cpu_stacks_read(struct kioku_kernel *kernel, uint32_t cpu,
				  const struct task *task, struct stacks *out)
{
	uint64_t size = kernel_stack_size(kernel), exceptions;
	struct task_stack stack;
	struct hot hot;

	if (size < PAGE_SIZE || size > STACK_PAGES * PAGE_SIZE)
		return KIOKU_ERROR_UNSUPPORTED;
	TRY(record_read_at(kernel, &task_stack_record, task->address, &stack));
	if (!kernel_is_pointer(kernel, stack.start) || stack.start % 8 != 0)
		return KIOKU_ERROR_CORRUPT;
	TRY(stacks_add(kernel, out, stack.start, stack.start + size));
	if (read_hot(kernel, cpu, &hot) == KIOKU_OK)
		add_interrupt_stack(kernel, hot.interrupt_stack, size, out);
	if (read_variable(kernel, "cea_exception_stacks", cpu, &exceptions) == KIOKU_OK &&
	    kernel_is_pointer(kernel, exceptions))
		add_exception_stacks(kernel, exceptions, out);
	return KIOKU_OK;
}
