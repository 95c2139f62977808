// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * usage: gap [--rss MB] [--threads N] [--rate WRITES] [--cpu N]
 *        gap --period US [--phase US] [--kilobytes K] [--cpu N]
 *        gap --period US --touch PAGES [--rss MB] [--cpu N]
 * What a stop is as the one who is stopped sees it. The main thread reads the clock all the time and
 * notes gaps of more than 10 us: when it was over (monotonic) and how long it was, in nanoseconds.
 * The other threads sleep for 1 ms.
 * With a period, it is a real-time task instead: it writes K KB each period, PHASE after all that are
 * due without one, and misses its deadline if that is done later than 250 us after it was due; a gap is
 * then how late it was. Or it writes one
 * word of each of the next PAGES pages, and a gap is how long that took.
 * "ready" says where the notes are, for who reads its memory: how many there were, then the last
 * of them in a ring. They are ordinary memory: what is shared is copied while the target is stopped.
 */
#include "target.h"
#include "counters.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define NOTED   (1UL << 16) /* gaps, in the ring */
#define LEAST   10000L
#define SLACK   250000L
#define BUCKETS 24 /* bucket n: up to 2^n us */

/* The same layout is read by bench/snapshot_bench.py. */
struct gaps {
	uint64_t count;
	struct gap {
		int64_t when, length;
	} ring[NOTED];
};

static unsigned long rss = 28, threads = 1, rate, cpu = ~0UL, period, phase, kilobytes = 16, touch;
static struct gaps *gaps;
static unsigned long buckets[BUCKETS], longest;
static char *memory;

static void count_gap(long length)
{
	unsigned bucket = 0;

	while (bucket < BUCKETS - 1 && length > 1000L << bucket)
		bucket++;
	buckets[bucket]++;
	if ((unsigned long)length > longest)
		longest = (unsigned long)length;
}

static void note(long when, long length)
{
	count_gap(length);
	gaps->ring[gaps->count % NOTED] = (struct gap){ when, length };
	__atomic_store_n(&gaps->count, gaps->count + 1, __ATOMIC_RELEASE);
}

/* The longest of each millisecond only: while a duplicate is held, each write is a gap. */
static void note_longest(long when, long length)
{
	struct gap *last = &gaps->ring[(gaps->count - 1) % NOTED];

	if (gaps->count == 0 || when - last->when >= MILLISECOND) {
		note(when, length);
		return;
	}
	count_gap(length);
	if (length > last->length)
		*last = (struct gap){ when, length };
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
				note_longest(now, now - before);
			before = now;
			if (rate != 0 && now >= next_write) {
				memory[counters_mix(write++) % (rss << 8) * PAGE]++;
				next_write += SECOND / (long)rate;
			}
		}
	}
	target_count("writes", write);
}

static long write_kilobytes(unsigned long period_number)
{
	for (unsigned long page = 0; page < kilobytes / 4; page++)
		memset(memory + page * PAGE, (int)period_number, PAGE);
	return target_now();
}

/* Pages in turn, so that a page is not written twice while one snapshot is taken. */
static long touch_pages(unsigned long period_number)
{
	for (unsigned long page = period_number * touch; page < (period_number + 1) * touch; page++)
		memory[page % (rss << 8) * PAGE]++;
	return target_now();
}

static void run_periods(void)
{
	unsigned long periods = 0, missed = 0;
	long due = target_now() / ((long)period * 1000) * (long)period * 1000 + (long)phase * 1000;

	while (target_goes_on()) {
		long now, late;

		due += (long)period * 1000;
		target_sleep(due - target_now());
		if (touch != 0)
			due = target_now(); /* it is only about how long it takes */
		now = touch != 0 ? touch_pages(periods) : write_kilobytes(periods);
		late = now - due;
		note(now, late);
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
		{ "rss", &rss },     { "threads", &threads }, { "rate", &rate },
		{ "cpu", &cpu },     { "period", &period },   { "kilobytes", &kilobytes },
		{ "phase", &phase }, { "touch", &touch },     { NULL, NULL },
	};

	target_begin(argc, argv, options);
	gaps = target_map(sizeof(*gaps));
	memory = target_map(rss << 20);
	/* A fault of our own is no gap. */
	memset(gaps, 0, sizeof(*gaps));
	memset(memory, 1, rss << 20);
	for (unsigned long i = 1; i < threads; i++)
		target_thread(sleep_and_sleep, NULL);
	pin();
	if (period != 0 && touch == 0)
		be_real_time();
	target_ready("gaps=%p memory=%p", (void *)gaps, (void *)memory);
	if (period != 0)
		run_periods();
	else
		watch();
	target_finish();
	target_join();
	target_count("gaps", gaps->count);
	target_count("longest", longest);
	for (unsigned i = 0; i < BUCKETS; i++) {
		snprintf(names[i], sizeof(names[i]), "up_to_%lu_us", 1UL << i);
		if (buckets[i] != 0)
			target_count(names[i], buckets[i]);
	}
	return target_end();
}
