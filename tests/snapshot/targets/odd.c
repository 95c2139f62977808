// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * usage: odd KIND
 * Processes of which a snapshot is not to be had in the ordinary way. Each must be imaged or refused,
 * and run on: it counts milliseconds until it is told to end.
 */
#include "target.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SPINS = 1 << 20 }; /* a millisecond, more or less */

static volatile unsigned long counted;

static void count(void)
{
	while (target_goes_on()) {
		target_sleep(MILLISECOND);
		counted++;
	}
}

static void *count_in_thread(void *unused)
{
	count();
	return NULL;
}

static void be_ready(void)
{
	target_ready("pid=%d counted=%p", (int)getpid(), (void *)&counted);
}

static int finish(void)
{
	target_finish();
	target_join();
	target_count("counted", counted);
	return target_end();
}

/* seccomp: whatever an injection would call kills the process. */

#define FORBID(name)                                           \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

static int run_seccomp(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		FORBID(clone),
		FORBID(clone3),
		FORBID(fork),
		FORBID(vfork),
		FORBID(userfaultfd),
		FORBID(ioctl),
		FORBID(wait4),
		FORBID(waitid),
		FORBID(mmap),
		FORBID(munmap),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	target_thread(count_in_thread, NULL);
	be_ready(); /* before the filter: printing for the first time maps a buffer */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
		target_die("seccomp");
	count();
	/* A thread's stack is unmapped by joining it: that is for the end of the process to do. */
	target_count("counted", counted);
	_exit(target_end());
}

/* strict: only read, write, exit and sigreturn. */
static int run_strict(void)
{
	int status;

	be_ready();
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
		target_die("seccomp");
	/* No sleep is allowed, and no clock, which RDTSC reads: that faults from then on. */
	while (target_goes_on()) {
		for (volatile unsigned i = 0; i < SPINS; i++)
			;
		counted++;
	}
	target_count("counted", counted);
	status = target_end();
	syscall(SYS_exit, status);
	return status;
}

static int run_undumpable(void)
{
	prctl(PR_SET_DUMPABLE, 0);
	be_ready();
	count();
	return finish();
}

static int run_setuid(void)
{
	target_thread(count_in_thread, NULL);
	if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)
		target_skip("only root can become nobody");
	be_ready();
	count();
	return finish();
}

/* zombie: the first thread has ended, and others go on. */
static void *run_without_leader(void *leader)
{
	target_lead();
	pthread_join(*(pthread_t *)leader, NULL);
	be_ready();
	count();
	exit(finish());
}

static int run_zombie(void)
{
	static pthread_t leader, heir;

	leader = pthread_self();
	target_thread(count_in_thread, NULL);
	/* Not among those that finish() waits for: it is the one that does. */
	if (pthread_create(&heir, NULL, run_without_leader, &leader) != 0)
		target_die("pthread_create");
	pthread_exit(NULL);
}

/* traced: somebody else is at it already. */
static int run_traced(void)
{
	int status;
	pid_t traced = fork();

	if (traced == 0) {
		be_ready();
		count();
		_exit(finish());
	}
	if (ptrace(PTRACE_SEIZE, traced, NULL, NULL) != 0)
		target_die("ptrace");
	while (target_goes_on())
		target_sleep(10 * MILLISECOND);
	ptrace(PTRACE_INTERRUPT, traced, NULL, NULL);
	if (waitpid(traced, &status, __WALL) != traced || !WIFSTOPPED(status))
		return 1;
	ptrace(PTRACE_DETACH, traced, NULL, NULL);
	kill(traced, SIGTERM);
	return waitpid(traced, &status, __WALL) == traced && WIFEXITED(status) ? WEXITSTATUS(status)
									       : 1;
}

/* vforked: it waits in the kernel, and cannot be stopped, until its child has ended. */
static void wait_in_vfork(void)
{
	if (vfork() == 0) {
		target_ready("pid=%d", (int)getppid());
		while (target_goes_on())
			target_sleep(10 * MILLISECOND);
		_exit(0);
	}
	count();
	_exit(finish());
}

static int run_vforked(void)
{
	pid_t waiting = fork();
	int status;

	if (waiting == 0)
		wait_in_vfork();
	while (target_goes_on())
		target_sleep(10 * MILLISECOND);
	kill(0, SIGTERM); /* the child as well, whose number is not known here */
	return waitpid(waiting, &status, 0) == waiting && WIFEXITED(status) ? WEXITSTATUS(status)
									    : 1;
}

/* blocked: no signal gets through, not even while it is being stopped. */
static int run_blocked(void)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SIGTERM);
	sigprocmask(SIG_SETMASK, &set, NULL);
	be_ready();
	count();
	return finish();
}

static const struct {
	const char *name;
	int (*run)(void);
} kinds[] = {
	{ "seccomp", run_seccomp }, { "strict", run_strict },   { "undumpable", run_undumpable },
	{ "setuid", run_setuid },   { "zombie", run_zombie },   { "traced", run_traced },
	{ "blocked", run_blocked }, { "vforked", run_vforked },
};

int main(int argc, char **argv)
{
	char **words = target_begin(argc, argv, NULL);

	for (size_t i = 0; *words != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, *words) == 0)
			return kinds[i].run();
	}
	fprintf(stderr,
		"usage: odd seccomp|strict|undumpable|setuid|zombie|traced|blocked|vforked\n");
	return 2;
}
