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

/* Nanoseconds: its first instant is due, but the machine may be busy. The target runs meanwhile. */
static const uint64_t settle_time = UINT64_C(10000000000);

enum kioku_status duplicate_make(struct duplicate *duplicate, struct tracee *tracee,
				 const struct site *site, uint64_t deadline,
				 struct kioku_error *error)
{
	struct injection *injection = &duplicate->injection;
	uint64_t arguments[6] = { CLONE_FLAGS };
	int64_t result;

	TRY(site_call(site, tracee, injection, SYS_clone, arguments, true, deadline, &result,
		      error));
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
	enum wait_outcome outcome = wait_for_stop(pid, wait_now() + settle_time, &status);
	if (outcome == WAIT_LATE)
		return error_set(error, KIOKU_ERROR_LIMIT,
				 "the duplicate of the process does not stop in time");
	if (outcome == WAIT_GONE || ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL) != 0 ||
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

enum kioku_status duplicate_reap(struct duplicate *duplicate, struct errand *errand,
				 struct kioku_error *error)
{
	const uint64_t arguments[6] = { (uint64_t)duplicate->inner_pid, 0, __WALL | WNOHANG };
	int64_t result;

	TRY(errand_call(errand, 0, SYS_wait4, arguments, &result, error));
	/* ECHILD: somebody who looks for such children has found it. */
	if (result == duplicate->inner_pid || result == -ECHILD)
		return KIOKU_OK;
	return error_set(error, KIOKU_ERROR_LIMIT,
			 "process %d still has its duplicate (process %d of its namespace)",
			 errand->process->pid, duplicate->inner_pid);
}
