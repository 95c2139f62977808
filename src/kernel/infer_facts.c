/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tasks say of themselves: flags, states, ids in struct pid, times, stacks. */
#include <string.h>

#include "kernel/infer.h"
#include "kernel/task.h"

enum {
	PID_ROOM = 512,
};

static bool is_kernel_thread(const struct inference *inference, size_t row)
{
	return sample_u64(&inference->tasks, row, inference->mm) == 0;
}

static const char *name_of(const struct inference *inference, size_t row)
{
	const struct samples *tasks = &inference->tasks;

	return (const char *)(tasks->data + row * tasks->width + inference->comm);
}

static bool is_worker(const struct inference *inference, size_t row)
{
	return is_kernel_thread(inference, row) &&
	       strncmp(name_of(inference, row), "kworker/", 8) == 0;
}

/* --- flags, include/linux/sched.h, v4.9 to v7.0 */

static const uint32_t worker_flag = 0x20, exiting_flag = 4;

/* PF_KTHREAD where there is no memory, PF_WQ_WORKER in workers: processes that exit have none, either. */
static bool are_flags(const struct samples *tasks, size_t column, void *user)
{
	const struct inference *inference = user;
	size_t workers = 0;

	for (size_t row = 0; row < tasks->count; row++) {
		uint32_t flags = sample_u32(tasks, row, column);
		bool is_thread = flags & PF_KTHREAD;
		if (is_thread != is_kernel_thread(inference, row) &&
		    (is_thread || !(flags & exiting_flag)))
			return false;
		if (is_worker(inference, row) && !(flags & worker_flag))
			return false;
		if (!is_thread && flags & worker_flag)
			return false;
		workers += is_worker(inference, row);
	}
	return workers > 0;
}

/* --- states: workers that have nothing to do are in one of their own since v4.14 */

static bool is_state(const struct samples *tasks, size_t column, void *user)
{
	const struct inference *inference = user;
	const uint32_t known = 0xffff, idle = 0x402, sleeping = 1, uninterruptible = 2;
	size_t sleepers = 0, idlers = 0;

	if (sample_u32(tasks, 0, column) != 0)
		return false;
	for (size_t row = 0; row < tasks->count; row++) {
		uint32_t state = sample_u32(tasks, row, column);
		if (state & ~known)
			return false;
		if (is_worker(inference, row) && state != 0 && state != idle && state != sleeping &&
		    state != uninterruptible)
			return false;
		sleepers += state == idle || (state & 0xff) == sleeping;
		idlers += is_worker(inference, row) && state == idle;
	}
	return sleepers * 2 > tasks->count && idlers > 0;
}

/*
 * exit_state, exit_code, exit_signal and pdeath_signal have followed each other in all kernels. exit_signal is
 * SIGCHLD of processes (0 of the first ones, and of others that clone(2) was asked so), -1 of other threads.
 */
enum { EXIT_STATE = 0, EXIT_CODE = 4, EXIT_SIGNAL = 8, DEATH_SIGNAL = 12, EXIT_MEMBERS = 16 };

static bool are_exit_members(const struct samples *tasks, size_t column, void *user)
{
	const struct inference *inference = user;
	const uint32_t zombie = 0x20, dead = 0x10, child = 17, signals = 64;
	size_t children = 0, processes = 0;

	if (column + EXIT_MEMBERS > tasks->width)
		return false;
	for (size_t row = 0; row < tasks->count; row++) {
		uint32_t exit_signal = sample_u32(tasks, row, column + EXIT_SIGNAL);
		uint32_t state = sample_u32(tasks, row, column + EXIT_STATE);
		uint32_t code = sample_u32(tasks, row, column + EXIT_CODE);
		if (state & ~(zombie | dead) || (!state && code) || code > 0xffff ||
		    sample_u32(tasks, row, column + DEATH_SIGNAL) > signals)
			return false;
		if (infer_is_leader(inference, row) ? exit_signal > signals
						    : exit_signal != UINT32_MAX)
			return false;
		children += exit_signal == child;
		processes += infer_is_leader(inference, row);
	}
	return children * 4 > processes * 3;
}

static void find_states(struct inference *inference)
{
	const struct samples *tasks = &inference->tasks;
	size_t column;

	if (samples_only_column(tasks, 4, are_flags, inference, &column))
		infer_member(inference, "task_struct", "flags", column, "unsigned int",
			     "PF_KTHREAD where there is no memory, PF_WQ_WORKER in workers");
	if (samples_only_column(tasks, 4, is_state, inference, &column))
		infer_member(inference, "task_struct", "__state", column, "unsigned int",
			     "a state in every task, 0 in the idle one");
	if (infer_is_ordered(inference) &&
	    samples_only_column(tasks, 4, are_exit_members, inference, &column)) {
		infer_member(inference, "task_struct", "exit_signal", column + EXIT_SIGNAL, "int",
			     "SIGCHLD of processes, -1 of other threads");
		infer_member(inference, "task_struct", "exit_state", column + EXIT_STATE, "int",
			     "declared before what SIGCHLD proves");
		infer_member(inference, "task_struct", "exit_code", column + EXIT_CODE, "int",
			     "declared before what SIGCHLD proves");
	}
}

/* --- struct pid */

/* The number of the initial namespace, in the same place of all. */
static bool is_number(const struct samples *pids, size_t column, void *user)
{
	const struct inference *inference = user;
	uint64_t initial = kernel_symbol(inference->kernel, "init_pid_ns");

	if (column % 8 || column + 16 > pids->width)
		return false;
	for (size_t row = 0; row < pids->count; row++) {
		if (sample_u32(pids, row, column) !=
		    sample_u32(&inference->tasks, row, inference->pid))
			return false;
		uint64_t namespace = sample_u64(pids, row, column + 8);
		if (initial ? namespace != initial
			    : !image_contains(&inference->kernel->image, namespace) ||
				      namespace != sample_u64(pids, 0, column + 8))
			return false;
	}
	return true;
}

static void find_pid(struct inference *inference)
{
	const struct samples *tasks = &inference->tasks;
	size_t pointers = 0, pointer = 0, number = 0;

	for (size_t column = 0; column + 8 <= tasks->width; column += 8) {
		AUTO_SAMPLES struct samples pids = { .width = PID_ROOM };
		size_t found;
		if (!infer_follow(inference, tasks, tasks->count, column, 0, &pids) ||
		    !samples_only_column(&pids, 8, is_number, inference, &found))
			continue;
		pointers++;
		pointer = column;
		number = found;
	}
	if (pointers != 1)
		return;
	infer_member(inference, "task_struct", "thread_pid", pointer, "void *",
		     "leads to the task's number and the initial namespace");
	infer_array(inference, "pid", "numbers", number, "char", 16,
		    "the task's number and the initial namespace");
	infer_member(inference, "pid", "level", 4, "unsigned int",
		     "declared after the number of references, which begins a struct pid");
}

/* --- times */

/*
 * start_time and the same by the clock that counts on in a suspended machine follow each other: nobody is
 * older than his parent, and whoever has a higher number began later, but for where numbers began anew.
 */
struct time_search {
	struct inference *inference;
	size_t parent;
};

static bool is_start_time(const struct samples *tasks, size_t column, void *user)
{
	const struct time_search *search = user;
	struct inference *inference = search->inference;
	const uint64_t century = UINT64_C(3200000000) * 1000000000;
	size_t ordered = 0, compared = 0, moments = 0;

	/* Two numbers that ascend. */
	if (column + 8 > inference->pid && column < inference->pid + 8)
		return false;
	for (size_t row = 0; row < tasks->count; row++) {
		uint64_t start = sample_u64(tasks, row, column);
		uint64_t parent;
		if (start > century || (row == 0 && start > 1000000000) ||
		    (row > 0 &&
		     (!infer_read(inference, sample_u64(tasks, row, search->parent) + column,
				  &parent) ||
		      parent > start)))
			return false;
		if (row < 2 || row >= inference->process_count)
			continue;
		uint64_t before = sample_u64(tasks, row - 1, column);
		compared++;
		moments += start != before;
		ordered += (sample_u32(tasks, row, inference->pid) >
			    sample_u32(tasks, row - 1, inference->pid)) == (start >= before);
	}
	return ordered * 20 >= compared * 19 && moments * 4 > compared;
}

/* The second clock is never behind the first. */
static bool are_start_times(const struct samples *tasks, size_t column, void *user)
{
	if (!is_start_time(tasks, column, user) || column + 16 > tasks->width ||
	    !is_start_time(tasks, column + 8, user))
		return false;
	for (size_t row = 0; row < tasks->count; row++)
		if (sample_u64(tasks, row, column + 8) < sample_u64(tasks, row, column))
			return false;
	return true;
}

static void find_times(struct inference *inference)
{
	struct time_search search = { inference,
				      infer_column(inference, "task_struct", "real_parent") };
	size_t column;

	if (!infer_is_ordered(inference) || inference->pid == NO_COLUMN ||
	    !samples_only_column(&inference->tasks, 8, are_start_times, &search, &column))
		return;
	infer_member(inference, "task_struct", "start_time", column, "unsigned long",
		     "nobody is older than his parent");
	infer_member(inference, "task_struct", "start_boottime", column + 8, "unsigned long",
		     "nobody is older than his parent, by two clocks");
}

/* --- stacks */

/* STACK_END_MAGIC, include/uapi/linux/magic.h: the end of every task's stack has it since v3.18. */
static bool is_stack(const struct samples *tasks, size_t column, void *user)
{
	struct inference *inference = user;
	const uint32_t magic = 0x57ac6e9d;
	size_t none = 0; /* of those that have ended */
	uint64_t word;

	for (size_t row = 0; row < tasks->count; row++) {
		uint64_t stack = sample_u64(tasks, row, column);
		if (row > 0 && !stack)
			none++;
		else if (stack % PAGE_SIZE || !infer_read(inference, stack, &word) ||
			 (uint32_t)word != magic)
			return false;
	}
	return none * 8 < tasks->count;
}

/*
 * What a task that sleeps has left on its stack (struct inactive_task_frame, arch/x86/include/asm/switch_to.h,
 * v4.9 to v7.0): six registers, then an address in the kernel's code. thread.sp, which leads there, is behind
 * three descriptors in struct thread_struct.
 */
enum { FRAME_BP = 40, FRAME_RETURN = 48, SP_IN_THREAD = 24, STACK_LIMIT = 65536 };

struct stack_search {
	struct inference *inference;
	size_t stack;
};

static bool is_stack_pointer(const struct samples *tasks, size_t column, void *user)
{
	const struct stack_search *search = user;
	struct inference *inference = search->inference;
	size_t asleep = 0;
	uint64_t code;

	if (column == search->stack || column < SP_IN_THREAD + 8)
		return false;
	for (size_t row = 0; row < tasks->count; row++) {
		uint64_t stack = sample_u64(tasks, row, search->stack);
		uint64_t sp = sample_u64(tasks, row, column);
		if (!stack)
			continue;
		if (sp <= stack || sp - stack >= STACK_LIMIT || sp % 8)
			return false;
		asleep += infer_read(inference, sp + FRAME_RETURN, &code) &&
			  image_contains(&inference->kernel->image, code);
	}
	/* Those that run have moved on. */
	return asleep * 8 > tasks->count * 7;
}

/* Until v4.15 (d375cf1530595) where the stack begins comes between: sp0, its upper end. */
static bool has_stack_top(const struct stack_search *search, size_t sp)
{
	const struct samples *tasks = &search->inference->tasks;

	for (size_t row = 0; row < tasks->count; row++) {
		uint64_t stack = sample_u64(tasks, row, search->stack);
		uint64_t top = sample_u64(tasks, row, sp - 8);
		if (stack && (top <= stack || top - stack > STACK_LIMIT || top % PAGE_SIZE))
			return false;
	}
	return true;
}

static void find_stacks(struct inference *inference)
{
	struct stack_search search = { inference, 0 };
	static const char *const evidence = "leads into every stack, to an address of code";
	size_t sp;

	if (!samples_only_column(&inference->tasks, 8, is_stack, inference, &search.stack))
		return;
	infer_member(inference, "task_struct", "stack", search.stack, "void *",
		     "leads to the mark at a stack's end");
	if (!samples_only_column(&inference->tasks, 8, is_stack_pointer, &search, &sp))
		return;
	size_t sp_in_thread = SP_IN_THREAD + (has_stack_top(&search, sp) ? 8 : 0);
	infer_member(inference, "task_struct", "thread", sp - sp_in_thread, "struct thread_struct",
		     evidence);
	infer_member(inference, "thread_struct", "sp", sp_in_thread, "unsigned long", evidence);
	infer_member(inference, "inactive_task_frame", "bp", FRAME_BP, "unsigned long", evidence);
	infer_member(inference, "inactive_task_frame", "ret_addr", FRAME_RETURN, "unsigned long",
		     evidence);
}

void infer_task_facts(struct inference *inference)
{
	if (inference->mm != NO_COLUMN)
		find_states(inference);
	if (inference->pid != NO_COLUMN)
		find_pid(inference);
	find_times(inference);
	find_stacks(inference);
}
