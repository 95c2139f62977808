/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/duplicate.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "snapshot/wait.h"

/* What a target and its duplicate have in common is not copied: neither files nor folders nor undo lists. */
enum { CLONE_FLAGS = CLONE_PTRACE | CLONE_FILES | CLONE_FS | CLONE_SYSVSEM };

static const uint64_t settle_time =
	UINT64_C(2000000000); /* nanoseconds; its first instant is due */

/* One call in the thread that is disturbed least. */
static enum kioku_status call_in(struct injection *injection, struct tracee *tracee,
				 const struct site *site, long number, uint64_t arguments[6],
				 bool has_child, uint64_t deadline, int64_t *result,
				 struct kioku_error *error)
{
	struct kioku_error second;
	bool has_stack = false;
	struct tracee_thread *thread = site_choose(site, tracee, &has_stack);

	if (!thread)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "no thread of process %d stops: all wait in the kernel where "
				 "nothing interrupts them (a vforked child, a disk)",
				 tracee->pid);
	if (!site_holds(site, thread->tid))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "process %d has no code in which a system call could be made",
				 tracee->pid);
	injection_begin(injection, thread->record, &site->gadgets, has_stack);
	thread->is_changed = true;
	if (has_child) {
		arguments[1] = injection->is_framed ? injection->frame.child : 0;
		if (site->other_namespace)
			injection->child_options = tracee->options | PTRACE_O_TRACECLONE;
	}
	enum kioku_status status =
		injection_call(injection, number, arguments, deadline, result, error);
	enum kioku_status end = injection_end(injection, status == KIOKU_OK ? error : &second);
	return status == KIOKU_OK ? end : status;
}

enum kioku_status duplicate_make(struct duplicate *duplicate, struct tracee *tracee,
				 const struct site *site, uint64_t deadline,
				 struct kioku_error *error)
{
	struct injection *injection = &duplicate->injection;
	uint64_t arguments[6] = { CLONE_FLAGS };
	int64_t result;

	TRY(call_in(injection, tracee, site, SYS_clone, arguments, true, deadline, &result, error));
	if (result < 0) {
		errno = (int)-result;
		return error_os(error, "process %d cannot be duplicated", tracee->pid);
	}
	duplicate->inner_pid = (pid_t)result;
	duplicate->pid = site->other_namespace ? injection->child : duplicate->inner_pid;
	duplicate->is_framed = injection->is_framed;
	return KIOKU_OK;
}

/* When memory runs out, somebody is killed (mm/oom_kill.c): it must not be the target. */
static void offer_to_oom_killer(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	AUTO_CLOSE int file = open(path, O_WRONLY | O_CLOEXEC);
	if (file < 0 || write(file, "1000", 4) != 4)
		return; /* a lower chance for the target, and no more can be done */
}

enum kioku_status duplicate_settle(struct duplicate *duplicate, struct kioku_error *error)
{
	const struct injection *injection = &duplicate->injection;
	pid_t pid = duplicate->pid;
	int status;

	offer_to_oom_killer(pid);
	if (wait_for_stop(pid, wait_now() + settle_time, &status) != WAIT_STOPPED ||
	    ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL) != 0 ||
	    (injection->is_framed &&
	     !target_write(pid, injection->frame.start, injection->below, injection->frame.size)))
		return error_set(error, KIOKU_ERROR_NOT_FOUND,
				 "the duplicate of the process was killed");
	return KIOKU_OK;
}

void duplicate_kill(struct duplicate *duplicate)
{
	int status;

	if (duplicate->pid == 0)
		return;
	kill(duplicate->pid, SIGKILL);
	/* Taking down its page tables takes a while. Another stop may come first. */
	while (wait_for_stop(duplicate->pid, UINT64_MAX, &status) == WAIT_STOPPED)
		ptrace(PTRACE_CONT, duplicate->pid, NULL, NULL);
	duplicate->pid = 0;
}

enum kioku_status duplicate_reap(struct duplicate *duplicate, struct tracee *tracee,
				 const struct site *site, uint64_t deadline,
				 struct kioku_error *error)
{
	uint64_t arguments[6] = { (uint64_t)duplicate->inner_pid, 0, __WALL | WNOHANG };
	int64_t result;

	TRY(call_in(&duplicate->injection, tracee, site, SYS_wait4, arguments, false, deadline,
		    &result, error));
	/* ECHILD: somebody who looks for such children has found it. */
	if (result == duplicate->inner_pid || result == -ECHILD)
		return KIOKU_OK;
	return error_set(error, KIOKU_ERROR_LIMIT,
			 "process %d still has its duplicate (process %d of its namespace)",
			 tracee->pid, duplicate->inner_pid);
}
