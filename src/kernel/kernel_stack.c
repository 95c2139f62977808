/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/kernel_stack.h"

#include <string.h>

/* Offsets in struct pt_regs, arch/x86/include/asm/ptrace.h, 64 bit: all versions. */
enum {
	REGISTERS_R13 = 16,
	REGISTERS_BP = 32,
	REGISTERS_R10 = 56,
	REGISTERS_DX = 96,
	REGISTERS_DI = 112,
	REGISTERS_IP = 128, /* from here on pushed by the processor */
	REGISTERS_CS = 136,
	REGISTERS_SP = 152,
};

struct sleeper {
	uint64_t stack, sp;
	uint32_t on_cpu;
};

static const struct member sleeper_members[] = {
	MEMBER(struct sleeper, stack, "stack"), MEMBER(struct sleeper, sp, "thread.sp"),
	OPTIONAL(struct sleeper, on_cpu, "on_cpu"), /* CONFIG_SMP */
};
static const struct record sleeper_record = RECORD(struct sleeper, "task_struct", sleeper_members);

/* What __switch_to_asm() leaves on the stack. */
struct frame {
	uint64_t bp, return_address;
};

static const struct member frame_members[] = {
	MEMBER(struct frame, bp, "bp"),
	MEMBER(struct frame, return_address, "ret_addr"),
};
static const struct record frame_record =
	RECORD(struct frame, "inactive_task_frame", frame_members);

/* INIT_TASK_DATA of include/asm-generic/vmlinux.lds.h: the linker placed the first task's stack. */
uint64_t kernel_stack_size(const struct kioku_kernel *kernel)
{
	static const char *const names[][2] = {
		{ "__start_init_stack", "__end_init_stack" }, /* v6.10 */
		{ "__start_init_task", "__end_init_task" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		uint64_t start = kernel_symbol(kernel, names[i][0]);
		uint64_t end = kernel_symbol(kernel, names[i][1]);
		if (start && end > start)
			return end - start;
	}
	return 0;
}

/* --- following it */

struct walk {
	struct kioku_kernel *kernel;
	const struct kernel_code *code;
	struct stacks *stacks;
	struct kernel_stack *out;

	uint64_t ip, sp, bp;
	/* Where those of an interrupted function lie; 0: none, or only a part. */
	uint64_t registers;
	bool is_signal; /* ip was interrupted, and is no return address */
};

enum step { STEP_ON, STEP_END, STEP_LOST };

static enum step lose(struct walk *walk, const char *problem)
{
	walk->out->problem = problem;
	return STEP_LOST;
}

static bool add_frame(struct walk *walk, uint64_t address, bool is_guess)
{
	struct kernel_stack *out = walk->out;

	if (out->count == STACK_FRAMES)
		return false;
	out->frames[out->count++] = (struct stack_frame){
		.address = address,
		.is_guess = is_guess,
		.was_interrupted = !is_guess && walk->is_signal,
		.registers = is_guess ? 0 : walk->registers,
	};
	return true;
}

/* Registers that only entry code finds a stack by: what was interrupted has them. */
static bool register_value(const struct walk *walk, unsigned offset, uint64_t *out)
{
	return walk->registers && stacks_word(walk->stacks, walk->registers + offset, out);
}

/* The caller's stack pointer, by a rule: unwind_next_frame(), arch/x86/kernel/unwind_orc.c. */
static bool find_caller_sp(const struct walk *walk, const struct orc_rule *rule, uint64_t *out)
{
	uint64_t offset = (uint64_t)(int64_t)rule->sp_offset, base;

	switch (rule->sp_register) {
	case ORC_REGISTER_SP: *out = walk->sp + offset; return true;
	case ORC_REGISTER_BP: *out = walk->bp + offset; return true;
	case ORC_REGISTER_BP_INDIRECT: return stacks_word(walk->stacks, walk->bp + offset, out);
	case ORC_REGISTER_SP_INDIRECT:
		if (!stacks_word(walk->stacks, walk->sp, &base))
			return false;
		break;
	case ORC_REGISTER_R10:
		if (!register_value(walk, REGISTERS_R10, &base))
			return false;
		break;
	case ORC_REGISTER_R13:
		if (!register_value(walk, REGISTERS_R13, &base))
			return false;
		break;
	case ORC_REGISTER_DI:
		if (!register_value(walk, REGISTERS_DI, &base))
			return false;
		break;
	case ORC_REGISTER_DX:
		if (!register_value(walk, REGISTERS_DX, &base))
			return false;
		break;
	default: return false;
	}
	*out = rule->sp_register == ORC_REGISTER_SP_INDIRECT ? base + offset : base;
	return true;
}

static bool find_caller_bp(struct walk *walk, const struct orc_rule *rule, uint64_t caller_sp)
{
	uint64_t offset = (uint64_t)(int64_t)rule->bp_offset;

	switch (rule->bp_register) {
	case ORC_REGISTER_UNDEFINED: register_value(walk, REGISTERS_BP, &walk->bp); return true;
	case ORC_REGISTER_PREVIOUS_SP:
		return stacks_word(walk->stacks, caller_sp + offset, &walk->bp);
	case ORC_REGISTER_BP: return stacks_word(walk->stacks, walk->bp + offset, &walk->bp);
	default: return false;
	}
}

/* An interrupted function, or user mode: there the kernel was entered. */
static enum step step_to_registers(struct walk *walk, const struct orc_rule *rule, uint64_t at)
{
	bool is_partial = rule->type == ORC_REGISTERS_PARTIAL;
	uint64_t registers = is_partial ? at - REGISTERS_IP : at;
	uint64_t code_segment;

	if (!stacks_word(walk->stacks, registers + REGISTERS_CS, &code_segment) ||
	    !stacks_word(walk->stacks, registers + REGISTERS_IP, &walk->ip) ||
	    !stacks_word(walk->stacks, registers + REGISTERS_SP, &walk->sp))
		return lose(walk, "saved registers are not on the stack");
	if (code_segment & 3) {
		walk->out->user_registers = is_partial ? 0 : registers;
		return STEP_END;
	}
	walk->registers = is_partial ? 0 : registers;
	walk->is_signal = true;
	return STEP_ON;
}

/* Up its stack, or over to another one, which was interrupted. */
static bool enter_stack(struct walk *walk, uint64_t before)
{
	struct stack_words *from = stacks_at(walk->stacks, before);
	struct stack_words *to = stacks_at(walk->stacks, walk->sp);

	if (!to || from == to)
		return walk->sp > before;
	if (to->is_entered)
		return false;
	to->is_entered = true;
	return true;
}

static enum step step_by_rule(struct walk *walk, const struct orc_rule *rule)
{
	uint64_t before = walk->sp, caller_sp;
	enum step step = STEP_ON;

	if (rule->type == ORC_END)
		return STEP_END;
	if (rule->type == ORC_UNDEFINED || rule->type > ORC_REGISTERS_PARTIAL)
		return lose(walk, "the kernel has no rule for a frame");
	if (!find_caller_sp(walk, rule, &caller_sp))
		return lose(walk, "a frame leads out of the stack");
	if (rule->type == ORC_CALL) {
		if (!stacks_word(walk->stacks, caller_sp - 8, &walk->ip))
			return lose(walk, "a frame leads out of the stack");
		walk->sp = caller_sp;
		walk->is_signal = false;
		walk->registers = 0;
	} else {
		step = step_to_registers(walk, rule, caller_sp);
	}
	if (step != STEP_ON)
		return step;
	if (!find_caller_bp(walk, rule, caller_sp))
		return lose(walk, "the frame pointer is not on the stack");
	return enter_stack(walk, before) ? STEP_ON : lose(walk, "a frame leads back");
}

static enum step step_by_orc(struct walk *walk)
{
	uint64_t instruction = walk->is_signal ? walk->ip : walk->ip - 1;
	struct orc_table table;
	struct orc_rule rule;

	if (!kernel_code_has(walk->code, instruction))
		return lose(walk, "a return address is in no code that is known");
	if (!kernel_code_orc(walk->code, instruction, &table))
		return lose(walk, "there are no ORC tables for a frame");
	if (orc_find(walk->kernel, &table, instruction, &rule) != KIOKU_OK)
		return lose(walk, "the ORC table for a frame is damaged");
	return step_by_rule(walk, &rule);
}

/* bp is where the caller's is, with the return address above; CONFIG_UNWINDER_FRAME_POINTER. */
static enum step step_by_frame_pointer(struct walk *walk)
{
	uint64_t next;

	/* Of the first function of all, or with its lowest bit set the address of registers. */
	if (walk->bp == 0 || walk->bp & 1)
		return STEP_END;
	if (!stacks_word(walk->stacks, walk->bp, &next) ||
	    !stacks_word(walk->stacks, walk->bp + 8, &walk->ip))
		return lose(walk, "a frame leads out of the stack");
	walk->sp = walk->bp + 16;
	if (walk->ip == 0)
		return STEP_END;
	if (next != 0 && next <= walk->bp)
		return lose(walk, "a frame leads back");
	walk->bp = next;
	return kernel_code_has(walk->code, walk->ip - 1)
		       ? STEP_ON
		       : lose(walk, "a return address is in no code that is known");
}

/* Whatever looks like a return address, from where the walk was lost on. */
static void guess(struct walk *walk)
{
	const struct stack_words *words = stacks_at(walk->stacks, walk->sp);
	uint64_t value;

	if (!words)
		return;
	for (uint64_t at = (walk->sp + 7) & ~7ull; at + 8 <= words->end; at += 8)
		if (stacks_word(walk->stacks, at, &value) && kernel_code_has(walk->code, value) &&
		    !add_frame(walk, value, true))
			return;
}

static void guess_rest(struct walk *walk, uint64_t start)
{
	struct kernel_stack *out = walk->out;

	/* A frame that is in no code was none. */
	if (out->count > 0 && !kernel_code_has(walk->code, out->frames[out->count - 1].address))
		out->count--;
	/* Without ORC nothing says whether there are frame pointers: then none of it was sure. */
	if (walk->code->orc.count == 0) {
		out->count = out->count ? 1 : 0;
		walk->sp = start;
	}
	out->sure = out->count;
	guess(walk);
}

static void follow(struct walk *walk)
{
	enum step step = STEP_ON;
	bool has_orc = walk->code->orc.count > 0;
	/* A kernel that has these has no frame pointers, though what they look like may not be known. */
	bool is_blind = !has_orc && kernel_symbol(walk->kernel, "__start_orc_unwind_ip");
	uint64_t start = walk->sp;

	for (size_t i = 0; step == STEP_ON; i++) {
		if (!add_frame(walk, walk->ip, false))
			step = lose(walk, "it is too deep");
		else if (is_blind)
			step = lose(walk, "the form of ORC tables is not known");
		else
			step = has_orc ? step_by_orc(walk) : step_by_frame_pointer(walk);
	}
	walk->out->state = step == STEP_END ? STACK_FOLLOWED : STACK_LOST;
	if (step == STEP_LOST)
		guess_rest(walk, start);
}

/* A thread that has never run starts there, and has not been called. */
static bool is_fork(const struct kioku_kernel *kernel, uint64_t ip)
{
	return ip && (ip == kernel_symbol(kernel, "ret_from_fork_asm") /* v6.6 */ ||
		      ip == kernel_symbol(kernel, "ret_from_fork"));
}

static enum kioku_status begin(struct walk *walk, const struct sleeper *sleeper)
{
	const struct binding *binding;
	struct frame frame;

	TRY(record_bind(walk->kernel, &frame_record, &binding, NULL));
	TRY(record_read(walk->kernel, binding, sleeper->sp, &frame, NULL));
	uint64_t place = BINDING_OFFSET(binding, struct frame, return_address);
	walk->ip = frame.return_address;
	walk->is_signal = is_fork(walk->kernel, walk->ip);
	walk->sp = sleeper->sp + place + 8;
	walk->bp = frame.bp;
	return kernel_code_has(walk->code, walk->ip) ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}

static void begin_output(struct kernel_stack *out)
{
	out->count = out->sure = 0;
	out->problem = NULL;
	out->user_registers = 0;
}

enum kioku_status kernel_stack_read(struct kioku_kernel *kernel, const struct kernel_code *code,
				    const struct task *task, struct kernel_stack *out)
{
	uint64_t size = kernel_stack_size(kernel);
	const struct binding *binding;
	struct sleeper sleeper;

	begin_output(out);
	TRY(record_bind(kernel, &sleeper_record, &binding, NULL));
	TRY(record_read(kernel, binding, task->address, &sleeper, NULL));
	if (sleeper.on_cpu || (task->exit_state && !sleeper.stack)) {
		out->state = sleeper.on_cpu ? STACK_RUNNING : STACK_GONE;
		return KIOKU_OK;
	}
	if (size < PAGE_SIZE || size > STACK_PAGES * PAGE_SIZE)
		return KIOKU_ERROR_UNSUPPORTED;
	if (!kernel_is_pointer(kernel, sleeper.stack) || sleeper.sp % 8 != 0 ||
	    sleeper.sp - sleeper.stack >= size)
		return KIOKU_ERROR_CORRUPT;
	AUTO_STACKS struct stacks stacks = { 0 };
	TRY(stacks_add(kernel, &stacks, sleeper.sp, sleeper.stack + size));
	struct walk walk = { .kernel = kernel, .code = code, .stacks = &stacks, .out = out };
	TRY(begin(&walk, &sleeper));
	follow(&walk);
	return KIOKU_OK;
}

void kernel_stack_follow(struct kioku_kernel *kernel, const struct kernel_code *code,
			 struct stacks *stacks, const struct stack_start *start,
			 struct kernel_stack *out)
{
	struct walk walk = { .kernel = kernel,
			     .code = code,
			     .stacks = stacks,
			     .out = out,
			     .ip = start->ip,
			     .sp = start->sp,
			     .bp = start->bp,
			     .is_signal = start->was_interrupted };

	begin_output(out);
	for (size_t i = 0; i < stacks->count; i++)
		stacks->list[i].is_entered = &stacks->list[i] == stacks_at(stacks, start->sp);
	follow(&walk);
}
