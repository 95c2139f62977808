/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/prediction.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "snapshot/userfault.h"
#include "snapshot/wait.h"

enum { SAMPLE = 16 << 20, PAGE = 4096, HUGE = 2 << 20, ROUNDS = 3 };

/* Nanoseconds; measured where tracer and target have a CPU each (bench/RESULTS.md). */
enum {
	STOP_BASE = 60000,
	STOP_THREAD = 12000,   /* stopping, reading registers, letting go */
	CALL = 25000,          /* an injected call, but for what it does */
	MAPPING = 1500,        /* a fork copies it */
	TRACKED_MAPPING = 500, /* that is tracked, is so no longer */
	DIRTY_PAGE = 1500,     /* read by itself */
};

/* A fork of a process that has not been forked of late takes about twice as long: cold caches. */
static const double fork_margin = 2;

/* Page tables of gigabytes are in no cache. */
static const double look_margin = 1.5;

static uint64_t time_fork(void)
{
	uint64_t start = wait_now();
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	uint64_t time = wait_now() - start;
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return pid > 0 ? time : UINT64_MAX;
}

static uint64_t least(uint64_t (*measure)(void))
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t time = measure();
		best = time < best ? time : best;
	}
	return best;
}

enum kioku_status prediction_measure(struct prediction_pace *pace, struct kioku_error *error)
{
	uint64_t without = least(time_fork);
	uint8_t *memory =
		mmap(NULL, SAMPLE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || without == UINT64_MAX)
		return error_os(error, "cannot measure how long a fork takes");
	madvise(memory, SAMPLE, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < SAMPLE; i += PAGE)
		memory[i] = 1;
	uint64_t with = least(time_fork);
	/* Forks have left it write-protected; that is not what is to be measured. */
	memset(memory, 2, SAMPLE);
	uint64_t start = wait_now();
	memcpy(memory, memory + SAMPLE / 2, SAMPLE / 2);
	uint64_t copying = wait_now() - start;
	pace->has_tracking = userfault_measure(memory, SAMPLE, &pace->look, &pace->delay);
	munmap(memory, SAMPLE);
	pace->fork_base = (double)without;
	pace->fork = with > without ? (double)(with - without) / SAMPLE : 0;
	pace->copy = (double)copying / (SAMPLE / 2);
	return KIOKU_OK;
}

static double base(const struct prediction_pace *pace, const struct prediction_input *input)
{
	return STOP_BASE + (double)input->threads * STOP_THREAD +
	       (double)input->copied * pace->copy * 2;
}

uint64_t prediction_of_fork(const struct prediction_pace *pace,
			    const struct prediction_input *input)
{
	double entries = (double)input->small_pages +
			 (double)input->huge_pages * PAGE / HUGE; /* one entry for each */

	return (uint64_t)(base(pace, input) + CALL + pace->fork_base +
			  (double)input->mappings * MAPPING + entries * pace->fork * fork_margin);
}

uint64_t prediction_of_track(const struct prediction_pace *pace,
			     const struct prediction_input *input)
{
	double entries = (double)(input->small_pages - input->watched) +
			 (double)input->huge_pages * PAGE / HUGE;
	double stop = entries * pace->look * look_margin + (double)input->dirty / PAGE * DIRTY_PAGE;
	double teardown = (double)input->mappings * TRACKED_MAPPING;

	return (uint64_t)(base(pace, input) + (stop > teardown ? stop : teardown));
}

/* To clear the bits, in a stop before, takes about as long as to read them (bench/RESULTS.md). */
uint64_t prediction_of_soft_dirty(const struct prediction_pace *pace,
				  const struct prediction_input *input)
{
	return (uint64_t)(base(pace, input) + (double)input->look * look_margin +
			  (double)input->mappings * MAPPING);
}

uint64_t prediction_of_dirty(uint64_t time)
{
	return time / DIRTY_PAGE * PAGE;
}

uint64_t prediction_of_look(const struct prediction_pace *pace, uint64_t time)
{
	return pace->has_tracking ? (uint64_t)((double)time / (pace->look * look_margin))
				  : UINT64_MAX;
}

uint64_t prediction_of_stop(const struct prediction_pace *pace,
			    const struct prediction_input *input)
{
	/* Through the kernel, and into a file or pipe with digests: far slower than memory. */
	return (uint64_t)(base(pace, input) +
			  (double)(input->small_pages + input->huge_pages) * pace->copy * 4);
}
