/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/run.h"

#include <errno.h>

#include "base/thread.h"

void run_init(struct run *run)
{
	*run = (struct run){ 0 };
	clock_gettime(CLOCK_MONOTONIC, &run->start);
	pthread_mutex_init(&run->lock, NULL);
	condition_init(&run->changed);
	findings_init(&run->findings);
	run->diagnostics = findings_diagnostics(&run->findings);
}

void run_release(struct run *run)
{
	findings_release(&run->findings);
	pthread_cond_destroy(&run->changed);
	pthread_mutex_destroy(&run->lock);
}

double run_seconds(const struct run *run)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - run->start.tv_sec) +
	       (double)(now.tv_nsec - run->start.tv_nsec) / 1e9;
}

void run_fail(struct run *run, const struct kioku_error *error)
{
	pthread_mutex_lock(&run->lock);
	if (!run->failed)
		run->error = *error;
	run->failed = true;
	pthread_mutex_unlock(&run->lock);
}

enum kioku_status run_error(struct run *run, struct kioku_error *error)
{
	enum kioku_status status = KIOKU_OK;

	pthread_mutex_lock(&run->lock);
	if (run->failed) {
		status = run->error.status;
		if (error)
			*error = run->error;
	}
	pthread_mutex_unlock(&run->lock);
	return status;
}

void run_stop(struct run *run)
{
	pthread_mutex_lock(&run->lock);
	atomic_store(&run->stop, true);
	pthread_cond_broadcast(&run->changed);
	pthread_mutex_unlock(&run->lock);
}

void run_sleep_until(struct run *run, double seconds)
{
	double left = seconds - run_seconds(run);

	if (left <= 0)
		return;
	struct timespec deadline = deadline_after(left);
	pthread_mutex_lock(&run->lock);
	while (!atomic_load(&run->stop) &&
	       pthread_cond_timedwait(&run->changed, &run->lock, &deadline) == 0)
		;
	pthread_mutex_unlock(&run->lock);
}

enum kioku_status run_thread_start(struct run *run, pthread_t *thread, void *(*function)(void *),
				   void *argument, struct kioku_error *error)
{
	pthread_mutex_lock(&run->lock);
	enum kioku_status status = thread_create(thread, function, argument, error);
	run->running += status == KIOKU_OK;
	pthread_mutex_unlock(&run->lock);
	return status;
}

void run_thread_ends(struct run *run)
{
	pthread_mutex_lock(&run->lock);
	run->running--;
	pthread_cond_broadcast(&run->changed);
	pthread_mutex_unlock(&run->lock);
}

bool run_wait(struct run *run, double seconds)
{
	struct timespec deadline = deadline_after(seconds);

	pthread_mutex_lock(&run->lock);
	while (run->running > 0 &&
	       pthread_cond_timedwait(&run->changed, &run->lock, &deadline) != ETIMEDOUT)
		;
	bool ended = run->running == 0;
	pthread_mutex_unlock(&run->lock);
	return ended;
}
