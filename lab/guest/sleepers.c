/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that sleep in calls of many kinds: what their kernel stacks look like is known. */
#define _GNU_SOURCE
#include "activity.h"

#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const time_t long_time = 1000000; /* seconds */
static int quiet_pipe[2], quiet_pair[2];

static void in_nanosleep(void)
{
	nanosleep(&(struct timespec){ .tv_sec = long_time }, NULL);
}

static void in_futex(void)
{
	static int word;
	syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void in_pipe(void)
{
	char byte;
	(void)!read(quiet_pipe[0], &byte, 1);
}

static void in_poll(void)
{
	poll(&(struct pollfd){ .fd = quiet_pipe[0], .events = POLLIN }, 1, -1);
}

static void in_select(void)
{
	fd_set wanted;

	FD_ZERO(&wanted);
	FD_SET(quiet_pipe[0], &wanted);
	select(quiet_pipe[0] + 1, &wanted, NULL, NULL, NULL);
}

static void in_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	need(epoll >= 0 && !epoll_ctl(epoll, EPOLL_CTL_ADD, quiet_pipe[0], &event), "epoll");
	epoll_wait(epoll, &event, 1, -1);
}

static void in_receive(void)
{
	char byte;
	recv(quiet_pair[0], &byte, 1, 0);
}

static void in_signal(void)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGUSR1);
	sigtimedwait(&wanted, NULL, &(struct timespec){ .tv_sec = long_time });
}

static void in_wait(void)
{
	if (!fork()) {
		prctl(PR_SET_NAME, "waited-for");
		rest();
	}
	waitpid(-1, NULL, 0);
}

static const struct sleeper {
	const char *name;
	void (*sleep)(void);
} sleepers[] = {
	{ "in-nanosleep", in_nanosleep }, { "in-futex", in_futex },   { "in-pipe", in_pipe },
	{ "in-poll", in_poll },           { "in-select", in_select }, { "in-epoll", in_epoll },
	{ "in-receive", in_receive },     { "in-signal", in_signal }, { "in-wait", in_wait },
};

static void *sleeping(void *argument)
{
	const struct sleeper *sleeper = argument;

	prctl(PR_SET_NAME, sleeper->name);
	sleeper->sleep();
	need(0, sleeper->name);
	return NULL;
}

void hold_sleepers(void)
{
	pthread_t thread;

	need(!pipe(quiet_pipe) && !socketpair(AF_UNIX, SOCK_STREAM, 0, quiet_pair), "sleepers");
	for (size_t i = 0; i < sizeof sleepers / sizeof *sleepers; i++)
		need(!pthread_create(&thread, NULL, sleeping, (void *)&sleepers[i]), "thread");
	usleep(200000); /* each names itself and goes to sleep */
}

/*
 * Registers that only AVX has, with text in them. The system call must be made here: what a library does
 * before it may use them.
 */
void hold_vectors(void)
{
	static const char text[] = "kioku-vector-marker-0123456789AB";

	if (!__builtin_cpu_supports("avx"))
		rest();
	for (;;) {
		long result = SYS_pause;
		__asm__ volatile("vmovdqu %1, %%ymm0\n\t"
				 "vmovdqu %1, %%ymm15\n\t"
				 "syscall"
				 : "+a"(result)
				 : "m"(text)
				 : "rcx", "r11", "memory", "xmm0", "xmm15");
	}
}
