// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * usage: gap [FILE] [--rss MB] [--threads N] [--rate WRITES] [--cpu N]
 *        gap [FILE] --period US --kilobytes K
 * What a stop is as the one who is stopped sees it. The main thread reads the clock all the time and
 * notes each gap of more than 10 us in FILE: pairs of 64-bit numbers, when it was over (monotonic) and
 * how long it was, both in nanoseconds; a pair of zeros is none. The other threads sleep for 1 ms.
 * With a period, it is a real-time task instead: it writes K KB each period and misses its deadline
 * if that is done later than 250 us after it was due; a gap is then how late it was.
 */
#include "target.h"
#include "counters.h"

#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOTED   (1UL << 20) /* gaps */
#define LEAST   10000L
#define SLACK   250000L
#define BUCKETS 24 /* bucket n: up to 2^n us */

struct gap {
	int64_t when, length;
};

static unsigned long rss = 28, threads = 1, rate, cpu = ~0UL, period, kilobytes = 16;
static struct gap *gaps;
static unsigned long gap_count, buckets[BUCKETS], longest;
static char *memory;

static void note(long when, long length)
{
	unsigned bucket = 0;

	while (bucket < BUCKETS - 1 && length > 1000L << bucket)
		bucket++;
	buckets[bucket]++;
	if ((unsigned long)length > longest)
		longest = (unsigned long)length;
	if (gap_count < NOTED)
		gaps[gap_count] = (struct gap){ when, length };
	gap_count++;
}

static void map_gaps(const char *path)
{
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int flags = path == NULL ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;

	if (path != NULL && (fd < 0 || ftruncate(fd, NOTED * sizeof(*gaps)) != 0))
		target_die(path);
	gaps = mmap(NULL, NOTED * sizeof(*gaps), PROT_READ | PROT_WRITE, flags, fd, 0);
	if (gaps == MAP_FAILED)
		target_die("mmap");
	if (fd >= 0)
		close(fd);
	/* A fault of our own is no gap: the pages of an hour of them. */
	memset(gaps, 0, NOTED * sizeof(*gaps));
}

static void pin(void)
{
	cpu_set_t set;

	if (cpu == ~0UL)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		target_die("--cpu");
}

static void *sleep_and_sleep(void *unused)
{
	while (target_goes_on())
		target_sleep(MILLISECOND);
	return NULL;
}

/* The loop of the main thread: one random page is written when it is time for it. */
static void watch(void)
{
	long before = target_now(), next_write = before;
	unsigned long write = 0;

	while (target_goes_on()) {
		/* Whether to go on is asked seldom: the clock is all that is read. */
		for (int i = 0; i < 1000; i++) {
			long now = target_now();

			if (now - before > LEAST)
				note(now, now - before);
			before = now;
			if (rate != 0 && now >= next_write) {
				memory[counters_mix(write++) % (rss << 8) * PAGE]++;
				next_write += SECOND / (long)rate;
			}
		}
	}
	target_count("writes", write);
}

static void run_periods(void)
{
	unsigned long periods = 0, missed = 0;
	long due = target_now();

	while (target_goes_on()) {
		long late;

		due += (long)period * 1000;
		target_sleep(due - target_now());
		for (unsigned long page = 0; page < kilobytes / 4; page++)
			memset(memory + page * PAGE, (int)periods, PAGE);
		late = target_now() - due;
		note(due, late);
		missed += late > SLACK;
		periods++;
	}
	target_count("periods", periods);
	target_count("missed", missed);
}

static void be_real_time(void)
{
	const struct sched_param priority = { .sched_priority = 50 };

	if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0)
		target_skip("SCHED_FIFO is not allowed");
	/* As real-time programs do; the memory is there, and no fault is its own. */
	mlockall(MCL_CURRENT);
}

int main(int argc, char **argv)
{
	static char names[BUCKETS][24];
	const struct target_option options[] = {
		{ "rss", &rss }, { "threads", &threads }, { "rate", &rate },
		{ "cpu", &cpu }, { "period", &period },   { "kilobytes", &kilobytes },
		{ NULL, NULL },
	};
	char **words = target_begin(argc, argv, options);

	map_gaps(*words);
	memory = target_map(rss << 20);
	memset(memory, 1, rss << 20);
	pin();
	for (unsigned long i = 1; i < threads; i++)
		target_thread(sleep_and_sleep, NULL);
	if (period != 0)
		be_real_time();
	target_ready("memory=%p", (void *)memory);
	if (period != 0)
		run_periods();
	else
		watch();
	target_finish();
	target_join();
	target_count("gaps", gap_count);
	target_count("longest", longest);
	for (unsigned i = 0; i < BUCKETS; i++) {
		snprintf(names[i], sizeof(names[i]), "up_to_%lu_us", 1UL << i);
		if (buckets[i] != 0)
			target_count(names[i], buckets[i]);
	}
	return target_end();
}
