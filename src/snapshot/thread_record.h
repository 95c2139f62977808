/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is known of one thread at the instant of a snapshot: what ptrace(2) tells while it is stopped. */
#ifndef SNAPSHOT_THREAD_RECORD_H
#define SNAPSHOT_THREAD_RECORD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "base/error.h"

/* XSAVE areas are 2,696 bytes with AVX-512 and 11 KiB with AMX's tiles. */
#define XSTATE_LIMIT 12288u

struct thread_record {
	pid_t tid;
	bool is_stopped; /* false: it was in the kernel and could not stop; only ip and sp are known */
	bool has_floating;
	struct user_regs_struct general;
	struct user_fpregs_struct floating;
	uint32_t xstate_size; /* bytes of xstate; 0: the CPU or the kernel has none */
	uint8_t xstate[XSTATE_LIMIT] __attribute__((aligned(64)));
	bool has_siginfo; /* not so for a thread that SIGSTOP had stopped before */
	siginfo_t siginfo;
	uint64_t blocked; /* signal masks, signal N is bit N - 1 */
	uint64_t pending; /* of the thread and of its process */
	uint64_t coming;  /* of these, those that are not ignored: each ends a call that blocks */
};

/*
 * Fills in a record of a stopped thread whose tid is set. Errors: NOT_FOUND (it is gone), OS.
 */
enum kioku_status thread_record_read(struct thread_record *record, struct kioku_error *error);

/* Signals that are pending for a stopped thread and its process; *coming: as in the record. */
uint64_t thread_signals(pid_t tid, uint64_t *coming);

/* Signals that a thread's process ignores, by its own or by default. */
uint64_t thread_ignored(pid_t tid);

/* Of a thread that does not stop: what /proc says of it, as far as it does. */
void thread_record_guess(struct thread_record *record, int process_folder);

/*
 * Whether it is a thread of the kernel's among those of the process, a worker of io_uring or vhost: it never comes
 * back to any code of the process. Such ones are made without a stack and an instruction, to be told by that
 * (copy_thread(), arch/x86/kernel/process.c, Linux 5.12).
 */
bool thread_record_is_of_kernel(const struct thread_record *record);

/*
 * The same, of a thread that is not stopped. While one runs, that is not known, and false: but for such names as
 * these have, which is waited for.
 */
bool thread_is_of_kernel(int process_folder, pid_t tid);

#endif
