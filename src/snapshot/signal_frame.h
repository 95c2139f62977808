/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread that was made to run a system call and whose tracer dies must come back to where it was by
 * itself. So the injected call returns, by the stack, into rt_sigreturn(2) with a signal frame that
 * holds what the thread had: registers, floating point, signal mask. A child that the call has made
 * finds another frame, in which it ends. In the ordinary case neither is used: the tracer sets the
 * registers, and puts the bytes of the stack back.
 * Layout: struct rt_sigframe and struct sigcontext_64 of arch/x86/include/uapi/asm/sigcontext.h and
 * arch/x86/include/asm/sigframe.h; restored by arch/x86/kernel/signal_64.c.
 */
#ifndef SNAPSHOT_SIGNAL_FRAME_H
#define SNAPSHOT_SIGNAL_FRAME_H

#include "snapshot/thread_record.h"

/* The instructions in the target that an injection uses: addresses. */
struct gadgets {
	uint64_t syscall;  /* syscall; 0: not found */
	bool returns;      /* and ret follows */
	uint64_t restorer; /* mov $15, %rax; syscall; 0: not found */
};

#define FRAME_SIZE_LIMIT (XSTATE_LIMIT + 2048)

struct signal_frame {
	uint64_t start; /* address in the target; stack pointer of the injected call */
	uint64_t child; /* stack pointer of a child that it makes */
	size_t size;    /* bytes */
	uint8_t bytes[FRAME_SIZE_LIMIT];
};

/*
 * Makes the frame that brings a thread to registers, with its record's floating point and mask, below
 * its stack's red zone. False: the record has no extended state that could be restored.
 */
bool signal_frame_make(struct signal_frame *frame, const struct thread_record *record,
		       const struct user_regs_struct *registers, const struct gadgets *gadgets);

#endif
