/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/injection.h"

#include <elf.h>
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "base/bytes.h"
#include "snapshot/restart.h"
#include "snapshot/sequence.h"
#include "snapshot/wait.h"

static bool target_move(pid_t pid, uint64_t address, void *buffer, size_t size,
			ssize_t (*move)(pid_t, const struct iovec *, unsigned long,
					const struct iovec *, unsigned long, unsigned long))
{
	struct iovec here = { buffer, size };
	struct iovec there = { (void *)(uintptr_t)address, size };

	return move(pid, &here, 1, &there, 1, 0) == (ssize_t)size;
}

bool target_read(pid_t pid, uint64_t address, void *buffer, size_t size)
{
	return target_move(pid, address, buffer, size, process_vm_readv);
}

bool target_write(pid_t pid, uint64_t address, const void *buffer, size_t size)
{
	return target_move(pid, address, (void *)(uintptr_t)buffer, size, process_vm_writev);
}

static enum kioku_status fail(pid_t tid, const char *doing, struct kioku_error *error)
{
	return errno == ESRCH ? error_set(error, KIOKU_ERROR_NOT_FOUND,
					  "thread %d ended while it was stopped", tid)
			      : error_os(error, "%s of thread %d", doing, tid);
}

static enum kioku_status set_registers(pid_t tid, const struct user_regs_struct *registers,
				       struct kioku_error *error)
{
	struct iovec vector = { (void *)(uintptr_t)registers, sizeof(*registers) };

	return ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &vector) == 0
		       ? KIOKU_OK
		       : fail(tid, "cannot set the registers", error);
}

static enum kioku_status set_mask(pid_t tid, uint64_t mask, struct kioku_error *error)
{
	return ptrace(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask) == 0
		       ? KIOKU_OK
		       : fail(tid, "cannot set the signal mask", error);
}

/* What a thread goes on with; address: instead of where it was, unless it has a call to repeat. */
static struct user_regs_struct resumed(const struct thread_record *record, uint64_t address,
				       bool keeps_block)
{
	struct user_regs_struct registers = restart_by_hand(record, keeps_block);

	if (registers.rip == record->general.rip)
		registers.rip = address;
	return registers;
}

/* Puts a frame on the stack, once what is there is known. */
static bool place_frame(struct injection *injection, const struct user_regs_struct *registers)
{
	const struct thread_record *record = injection->record;
	const struct signal_frame *frame = &injection->frame;

	return signal_frame_make(&injection->frame, record, registers, injection->gadgets) &&
	       target_read(record->tid, frame->start, injection->below, frame->size) &&
	       target_write(record->tid, frame->start, frame->bytes, frame->size);
}

void injection_begin(struct injection *injection, const struct thread_record *record,
		     const struct gadgets *gadgets, bool has_stack)
{
	injection->record = record;
	injection->gadgets = gadgets;
	injection->child_options = 0;
	injection->child = 0;
	injection->has_stop_signal = false;
	uint64_t address = sequence_address(record->tid, record->general.rip);
	/* rt_sigreturn() makes the kernel forget what restart_syscall() would need. */
	struct user_regs_struct alone = resumed(record, address, false);
	injection->resumed = resumed(record, address, true);
	injection->is_framed = has_stack && place_frame(injection, &alone);
}

/* To the next entry or exit of a system call. Of signals, only those that nothing blocks come. */
static enum kioku_status go_on(struct injection *injection, uint64_t deadline,
			       struct kioku_error *error)
{
	pid_t tid = injection->record->tid;

	for (;;) {
		int status;
		TRY(wait_go_on(PTRACE_SYSCALL, tid, 0, deadline, &status, error));
		if (wait_is_call_stop(status))
			return KIOKU_OK;
		if (status >> 16 == PTRACE_EVENT_CLONE) {
			unsigned long child = 0;
			ptrace(PTRACE_GETEVENTMSG, tid, NULL, &child);
			injection->child = (pid_t)child;
		}
		if (!wait_is_event_stop(status) && WSTOPSIG(status) == SIGSTOP)
			injection->has_stop_signal = true;
	}
}

/* The registers with which the call is made. */
static struct user_regs_struct calling(const struct injection *injection, long number,
				       const uint64_t arguments[6])
{
	struct user_regs_struct registers = injection->record->general;

	registers.rip = injection->gadgets->syscall;
	registers.rax = (uint64_t)number;
	registers.orig_rax = UINT64_MAX;
	registers.rdi = arguments[0];
	registers.rsi = arguments[1];
	registers.rdx = arguments[2];
	registers.r10 = arguments[3];
	registers.r8 = arguments[4];
	registers.r9 = arguments[5];
	if (injection->is_framed)
		registers.rsp = injection->frame.start;
	return registers;
}

enum kioku_status injection_call(struct injection *injection, long number,
				 const uint64_t arguments[6], uint64_t deadline, int64_t *result,
				 struct kioku_error *error)
{
	pid_t tid = injection->record->tid;
	struct user_regs_struct registers = calling(injection, number, arguments);
	struct iovec vector = { &registers, sizeof(registers) };

	/* In this order: a thread that goes on without us has its own mask, or the frame that has it. */
	TRY(set_registers(tid, &registers, error));
	TRY(set_mask(tid, UINT64_MAX, error));
	if (injection->child_options)
		ptrace(PTRACE_SETOPTIONS, tid, NULL, injection->child_options);
	for (;;) {
		TRY(go_on(injection, deadline, error));
		TRY(go_on(injection, deadline, error));
		if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &vector) != 0)
			return fail(tid, "cannot read the registers", error);
		*result = (int64_t)registers.rax;
		/* SIGCONT interrupts a traced thread, whatever it blocks (kernel/signal.c,
		 * ptrace_trap_notify()). */
		if (!restart_is_wanted(*result))
			return KIOKU_OK;
		if (wait_now() >= deadline)
			return error_set(
				error, KIOKU_ERROR_LIMIT,
				"a system call in thread %d is interrupted again and again", tid);
		registers = calling(injection, number, arguments);
		TRY(set_registers(tid, &registers, error));
	}
}

enum kioku_status injection_end(struct injection *injection, struct kioku_error *error)
{
	pid_t tid = injection->record->tid;

	TRY(set_mask(tid, injection->record->blocked, error));
	TRY(set_registers(tid, &injection->resumed, error));
	if (injection->is_framed &&
	    !target_write(tid, injection->frame.start, injection->below, injection->frame.size))
		return fail(tid, "cannot put back the stack", error);
	if (injection->has_stop_signal)
		kill(tid, SIGSTOP);
	return KIOKU_OK;
}
