/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include <openssl/evp.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "capture/segment_check.h"

enum { THREADS_MAX = 64, PROGRESS_NANOSECONDS = 100000000 };

/* Shared by the threads. */
struct crew {
	const struct segment_check *check;
	uint8_t *states;
	atomic_uint_fast64_t next, done; /* segments; bytes */
	atomic_bool stop;
	pthread_mutex_t lock;
	pthread_cond_t left; /* a thread has ended */
	unsigned running;
	bool no_memory;
};

uint64_t segment_length(const struct segment_check *check, uint64_t segment)
{
	uint64_t left = check->size - segment * MANIFEST_SEGMENT_SIZE;

	return left < MANIFEST_SEGMENT_SIZE ? left : MANIFEST_SEGMENT_SIZE;
}

/* False: no memory. */
static bool check_one(const struct segment_check *check, uint64_t segment, uint8_t *buffer,
		      uint8_t *state)
{
	const struct manifest_segment *known = &check->manifest->segments[segment];
	size_t size = (size_t)segment_length(check, segment), have = 0;
	off_t offset = (off_t)(segment * MANIFEST_SEGMENT_SIZE);
	uint8_t digest[MANIFEST_HASH_SIZE];

	*state = SEGMENT_UNCHECKED;
	if (!known->is_known)
		return true;
	while (have < size) {
		ssize_t got =
			pread(check->descriptor, buffer + have, size - have, offset + (off_t)have);
		if (got == 0 || (got < 0 && errno != EINTR)) {
			*state = got == 0 ? SEGMENT_CUT_OFF : SEGMENT_UNREADABLE;
			return true;
		}
		have += got > 0 ? (size_t)got : 0;
	}
	if (EVP_Digest(buffer, size, digest, NULL, EVP_sha256(), NULL) != 1)
		return false;
	*state =
		memcmp(digest, known->sha256, sizeof(digest)) == 0 ? SEGMENT_GOOD : SEGMENT_DIFFERS;
	return true;
}

static void *work(void *argument)
{
	struct crew *crew = argument;
	const struct segment_check *check = crew->check;
	AUTO_FREE uint8_t *buffer = malloc(MANIFEST_SEGMENT_SIZE);
	bool good = buffer != NULL;

	while (good && !atomic_load(&crew->stop)) {
		uint64_t index = atomic_fetch_add(&crew->next, 1);
		if (index >= check->count)
			break;
		good = check_one(check, check->first + index, buffer, &crew->states[index]);
		atomic_fetch_add(&crew->done, segment_length(check, check->first + index));
	}
	pthread_mutex_lock(&crew->lock);
	crew->no_memory |= !good;
	crew->running--;
	pthread_cond_signal(&crew->left);
	pthread_mutex_unlock(&crew->lock);
	return NULL;
}

/* Waits for the threads, and reports from this one how far they are. */
static void watch(struct crew *crew, uint64_t total)
{
	const struct segment_check *check = crew->check;

	pthread_mutex_lock(&crew->lock);
	while (crew->running > 0) {
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += PROGRESS_NANOSECONDS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if (pthread_cond_timedwait(&crew->left, &crew->lock, &until) != ETIMEDOUT)
			continue;
		pthread_mutex_unlock(&crew->lock);
		if (check->progress &&
		    !check->progress(check->progress_user, atomic_load(&crew->done), total))
			atomic_store(&crew->stop, true);
		pthread_mutex_lock(&crew->lock);
	}
	pthread_mutex_unlock(&crew->lock);
}

static unsigned thread_count(const struct segment_check *check)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t count = check->threads ? check->threads : cpus > 0 ? (uint64_t)cpus : 1;

	count = count < check->count ? count : check->count;
	return (unsigned)(count < THREADS_MAX ? count : THREADS_MAX);
}

/* As many as can be had; one is enough. */
static unsigned start(struct crew *crew, pthread_t *threads, unsigned wanted)
{
	unsigned count = 0;

	for (; count < wanted; count++) {
		pthread_mutex_lock(&crew->lock);
		crew->running++;
		pthread_mutex_unlock(&crew->lock);
		if (pthread_create(&threads[count], NULL, work, crew) != 0) {
			pthread_mutex_lock(&crew->lock);
			crew->running--;
			pthread_mutex_unlock(&crew->lock);
			break;
		}
	}
	return count;
}

enum kioku_status segment_check_run(const struct segment_check *check, uint8_t *states,
				    struct kioku_error *error)
{
	struct crew crew = { .check = check, .states = states };
	pthread_t threads[THREADS_MAX];
	pthread_condattr_t attributes;
	uint64_t total = 0;

	for (uint64_t i = 0; i < check->count; i++)
		total += segment_length(check, check->first + i);
	memset(states, SEGMENT_UNCHECKED, (size_t)check->count);
	if (check->count == 0)
		return KIOKU_OK;
	pthread_mutex_init(&crew.lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&crew.left, &attributes);
	pthread_condattr_destroy(&attributes);
	unsigned count = start(&crew, threads, thread_count(check));
	watch(&crew, total);
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	pthread_cond_destroy(&crew.left);
	pthread_mutex_destroy(&crew.lock);
	if (count == 0)
		return error_set(error, KIOKU_ERROR_OS, "cannot start a thread");
	if (atomic_load(&crew.stop))
		return error_set(error, KIOKU_ERROR_STOPPED, "stopped");
	if (crew.no_memory)
		return error_no_memory(error);
	if (check->progress && !check->progress(check->progress_user, total, total))
		return error_set(error, KIOKU_ERROR_STOPPED, "stopped");
	return KIOKU_OK;
}
