/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the threads of one capture share: the clock, the first error, the wish to stop, numbers. */
#ifndef CAPTURE_RUN_H
#define CAPTURE_RUN_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/error.h"
#include "capture/findings.h"

struct run {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* by CLOCK_MONOTONIC */
	struct timespec start;
	unsigned running; /* threads */
	bool failed;
	struct kioku_error error; /* the first one */
	atomic_bool stop;
	struct findings findings;
	struct diagnostics diagnostics;       /* to findings */
	_Atomic uint64_t done, lost, written; /* bytes: of memory, of memory, of the image */
};

void run_init(struct run *run);
void run_release(struct run *run);

/* Since the start. */
double run_seconds(const struct run *run);

/* Keeps the error if it is the first. */
void run_fail(struct run *run, const struct kioku_error *error);

/* Copies the first error and returns its status; OK if there was none. */
enum kioku_status run_error(struct run *run, struct kioku_error *error);

/* No more memory is to be read; what was read already is still written. */
void run_stop(struct run *run);

/* Waits until a moment, or for run_stop(). */
void run_sleep_until(struct run *run, double seconds);

/* thread_create() for one that run_wait() waits for: it ends with run_thread_ends(). */
enum kioku_status run_thread_start(struct run *run, pthread_t *thread, void *(*function)(void *),
				   void *argument, struct kioku_error *error);
void run_thread_ends(struct run *run);

/* Waits at most so long for all threads to end; whether they did. */
bool run_wait(struct run *run, double seconds);

#endif
