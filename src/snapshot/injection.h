/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Running system calls in a thread of the target that is stopped, so that it notices nothing: neither
 * when all goes well, nor when the tracer dies on the way (signal_frame.h).
 */
#ifndef SNAPSHOT_INJECTION_H
#define SNAPSHOT_INJECTION_H

#include "snapshot/signal_frame.h"

struct injection {
	const struct thread_record *record;
	const struct gadgets *gadgets;
	struct user_regs_struct resumed; /* what the thread goes on with */
	bool is_framed;                  /* the thread would come back by itself */
	bool has_stop_signal;            /* SIGSTOP came meanwhile, and is due to the process */
	/* Set before a call: ptrace options with which a child is told as we see it, for one stop more. */
	long child_options;
	pid_t child;
	struct signal_frame frame;
	uint8_t below[FRAME_SIZE_LIMIT]; /* what the stack had in the frame's place */
};

/*
 * Prepares a thread, which is stopped and has a record. has_stack: below its stack pointer is room for
 * a frame that is nobody's. injection_end() in any case, once nothing else is to be called.
 */
void injection_begin(struct injection *injection, const struct thread_record *record,
		     const struct gadgets *gadgets, bool has_stack);

/*
 * Runs one system call; *result is what it returned, -errno included. deadline: of wait_now().
 * Errors: NOT_FOUND (the thread was killed), LIMIT (it does not come back in time), OS.
 */
enum kioku_status injection_call(struct injection *injection, long number,
				 const uint64_t arguments[6], uint64_t deadline, int64_t *result,
				 struct kioku_error *error);

/* The thread may go on from where it was: PTRACE_DETACH is next. Errors: NOT_FOUND, OS. */
enum kioku_status injection_end(struct injection *injection, struct kioku_error *error);

/* Reads or writes the memory of a process without stopping it. False: not all of it. */
bool target_read(pid_t pid, uint64_t address, void *buffer, size_t size);
bool target_write(pid_t pid, uint64_t address, const void *buffer, size_t size);

#endif
