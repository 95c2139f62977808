/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/sequence.h"

#include <linux/rseq.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "snapshot/injection.h"
#include "snapshot/wait.h"

enum { LONGEST_INSTRUCTION = 15 }; /* bytes */

uint64_t sequence_address(pid_t tid, uint64_t address)
{
	struct __ptrace_rseq_configuration where = { 0 };
	struct rseq_cs section;
	uint64_t current = 0;

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, sizeof(where), &where) < 0 ||
	    where.rseq_abi_pointer == 0)
		return address;
	if (!target_read(tid, where.rseq_abi_pointer + offsetof(struct rseq, rseq_cs), &current,
			 sizeof(current)) ||
	    current == 0 || !target_read(tid, current, &section, sizeof(section)))
		return address;
	return address - section.start_ip < section.post_commit_offset ? section.abort_ip : address;
}

/*
 * Whether an instruction does nothing else when it is stepped over: a system call would be made, and pushf
 * shows the step's flag. Neither is in a sequence. Prefixes are passed over.
 */
static bool can_be_stepped(pid_t tid, uint64_t address)
{
	static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
					    0x66, 0x67, 0xf0, 0xf2, 0xf3 };
	static const uint8_t others[] = { 0x9c, 0x9d, 0xcc, 0xcd, 0xce, 0xcf, 0xf1 };
	uint8_t code[LONGEST_INSTRUCTION];
	size_t at = 0;

	if (!target_read(tid, address, code, sizeof(code)))
		return false;
	while (at < sizeof(code) - 2 &&
	       ((code[at] & 0xf0) == 0x40 || memchr(prefixes, code[at], sizeof(prefixes))))
		at++;
	if (code[at] == 0x0f)
		return code[at + 1] != 0x05 && code[at + 1] != 0x34;
	return !memchr(others, code[at], sizeof(others));
}

/* The step is told by a signal that the kernel would have handled in another way from then on. */
static bool can_be_told(const struct thread_record *record)
{
	const uint64_t trap = UINT64_C(1) << (SIGTRAP - 1);

	return !(record->blocked & trap) && !(thread_ignored(record->tid) & trap);
}

/* Whether a thread is stopped because of what it did itself, and not by a signal from somewhere. */
static bool has_stepped(pid_t tid, int status)
{
	siginfo_t info;

	return !wait_is_event_stop(status) && WSTOPSIG(status) == SIGTRAP &&
	       ptrace(PTRACE_GETSIGINFO, tid, NULL, &info) == 0 && info.si_code > 0;
}

static bool is_stop_signal(int number)
{
	return number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

/* One instruction, or to a handler, as signals are delivered that come. *stop: one to be sent again. */
static enum kioku_status step(pid_t tid, uint64_t deadline, int *stop, struct kioku_error *error)
{
	for (int status, number = 0;;) {
		TRY(wait_go_on(PTRACE_SINGLESTEP, tid, number, deadline, &status, error));
		if (has_stepped(tid, status))
			return KIOKU_OK;
		number = wait_is_event_stop(status) ? 0 : WSTOPSIG(status);
		if (is_stop_signal(number)) {
			*stop = number;
			number = 0;
		}
	}
}

enum kioku_status sequence_leave(struct thread_record *record, uint64_t deadline,
				 struct kioku_error *error)
{
	struct __ptrace_rseq_configuration where = { 0 };
	struct thread_record after = { .tid = record->tid };
	pid_t tid = record->tid;
	int stop = 0;

	/* In this order: most threads are in a call, and little is asked in the stop. */
	if ((int64_t)record->general.orig_rax >= 0 ||
	    ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, sizeof(where), &where) >= 0 ||
	    !can_be_stepped(tid, record->general.rip) || !can_be_told(record))
		return KIOKU_OK;
	enum kioku_status status = step(tid, deadline, &stop, error);
	if (stop != 0)
		kill(tid, stop);
	TRY(status);
	TRY(thread_record_read(&after, error));
	/* What was said of the stop stays. */
	after.siginfo = record->siginfo;
	after.has_siginfo = record->has_siginfo;
	*record = after;
	return KIOKU_OK;
}
