/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "search/process_scan.h"

#include <pthread.h>
#include <string.h>

#include "base/growing.h"
#include "base/arena.h"

#define CHUNK        (8u << 20)
#define OVERLAP      (64u << 10) /* a match that is longer may be lost at a chunk's end */
#define THREAD_LIMIT 16
#define AHEAD        32 /* processes that may be done before an earlier one is */

struct job {
	struct scanned_process *process;
	struct rule_match *matches; /* data in the arena */
	size_t count, capacity;
	struct arena arena;
	struct kioku_error error;
	enum kioku_status status;
	bool too_many, is_done;
};

struct pool {
	struct process_scan *scan;
	struct job *jobs;
	size_t next, given; /* job that is taken, and given to the caller, next */
	uint64_t bytes;
	bool stops;
	pthread_mutex_t lock; /* of all this, and of the kernel */
	pthread_cond_t changed;
};

/* One job in a thread. */
struct work {
	struct pool *pool;
	struct job *job;
	uint8_t *buffer;
	size_t run;
	uint64_t at; /* 0: at the start of the run */
};

/* --- reading */

/* Under the lock. Where a chunk is full, the next one starts a little before its end. */
static size_t read_chunk(struct work *work, uint64_t *address)
{
	struct process_blocks *blocks = &work->job->process->blocks;

	while (work->run < blocks->count) {
		const struct block_run *run = &blocks->runs[work->run];
		uint64_t start = work->at ? work->at : run->start;
		uint64_t left = run->end - start;
		size_t wanted = left < CHUNK ? (size_t)left : CHUNK;
		size_t size = process_blocks_read(blocks, start, wanted, work->buffer);
		*address = start;
		work->at = size == 0                       ? start + PAGE_SIZE
			   : size < wanted                 ? start + size
			   : size == CHUNK && left > CHUNK ? start + CHUNK - OVERLAP
							   : run->end;
		if (work->at >= run->end) {
			work->run++;
			work->at = 0;
		}
		if (size > 0)
			return size;
	}
	return 0;
}

static bool next_block(void *user, struct rule_block *out)
{
	struct work *work = user;
	struct pool *pool = work->pool;

	pthread_mutex_lock(&pool->lock);
	size_t size = pool->stops ? 0 : read_chunk(work, &out->address);
	pool->bytes += size;
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	out->data = work->buffer;
	out->size = size;
	return size > 0;
}

static enum kioku_status store(void *user, const struct rule_match *match)
{
	struct work *work = user;
	struct job *job = work->job;

	if (!GROW(job->matches, job->count, job->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	struct rule_match *kept = &job->matches[job->count];
	*kept = *match;
	if (match->data) {
		kept->data = (uint8_t *)arena_copy(&job->arena, match->data, match->data_size);
		if (!kept->data)
			return KIOKU_ERROR_NO_MEMORY;
	}
	job->count++;
	return KIOKU_OK;
}

/* --- threads */

static struct job *take_job(struct pool *pool)
{
	struct job *job = NULL;

	pthread_mutex_lock(&pool->lock);
	while (!pool->stops && pool->next < pool->scan->count && pool->next >= pool->given + AHEAD)
		pthread_cond_wait(&pool->changed, &pool->lock);
	if (!pool->stops && pool->next < pool->scan->count)
		job = &pool->jobs[pool->next++];
	pthread_mutex_unlock(&pool->lock);
	return job;
}

static void *work(void *argument)
{
	struct pool *pool = argument;
	AUTO_FREE uint8_t *buffer = malloc(CHUNK);
	struct job *job;

	while ((job = take_job(pool))) {
		struct work one = { .pool = pool, .job = job, .buffer = buffer };
		struct rule_scan scan = {
			.next = next_block, .receive = store, .user = &one, .is_process = true
		};
		job->status = buffer ? rules_scan(pool->scan->rules, &scan, &job->error)
				     : KIOKU_ERROR_NO_MEMORY;
		job->too_many = scan.too_many;
		pthread_mutex_lock(&pool->lock);
		job->is_done = true;
		pthread_cond_broadcast(&pool->changed);
		pthread_mutex_unlock(&pool->lock);
	}
	return NULL;
}

static void job_release(struct job *job)
{
	free(job->matches);
	job->matches = NULL;
	arena_release(&job->arena);
}

/* Under the lock. */
static enum kioku_status give_job(struct pool *pool, struct job *job)
{
	struct process_scan *scan = pool->scan;
	int32_t pid = job->process->task.tgid;

	if (job->status == KIOKU_ERROR_NO_MEMORY)
		return job->status;
	if (job->status != KIOKU_OK)
		diagnose(&scan->kernel->diagnostics, KIOKU_GAP, "process %d: %s", pid,
			 job->error.message);
	if (job->too_many)
		diagnose(&scan->kernel->diagnostics, KIOKU_GAP,
			 "process %d: a string is there too often, not all places of it are listed",
			 pid);
	for (size_t i = 0; i < job->count; i++)
		TRY(scan->receive(scan->user, job->process, &job->matches[i]));
	return KIOKU_OK;
}

static enum kioku_status give_all(struct pool *pool)
{
	struct process_scan *scan = pool->scan;
	enum kioku_status status = KIOKU_OK;

	pthread_mutex_lock(&pool->lock);
	while (status == KIOKU_OK && pool->given < scan->count) {
		struct job *job = &pool->jobs[pool->given];
		if (scan->progress)
			scan->progress(scan->user, pool->bytes);
		if (!job->is_done) {
			pthread_cond_wait(&pool->changed, &pool->lock);
			continue;
		}
		status = give_job(pool, job);
		job_release(job);
		pool->given++;
		pthread_cond_broadcast(&pool->changed);
	}
	pool->stops = true;
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	return status;
}

static enum kioku_status run_threads(struct pool *pool, struct kioku_error *error)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t wanted = cpus < 1 ? 1 : cpus > THREAD_LIMIT ? THREAD_LIMIT : (size_t)cpus;
	pthread_t threads[THREAD_LIMIT];
	size_t started = 0;

	wanted = wanted < pool->scan->count ? wanted : pool->scan->count;
	/* Of an ordinary stack: libyara may need more than kioku's own threads. */
	while (started < wanted && pthread_create(&threads[started], NULL, work, pool) == 0)
		started++;
	if (started == 0)
		return error_set(error, KIOKU_ERROR_LIMIT, "cannot start a thread");
	enum kioku_status status = give_all(pool);
	while (started > 0)
		pthread_join(threads[--started], NULL);
	return status;
}

enum kioku_status process_scan_run(struct process_scan *scan, struct kioku_error *error)
{
	struct pool pool = { .scan = scan,
			     .lock = PTHREAD_MUTEX_INITIALIZER,
			     .changed = PTHREAD_COND_INITIALIZER };

	if (scan->count == 0)
		return KIOKU_OK;
	pool.jobs = calloc(scan->count, sizeof(*pool.jobs));
	if (!pool.jobs)
		return error_no_memory(error);
	for (size_t i = 0; i < scan->count; i++)
		pool.jobs[i].process = &scan->processes[i];
	enum kioku_status status = run_threads(&pool, error);
	for (size_t i = 0; i < scan->count; i++)
		job_release(&pool.jobs[i]);
	free(pool.jobs);
	return status;
}
