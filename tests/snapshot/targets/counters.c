// SPDX-License-Identifier: LGPL-2.1-or-later
/* Writes memory that a torn image shows: see counters.h. */
#include "counters.h"
#include "target.h"

#include <stdatomic.h>
#include <stdio.h>

static struct counters counters = { .magic = COUNTERS_MAGIC, .seed = 7 };
static unsigned long threads = 3, pages = 64, rolled_pages = 1024, rate = 10000, pad;

/* A store that is seen after all that were made before, as the invariants have it. */
static void store(uint64_t address, uint64_t value)
{
	atomic_store_explicit((_Atomic uint64_t *)address, value, memory_order_release);
}

static uint64_t load(uint64_t address)
{
	return atomic_load_explicit((_Atomic uint64_t *)address, memory_order_acquire);
}

static void write_chain(uint64_t thread, uint64_t number)
{
	for (uint64_t page = 0; page < pages; page++)
		store(counters.chains + (thread * pages + page) * PAGE, number);
}

static void copy_cell(uint64_t thread, uint64_t number)
{
	uint64_t up = counters.up + thread * PAGE;
	uint64_t down = counters.down + (threads - 1 - thread) * PAGE;

	store(up, thread == 0 ? number : load(up - PAGE));
	store(down, thread == 0 ? number : load(down + PAGE));
}

static void *run(void *argument)
{
	uint64_t thread = (uint64_t)argument;

	for (uint64_t number = 1; target_goes_on(); number++) {
		write_chain(thread, number);
		copy_cell(thread, number);
	}
	return NULL;
}

static void roll(uint64_t write)
{
	uint64_t page = counters.rolls + counters_page(&counters, write) * PAGE;

	store(page, write);
	store(page + PAGE - sizeof(write), write);
	store((uint64_t)&counters.done, write);
}

static void *run_rolls(void *unused)
{
	long began = target_now();

	(void)unused;
	for (uint64_t write = 1; target_goes_on(); write++) {
		roll(write);
		/* In time on average: a short sleep for each would take much longer. */
		while (rate != 0 && target_goes_on() &&
		       target_now() - began < (long)(write * (SECOND / rate)))
			target_sleep(MILLISECOND);
	}
	return NULL;
}

static void fill_rolls(void)
{
	for (uint64_t page = 0; page < rolled_pages; page++) {
		uint64_t *words = (uint64_t *)(counters.rolls + page * PAGE);

		for (uint64_t word = 1; word < PAGE_WORDS - 1; word++)
			words[word] = counters_fixed(page, word);
	}
}

/* More memory that is never written, so that copying takes a while. */
static void fill_pad(void)
{
	uint64_t *words = pad == 0 ? NULL : target_map(pad << 20);

	for (uint64_t i = 0; i < (pad << 20) / sizeof(*words); i += PAGE_WORDS)
		words[i] = i;
}

int main(int argc, char **argv)
{
	const struct target_option options[] = {
		{ "threads", &threads }, { "pages", &pages }, { "rolled", &rolled_pages },
		{ "rate", &rate },       { "pad", &pad },     { NULL, NULL }
	};

	target_begin(argc, argv, options);
	counters.threads = threads;
	counters.pages = pages;
	counters.rolled_pages = rolled_pages;
	/* In one piece, which is in the order of its addresses: the cells around all else. */
	counters.up = (uint64_t)target_map((2 * threads + threads * pages + rolled_pages) * PAGE);
	counters.chains = counters.up + threads * PAGE;
	counters.rolls = counters.chains + threads * pages * PAGE;
	counters.down = counters.rolls + rolled_pages * PAGE;
	fill_rolls();
	fill_pad();
	for (uint64_t thread = 1; thread < threads; thread++)
		target_thread(run, (void *)thread);
	target_thread(run_rolls, NULL);
	target_ready("header=%#lx", (unsigned long)&counters);
	run((void *)0);
	target_finish();
	target_join();
	target_count("numbers", load(counters.chains));
	target_count("writes", counters.done);
	return target_end();
}
