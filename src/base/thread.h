/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that a tool can afford on a machine that it must not disturb. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <time.h>

#include "base/error.h"

/* Starts a thread with a small stack, to which no signal is delivered. Errors: OS. */
enum kioku_status thread_create(pthread_t *thread, void *(*function)(void *), void *argument,
				struct kioku_error *error);

/* A condition whose deadlines are of CLOCK_MONOTONIC. */
void condition_init(pthread_cond_t *condition);

/* By CLOCK_MONOTONIC. */
double seconds_now(void);

/* A deadline for pthread_cond_timedwait(), so many seconds from now: less than INT_MAX / 1000. */
struct timespec deadline_after(double seconds);

/* For poll(): until then, rounded up; 0: it has passed. */
int deadline_milliseconds(struct timespec deadline);

#endif
