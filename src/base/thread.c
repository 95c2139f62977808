/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/thread.h"

#include <errno.h>
#include <signal.h>

enum { STACK_SIZE = 256 << 10 };

enum kioku_status thread_create(pthread_t *thread, void *(*function)(void *), void *argument,
				struct kioku_error *error)
{
	sigset_t all, before;
	pthread_attr_t attributes;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	int failed = pthread_create(thread, &attributes, function, argument);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = failed;
	return failed ? error_os(error, "cannot start a thread") : KIOKU_OK;
}

void condition_init(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

double seconds_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

struct timespec deadline_after(double seconds)
{
	struct timespec at;
	long nanoseconds;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += (time_t)seconds;
	nanoseconds = at.tv_nsec + (long)((seconds - (double)(time_t)seconds) * 1e9);
	at.tv_sec += nanoseconds / 1000000000;
	at.tv_nsec = nanoseconds % 1000000000;
	return at;
}

int deadline_milliseconds(struct timespec deadline)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t left = (int64_t)(deadline.tv_sec - now.tv_sec) * 1000000000 +
		       (deadline.tv_nsec - now.tv_nsec);
	return left > 0 ? (int)((left + 999999) / 1000000) : 0;
}
