/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a stop does to a system call that blocks. The kernel takes most of them up again by itself when
 * a traced thread goes on (arch/x86/kernel/signal.c, arch_do_signal_or_restart()), but only from the
 * stop that interrupted it; and some return EINTR although no signal was there.
 */
#ifndef SNAPSHOT_RESTART_H
#define SNAPSHOT_RESTART_H

#include "snapshot/thread_record.h"

/* Whether a thread was stopped in a call that returns EINTR for that. */
bool restart_is_cut(const struct user_regs_struct *general);

/*
 * Of a thread that only was stopped: whether its registers must be changed so that it sees nothing of
 * it, because its call has returned EINTR for no signal. A timeout then begins anew. coming: signals that
 * have come since, too.
 */
bool restart_mends(const struct thread_record *record, uint64_t coming,
		   struct user_regs_struct *out);

/*
 * The registers with which a thread goes on from another stop than the one that interrupted its call.
 * keeps_block: the kernel still has what it needs for restart_syscall(2); else such a call begins anew.
 */
struct user_regs_struct restart_by_hand(const struct thread_record *record, bool keeps_block);

/* Whether a call's result is one that the kernel keeps for itself: the call is to be made again. */
bool restart_is_wanted(int64_t result);

/*
 * Whether the thread was stopped in a call that blocks, and not at work; and in none with a mask of its own:
 * what waits for that one would end the call when it is made again, even if it is ignored.
 */
bool restart_is_simple(const struct thread_record *record);

#endif
