/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Timers of every kind that a process can have; none of them ends while a guest lives. */
#define _GNU_SOURCE
#include "activity.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const time_t long_time = 2000000; /* seconds */

/*
 * By the system calls: the C library would have a thread of its own behind some of them. A timer that is set to a
 * time, and not to what is left until then, stays with its clock.
 */
static void add(clockid_t clock, int notify, int signal, int value, time_t first, time_t interval)
{
	struct sigevent event = { .sigev_notify = notify,
				  .sigev_signo = signal,
				  .sigev_value.sival_int = value };
	struct itimerspec times = { .it_value.tv_sec = first, .it_interval.tv_sec = interval };
	struct timespec now;
	int timer;

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	need(!syscall(SYS_timer_create, clock, &event, &timer), "timer_create");
	if (first == 0)
		return;
	/* Not by the vDSO, whose data /proc/PID/pagemap does not tell of. */
	need(!syscall(SYS_clock_gettime, clock, &now), "clock_gettime");
	times.it_value.tv_sec += now.tv_sec;
	need(!syscall(SYS_timer_settime, timer, TIMER_ABSTIME, &times, NULL), "timer_settime");
}

static void add_descriptor(clockid_t clock, time_t first)
{
	struct itimerspec times = { .it_value.tv_sec = first };
	int descriptor = timerfd_create(clock, TFD_CLOEXEC);

	need(descriptor >= 0 && !timerfd_settime(descriptor, 0, &times, NULL), "timerfd");
}

void hold_timers(void)
{
	const struct itimerval real = { { 11, 0 }, { long_time, 0 } },
			       spent = { { 0, 0 }, { 5000, 0 } };

	add(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 17, long_time + 1, 31);
	add(CLOCK_REALTIME, SIGEV_SIGNAL, SIGRTMIN + 2, 18, long_time + 2, 0);
	add(CLOCK_BOOTTIME, SIGEV_SIGNAL, SIGRTMAX, 23, long_time + 3, 0);
	add(CLOCK_TAI, SIGEV_THREAD_ID, SIGUSR2, 19, long_time + 4, 0);
	add(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGALRM, 20, 0, 0); /* not set */
	add(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, long_time, 0); /* set, but nothing is to be called */
	add(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGVTALRM, 21, 6000, 0);
	add(CLOCK_THREAD_CPUTIME_ID, SIGEV_SIGNAL, SIGPROF, 22, 7000, 0);
	add_descriptor(CLOCK_MONOTONIC, long_time + 5);
	add_descriptor(CLOCK_REALTIME, long_time + 6);
	need(!setitimer(ITIMER_REAL, &real, NULL) && !setitimer(ITIMER_VIRTUAL, &spent, NULL) &&
		     !setitimer(ITIMER_PROF, &spent, NULL),
	     "setitimer");
}
