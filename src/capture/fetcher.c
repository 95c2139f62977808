/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/fetcher.h"

#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "capture/plan.h"

enum fetch_state { FETCH_IDLE, FETCH_ASKED, FETCH_ANSWERED, FETCH_QUIT, FETCH_LEFT };

/* What a way is asked for, and its answer. */
struct fetch_job {
	uint64_t physical;
	uint8_t *data;
	size_t size, pages;
	bool asks_states;
	uint8_t states[FETCHER_PAGES];
	bool is_skipped;
	enum kioku_status status;
	struct kioku_error error;
};

/* Owned by the fetcher until the thread is left behind, and then by the thread. */
struct fetch {
	pthread_mutex_t lock;
	pthread_cond_t asked, answered;
	pthread_t thread;
	enum fetch_state state;
	struct source_channel *channel; /* owned once it was left behind */
	struct fetch_job job;
};

uint8_t *fetcher_buffer(void)
{
	/* All of it will be used: one call is less than a fault for each page. */
	void *buffer = mmap(NULL, CAPTURE_BLOCK, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return buffer == MAP_FAILED ? NULL : buffer;
}

void fetcher_free(uint8_t *buffer)
{
	if (buffer)
		munmap(buffer, CAPTURE_BLOCK);
}

/* --- on the thread of a way */

/* Whether nothing speaks against touching any of the pages. */
static bool find_states(struct source_channel *channel, struct fetch_job *job)
{
	uint64_t start = job->physical / CAPTURE_PAGE * CAPTURE_PAGE;
	bool all = true;

	if (!source_channel_states(channel, start, job->pages, job->states))
		memset(job->states, PAGE_READ, job->pages);
	for (size_t i = 0; i < job->pages; i++)
		all &= page_state_is_content((enum page_state)job->states[i]);
	return all;
}

static void perform(struct source_channel *channel, struct fetch_job *job)
{
	job->status = KIOKU_OK;
	job->is_skipped = job->asks_states && !find_states(channel, job);
	if (!job->is_skipped)
		job->status = source_channel_read(channel, job->physical, job->data, job->size,
						  &job->error);
}

static void fetch_free(struct fetch *fetch)
{
	pthread_cond_destroy(&fetch->asked);
	pthread_cond_destroy(&fetch->answered);
	pthread_mutex_destroy(&fetch->lock);
	free(fetch);
}

static void *fetch_thread(void *argument)
{
	struct fetch *fetch = argument;

	pthread_mutex_lock(&fetch->lock);
	while (fetch->state < FETCH_QUIT) {
		if (fetch->state != FETCH_ASKED) {
			pthread_cond_wait(&fetch->asked, &fetch->lock);
			continue;
		}
		pthread_mutex_unlock(&fetch->lock);
		perform(fetch->channel, &fetch->job);
		pthread_mutex_lock(&fetch->lock);
		if (fetch->state == FETCH_ASKED) {
			fetch->state = FETCH_ANSWERED;
			pthread_cond_signal(&fetch->answered);
		}
	}
	bool was_left = fetch->state == FETCH_LEFT;
	pthread_mutex_unlock(&fetch->lock);
	if (was_left) {
		source_channel_close(fetch->channel);
		fetch_free(fetch);
	}
	return NULL;
}

/* --- on the caller's */

/* Not one of the run's threads, as nobody may wait for it. */
static enum kioku_status fetch_start(struct fetch_way *way, struct kioku_error *error)
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
	fetch->channel = way->channel;
	enum kioku_status status = thread_create(&fetch->thread, fetch_thread, fetch, error);
	if (status != KIOKU_OK)
		fetch_free(fetch);
	else
		way->fetch = fetch;
	return status;
}

enum kioku_status fetcher_init(struct fetcher *fetcher, struct run *run,
			       struct kioku_source *source, unsigned timeout,
			       struct kioku_error *error)
{
	*fetcher = (struct fetcher){ .run = run, .source = source, .way_count = 1 };
	TRY(source_channel_open(source, &fetcher->ways[0].channel, error));
	if (!source_channel_is_free(fetcher->ways[0].channel))
		return KIOKU_OK;
	fetcher->timeout = timeout / 1000.0;
	fetcher->way_count = FETCHER_WAYS;
	for (unsigned i = 0; i < fetcher->way_count; i++) {
		struct fetch_way *way = &fetcher->ways[i];
		if (!way->channel)
			TRY(source_channel_open(source, &way->channel, error));
		TRY(fetch_start(way, error));
	}
	return KIOKU_OK;
}

void fetcher_release(struct fetcher *fetcher)
{
	for (unsigned i = 0; i < fetcher->way_count; i++) {
		struct fetch *fetch = fetcher->ways[i].fetch;
		if (fetch) {
			pthread_mutex_lock(&fetch->lock);
			fetch->state = FETCH_QUIT;
			pthread_cond_signal(&fetch->asked);
			pthread_mutex_unlock(&fetch->lock);
			pthread_join(fetch->thread, NULL);
			fetch_free(fetch);
		}
		source_channel_close(fetcher->ways[i].channel);
	}
	*fetcher = (struct fetcher){ 0 };
}

static void ask(struct fetch *fetch, const struct fetch_job *job)
{
	pthread_mutex_lock(&fetch->lock);
	fetch->job.physical = job->physical;
	fetch->job.data = job->data;
	fetch->job.size = job->size;
	fetch->job.pages = job->pages;
	fetch->job.asks_states = job->asks_states;
	fetch->state = FETCH_ASKED;
	pthread_cond_signal(&fetch->asked);
	pthread_mutex_unlock(&fetch->lock);
}

/* Waits for the answer, which is good until the next ask(). NULL: there was none in time. */
static struct fetch_job *await(struct fetcher *fetcher, struct fetch_way *way,
			       const struct timespec *deadline)
{
	struct fetch *fetch = way->fetch;
	int waited = 0;

	pthread_mutex_lock(&fetch->lock);
	while (fetch->state == FETCH_ASKED && waited == 0)
		waited = fetcher->timeout > 0
				 ? pthread_cond_timedwait(&fetch->answered, &fetch->lock, deadline)
				 : pthread_cond_wait(&fetch->answered, &fetch->lock);
	bool answered = fetch->state == FETCH_ANSWERED;
	fetch->state = answered ? FETCH_IDLE : FETCH_LEFT;
	if (!answered) {
		pthread_detach(fetch->thread);
		*way = (struct fetch_way){ 0 };
		fetcher->left_behind++;
	}
	pthread_mutex_unlock(&fetch->lock);
	return answered ? &fetch->job : NULL;
}

/*
 * Another buffer with the bytes of the old one besides [offset, offset + size). The old one stays,
 * for a thread that hangs may come back and write to it; but its memory goes back to the system.
 */
static uint8_t *replace_buffer(uint8_t *buffer, size_t offset, size_t size)
{
	uint8_t *copy = fetcher_buffer();

	if (copy) {
		memcpy(copy, buffer, offset);
		memcpy(copy + offset + size, buffer + offset + size, CAPTURE_BLOCK - offset - size);
	}
	madvise(buffer, CAPTURE_BLOCK, MADV_DONTNEED);
	return copy;
}

/* Threads in place of those that were left behind. */
static enum kioku_status take_over(struct fetcher *fetcher, const uint8_t *buffer,
				   struct kioku_error *error)
{
	if (!buffer)
		return error_no_memory(error);
	if (fetcher->left_behind > FETCHER_LIMIT)
		return error_set(error, KIOKU_ERROR_LIMIT, "more than %d reads hang",
				 FETCHER_LIMIT);
	for (unsigned i = 0; i < fetcher->way_count; i++) {
		struct fetch_way *way = &fetcher->ways[i];
		if (way->fetch)
			continue;
		TRY(source_channel_open(fetcher->source, &way->channel, error));
		TRY(fetch_start(way, error));
	}
	return KIOKU_OK;
}

/* The job of all ways together. */
struct fetch_order {
	uint64_t physical;
	uint8_t *data;
	size_t size;
	uint8_t *states; /* or NULL */
};

/* The index-th of so many parts, which begin and end where pages do. */
static struct fetch_job part_of(const struct fetch_order *order, unsigned count, unsigned index,
				size_t *first_page)
{
	uint64_t end = order->physical + order->size, bounds[2];

	for (unsigned i = 0; i < 2; i++) {
		uint64_t bound = order->physical + order->size * (index + i) / count;
		bounds[i] = index + i == 0       ? order->physical
			    : index + i == count ? end
						 : bound / CAPTURE_PAGE * CAPTURE_PAGE;
	}
	size_t size = (size_t)(bounds[1] - bounds[0]);
	*first_page = (size_t)(bounds[0] / CAPTURE_PAGE - order->physical / CAPTURE_PAGE);
	return (struct fetch_job){ .physical = bounds[0],
				   .data = order->data + (bounds[0] - order->physical),
				   .size = size,
				   .pages = (size_t)plan_pages(bounds[0], size),
				   .asks_states = order->states != NULL };
}

/* Adds one answer to what is known of all. */
static enum fetch_result take_answer(const struct fetch_job *job, uint8_t *states,
				     enum fetch_result result, struct kioku_error *error)
{
	if (states)
		memcpy(states, job->states, job->pages);
	if (job->status != KIOKU_OK && result < FETCH_FAILED)
		*error = job->error;
	if (job->status != KIOKU_OK)
		return result > FETCH_FAILED ? result : FETCH_FAILED;
	return job->is_skipped && result < FETCH_SKIPPED ? FETCH_SKIPPED : result;
}

static enum fetch_result read_alone(struct fetcher *fetcher, const struct fetch_order *order,
				    struct kioku_error *error)
{
	size_t first_page;
	struct fetch_job job = part_of(order, 1, 0, &first_page);

	perform(fetcher->ways[0].channel, &job);
	return take_answer(&job, order->states, FETCH_DONE, error);
}

static enum fetch_result read_together(struct fetcher *fetcher, const struct fetch_order *order,
				       struct kioku_error *error)
{
	unsigned count = order->size / FETCHER_WAYS >= FETCHER_PART ? FETCHER_WAYS : 1;
	struct timespec deadline = deadline_after(fetcher->timeout);
	enum fetch_result result = FETCH_DONE;
	size_t first_pages[FETCHER_WAYS];

	for (unsigned i = 0; i < count; i++) {
		struct fetch_job job = part_of(order, count, i, &first_pages[i]);
		ask(fetcher->ways[i].fetch, &job);
	}
	for (unsigned i = 0; i < count; i++) {
		struct fetch_job *job = await(fetcher, &fetcher->ways[i], &deadline);
		uint8_t *states = order->states ? order->states + first_pages[i] : NULL;
		result = job ? take_answer(job, states, result, error) : FETCH_TIMED_OUT;
	}
	return result;
}

enum fetch_result fetcher_read(struct fetcher *fetcher, uint64_t physical, uint8_t **buffer,
			       size_t offset, size_t size, uint8_t *states,
			       struct kioku_error *error)
{
	struct fetch_order order = { physical, *buffer + offset, size, states };

	if (!fetcher->ways[0].fetch)
		return read_alone(fetcher, &order, error);
	enum fetch_result result = read_together(fetcher, &order, error);
	if (result != FETCH_TIMED_OUT)
		return result;
	*buffer = replace_buffer(*buffer, offset, size);
	return take_over(fetcher, *buffer, error) == KIOKU_OK ? FETCH_TIMED_OUT : FETCH_OVER;
}
