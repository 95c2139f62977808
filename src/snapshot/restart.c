/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/restart.h"

#include <errno.h>
#include <sys/syscall.h>

/* include/linux/errno.h: what user space never sees. */
enum { ERESTARTSYS = 512, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK = 516 };

enum { SYSCALL_SIZE = 2 }; /* bytes of the instruction */

/*
 * Calls that return EINTR for a stop without a signal (signal(7), "Interruption of system calls and
 * library functions by stop signals", and what was measured on Linux 6.18).
 */
static bool is_not_restarted(long number)
{
	switch (number) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
	case SYS_rt_sigtimedwait:
	case SYS_semop:
	case SYS_semtimedop:
	/* With a timeout on the socket (SO_RCVTIMEO, SO_SNDTIMEO); without one they are restarted. */
	case SYS_accept:
	case SYS_accept4:
	case SYS_connect:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
	case SYS_read:
	case SYS_readv:
	case SYS_write:
	case SYS_writev:
	/* Of inotify, fanotify and io_uring's queue. */
	case SYS_io_getevents:
	case SYS_io_pgetevents:
	case SYS_io_uring_enter: return true;
	default: return false;
	}
}

static bool is_in_call(const struct thread_record *record)
{
	return record->is_stopped && (int64_t)record->general.orig_rax >= 0;
}

/* While these wait, the mask that ptrace tells is not the one that holds (set_user_sigmask()). */
static bool has_other_mask(const struct thread_record *record)
{
	switch ((long)record->general.orig_rax) {
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
	case SYS_io_pgetevents:
	case SYS_ppoll:
	case SYS_pselect6:
	case SYS_rt_sigsuspend: return true;
	default: return false;
	}
}

bool restart_is_cut(const struct user_regs_struct *general)
{
	return (int64_t)general->orig_rax >= 0 && (int64_t)general->rax == -EINTR &&
	       is_not_restarted((long)general->orig_rax);
}

/* With a signal to come, EINTR is what it would have got anyway. */
static bool has_lost_call(const struct thread_record *record, uint64_t coming)
{
	uint64_t blocked = has_other_mask(record) ? 0 : record->blocked;

	return record->is_stopped && restart_is_cut(&record->general) && !(coming & ~blocked);
}

static struct user_regs_struct again(const struct thread_record *record, uint64_t number)
{
	struct user_regs_struct registers = record->general;

	registers.rax = number;
	registers.rip -= SYSCALL_SIZE;
	registers.orig_rax = UINT64_MAX;
	return registers;
}

bool restart_mends(const struct thread_record *record, uint64_t coming,
		   struct user_regs_struct *out)
{
	if (!has_lost_call(record, coming))
		return false;
	*out = again(record, record->general.orig_rax);
	return true;
}

struct user_regs_struct restart_by_hand(const struct thread_record *record, bool keeps_block)
{
	const struct user_regs_struct *general = &record->general;

	if (is_in_call(record)) {
		switch (-(int64_t)general->rax) {
		case ERESTARTSYS:
		case ERESTARTNOINTR:
		case ERESTARTNOHAND: return again(record, general->orig_rax);
		case ERESTART_RESTARTBLOCK:
			return again(record, keeps_block ? SYS_restart_syscall : general->orig_rax);
		default: break;
		}
		if (has_lost_call(record, record->coming))
			return again(record, general->orig_rax);
	}
	struct user_regs_struct registers = *general;
	registers.orig_rax = UINT64_MAX;
	return registers;
}

bool restart_is_wanted(int64_t result)
{
	return result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK;
}

bool restart_is_simple(const struct thread_record *record)
{
	return is_in_call(record) && !has_other_mask(record) &&
	       (restart_is_wanted((int64_t)record->general.rax) ||
		has_lost_call(record, record->coming));
}
