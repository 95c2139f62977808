/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/fetcher.h"

#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "capture/writer.h"

enum fetch_state { FETCH_IDLE, FETCH_ASKED, FETCH_ANSWERED, FETCH_QUIT, FETCH_LEFT };

/* Owned by the fetcher until the thread is left behind, and then by the thread. */
struct fetch {
	pthread_mutex_t lock;
	pthread_cond_t asked, answered;
	pthread_t thread;
	enum fetch_state state;
	struct source_channel *channel; /* owned once it was left behind */
	uint8_t *buffer;                /* likewise */
	uint64_t physical;
	size_t offset, size;
	enum kioku_status status;
	struct kioku_error error;
};

uint8_t *fetcher_buffer(void)
{
	void *buffer = mmap(NULL, CAPTURE_BLOCK, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return buffer == MAP_FAILED ? NULL : buffer;
}

void fetcher_free(uint8_t *buffer)
{
	if (buffer)
		munmap(buffer, CAPTURE_BLOCK);
}

static void fetch_free(struct fetch *fetch)
{
	pthread_cond_destroy(&fetch->asked);
	pthread_cond_destroy(&fetch->answered);
	pthread_mutex_destroy(&fetch->lock);
	free(fetch);
}

static void fetch_answer(struct fetch *fetch)
{
	pthread_mutex_unlock(&fetch->lock);
	enum kioku_status status =
		source_channel_read(fetch->channel, fetch->physical, fetch->buffer + fetch->offset,
				    fetch->size, &fetch->error);
	pthread_mutex_lock(&fetch->lock);
	fetch->status = status;
	if (fetch->state == FETCH_ASKED) {
		fetch->state = FETCH_ANSWERED;
		pthread_cond_signal(&fetch->answered);
	}
}

static void *fetch_thread(void *argument)
{
	struct fetch *fetch = argument;

	pthread_mutex_lock(&fetch->lock);
	while (fetch->state < FETCH_QUIT) {
		if (fetch->state == FETCH_ASKED)
			fetch_answer(fetch);
		else
			pthread_cond_wait(&fetch->asked, &fetch->lock);
	}
	bool was_left = fetch->state == FETCH_LEFT;
	pthread_mutex_unlock(&fetch->lock);
	if (was_left) {
		source_channel_close(fetch->channel);
		fetcher_free(fetch->buffer);
		fetch_free(fetch);
	}
	return NULL;
}

/* Not one of the run's threads, as nobody may wait for it. */
static enum kioku_status fetch_start(struct fetcher *fetcher, struct kioku_error *error)
{
	struct fetch *fetch = calloc(1, sizeof(*fetch));
	pthread_condattr_t attributes;

	if (!fetch)
		return error_no_memory(error);
	pthread_mutex_init(&fetch->lock, NULL);
	pthread_cond_init(&fetch->asked, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&fetch->answered, &attributes);
	pthread_condattr_destroy(&attributes);
	fetch->channel = fetcher->channel;
	enum kioku_status status = thread_create(&fetch->thread, fetch_thread, fetch, error);
	if (status != KIOKU_OK)
		fetch_free(fetch);
	else
		fetcher->fetch = fetch;
	return status;
}

enum kioku_status fetcher_init(struct fetcher *fetcher, struct run *run,
			       struct kioku_source *source, unsigned timeout,
			       struct kioku_error *error)
{
	*fetcher = (struct fetcher){ .run = run, .source = source };
	TRY(source_channel_open(source, &fetcher->channel, error));
	if (timeout == 0 || !source_channel_is_free(fetcher->channel))
		return KIOKU_OK;
	fetcher->timeout = timeout / 1000.0;
	return fetch_start(fetcher, error);
}

void fetcher_release(struct fetcher *fetcher)
{
	struct fetch *fetch = fetcher->fetch;

	if (fetch) {
		pthread_mutex_lock(&fetch->lock);
		fetch->state = FETCH_QUIT;
		pthread_cond_signal(&fetch->asked);
		pthread_mutex_unlock(&fetch->lock);
		pthread_join(fetch->thread, NULL);
		fetch_free(fetch);
	}
	source_channel_close(fetcher->channel);
	*fetcher = (struct fetcher){ 0 };
}

/* The bytes of a buffer besides [offset, offset + size), in a new one; NULL: no memory. */
static uint8_t *copy_around(const uint8_t *buffer, size_t offset, size_t size)
{
	uint8_t *copy = fetcher_buffer();

	if (copy) {
		memcpy(copy, buffer, offset);
		memcpy(copy + offset + size, buffer + offset + size, CAPTURE_BLOCK - offset - size);
	}
	return copy;
}

/*
 * Gives the thread up, whose lock is held, so that it cannot come back and free the buffer yet. The
 * buffer's memory goes back to the system; what it still writes there brings in a page or two.
 */
static void leave_behind(struct fetcher *fetcher, uint8_t **buffer)
{
	struct fetch *fetch = fetcher->fetch;

	*buffer = copy_around(fetch->buffer, fetch->offset, fetch->size);
	madvise(fetch->buffer, CAPTURE_BLOCK, MADV_DONTNEED);
	fetch->state = FETCH_LEFT;
	pthread_detach(fetch->thread);
	fetcher->fetch = NULL;
	fetcher->channel = NULL;
	fetcher->left_behind++;
}

/* Waits for the answer; false: there was none in time. */
static bool ask(struct fetcher *fetcher, uint64_t physical, uint8_t **buffer, size_t offset,
		size_t size)
{
	struct fetch *fetch = fetcher->fetch;
	struct timespec deadline = run_deadline(fetcher->timeout);
	int waited = 0;

	pthread_mutex_lock(&fetch->lock);
	fetch->physical = physical;
	fetch->buffer = *buffer;
	fetch->offset = offset;
	fetch->size = size;
	fetch->state = FETCH_ASKED;
	pthread_cond_signal(&fetch->asked);
	while (fetch->state == FETCH_ASKED && waited == 0)
		waited = pthread_cond_timedwait(&fetch->answered, &fetch->lock, &deadline);
	bool answered = fetch->state == FETCH_ANSWERED;
	if (answered)
		fetch->state = FETCH_IDLE;
	else
		leave_behind(fetcher, buffer);
	pthread_mutex_unlock(&fetch->lock);
	return answered;
}

static enum kioku_status take_over(struct fetcher *fetcher, const uint8_t *buffer,
				   struct kioku_error *error)
{
	if (!buffer)
		return error_no_memory(error);
	if (fetcher->left_behind > FETCHER_LIMIT)
		return error_set(error, KIOKU_ERROR_LIMIT, "more than %d reads hang",
				 FETCHER_LIMIT);
	TRY(source_channel_open(fetcher->source, &fetcher->channel, error));
	return fetch_start(fetcher, error);
}

enum fetch_result fetcher_read(struct fetcher *fetcher, uint64_t physical, uint8_t **buffer,
			       size_t offset, size_t size, struct kioku_error *error)
{
	const struct fetch *fetch = fetcher->fetch;

	if (!fetch)
		return source_channel_read(fetcher->channel, physical, *buffer + offset, size,
					   error) == KIOKU_OK
			       ? FETCH_DONE
			       : FETCH_FAILED;
	if (!ask(fetcher, physical, buffer, offset, size))
		return take_over(fetcher, *buffer, error) == KIOKU_OK ? FETCH_TIMED_OUT
								      : FETCH_OVER;
	if (fetch->status == KIOKU_OK)
		return FETCH_DONE;
	*error = fetch->error;
	return FETCH_FAILED;
}
