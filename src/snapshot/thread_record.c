/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/thread_record.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "snapshot/process_files.h"

#define BIT_OF(number) (UINT64_C(1) << ((number)-1))
#define UNKNOWN        (UINT64_MAX - 1) /* no number of a system call, nor -1 for none */

enum { RUNNING_TRIES = 50, RUNNING_INTERVAL = 20 /* microseconds */ };

static bool read_regset(pid_t tid, int type, void *out, size_t capacity, size_t *size)
{
	struct iovec vector = { out, capacity };

	if (ptrace(PTRACE_GETREGSET, tid, type, &vector) != 0)
		return false;
	*size = vector.iov_len;
	return true;
}

/* A queue of pending signals; PTRACE_PEEKSIGINFO (kernel/ptrace.c, Linux 3.10). */
static uint64_t pending_in(pid_t tid, uint32_t flags)
{
	enum { AT_ONCE = 8, LIMIT = 1024 };
	siginfo_t found[AT_ONCE];
	uint64_t set = 0;
	struct __ptrace_peeksiginfo_args where = { .flags = flags, .nr = AT_ONCE };

	for (long got = AT_ONCE; got == AT_ONCE && where.off < LIMIT; where.off += AT_ONCE) {
		got = ptrace(PTRACE_PEEKSIGINFO, tid, &where, found);
		for (long i = 0; i < got; i++)
			if (found[i].si_signo >= 1 && found[i].si_signo <= 64)
				set |= BIT_OF(found[i].si_signo);
	}
	return set;
}

/*
 * What is ignored is dropped when it is sent, but not to a thread that is traced, for which it waits until
 * it is let go (kernel/signal.c, sig_ignored()). It is dropped then, and so is what stands for nothing
 * by default (signal(7)); the effect of SIGCONT comes when it is sent, and is over.
 */
uint64_t thread_ignored(pid_t tid)
{
	const uint64_t harmless =
		BIT_OF(SIGCHLD) | BIT_OF(SIGCONT) | BIT_OF(SIGURG) | BIT_OF(SIGWINCH);
	AUTO_FILE_TEXT struct file_text text = { 0 };
	uint64_t ignored, caught;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	if (file_text_read(&text, AT_FDCWD, path, PROCESS_FILE_LIMIT, NULL) != KIOKU_OK ||
	    !task_status_bits(file_text_bytes(&text), "SigIgn", &ignored) ||
	    !task_status_bits(file_text_bytes(&text), "SigCgt", &caught))
		return 0;
	return ignored | (harmless & ~caught);
}

uint64_t thread_signals(pid_t tid, uint64_t *coming)
{
	uint64_t pending = pending_in(tid, 0) | pending_in(tid, PTRACE_PEEKSIGINFO_SHARED);

	*coming = pending != 0 ? pending & ~thread_ignored(tid) : 0;
	return pending;
}

enum kioku_status thread_record_read(struct thread_record *record, struct kioku_error *error)
{
	pid_t tid = record->tid;
	size_t size = 0;

	if (!read_regset(tid, NT_PRSTATUS, &record->general, sizeof(record->general), &size) ||
	    ptrace(PTRACE_GETSIGMASK, tid, sizeof(record->blocked), &record->blocked) != 0)
		return errno == ESRCH
			       ? error_set(error, KIOKU_ERROR_NOT_FOUND, "thread %d is gone", tid)
			       : error_os(error, "cannot read the registers of thread %d", tid);
	/* A 32-bit thread has other registers: whoever looks at processes has refused it already. */
	if (size != sizeof(record->general))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "thread %d runs 32-bit code", tid);
	record->has_floating =
		read_regset(tid, NT_PRFPREG, &record->floating, sizeof(record->floating), &size);
	record->xstate_size = 0;
	if (read_regset(tid, NT_X86_XSTATE, record->xstate, sizeof(record->xstate), &size))
		record->xstate_size = (uint32_t)size;
	record->has_siginfo = ptrace(PTRACE_GETSIGINFO, tid, NULL, &record->siginfo) == 0;
	record->pending = thread_signals(tid, &record->coming);
	record->is_stopped = true;
	return KIOKU_OK;
}

/* fs/proc/base.c, proc_pid_syscall(): "NR ARG*6 SP PC", "-1 SP PC" or "running". */
void thread_record_guess(struct thread_record *record, int process_folder)
{
	struct user_regs_struct *general = &record->general;
	char path[64], text[256];
	int64_t number;
	int used = 0;

	snprintf(path, sizeof(path), "task/%d/syscall", record->tid);
	AUTO_CLOSE int file = openat(process_folder, path, O_RDONLY | O_CLOEXEC);
	ssize_t size = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
	if (size <= 0)
		return;
	text[size] = '\0';
	if (sscanf(text, "%" SCNd64 "%n", &number, &used) != 1)
		return;
	general->orig_rax = (uint64_t)number;
	const char *rest = text + used;
	unsigned long long values[8];
	int count = sscanf(rest, "%llx %llx %llx %llx %llx %llx %llx %llx", &values[0], &values[1],
			   &values[2], &values[3], &values[4], &values[5], &values[6], &values[7]);
	if (count == 8) {
		general->rdi = values[0];
		general->rsi = values[1];
		general->rdx = values[2];
		general->r10 = values[3];
		general->r8 = values[4];
		general->r9 = values[5];
	}
	if (count >= 2) {
		general->rsp = values[count - 2];
		general->rip = values[count - 1];
	}
}

bool thread_record_is_of_kernel(const struct thread_record *record)
{
	return record->general.rsp == 0 && record->general.rip == 0;
}

/* What the kernel calls its own; but anybody may be called that. */
static bool is_named_so(int process_folder, pid_t tid)
{
	char path[64], name[6] = { 0 };

	snprintf(path, sizeof(path), "task/%d/comm", tid);
	AUTO_CLOSE int file = openat(process_folder, path, O_RDONLY | O_CLOEXEC);
	return file >= 0 && read(file, name, sizeof(name)) == sizeof(name) &&
	       (memcmp(name, "iou-", 4) == 0 || memcmp(name, "vhost-", 6) == 0);
}

bool thread_is_of_kernel(int process_folder, pid_t tid)
{
	for (unsigned i = 0; i < RUNNING_TRIES; i++) {
		struct thread_record record = { .tid = tid, .general = { .orig_rax = UNKNOWN } };
		thread_record_guess(&record, process_folder);
		if (record.general.orig_rax != UNKNOWN)
			return thread_record_is_of_kernel(&record);
		if (!is_named_so(process_folder, tid))
			return false;
		usleep(RUNNING_INTERVAL);
	}
	return false;
}
