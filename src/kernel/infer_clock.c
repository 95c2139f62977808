/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* struct timekeeper, which says the same time in several ways; kernel/time/timekeeping.c, v4.9 to v7.0. */
#include "kernel/infer.h"

enum {
	KEEPER_ROOM = 512, /* bytes from its symbol on */
	SECOND = 1000000000,
	BASES = 4,
};

/*
 * xtime_sec, ktime_sec, wall_to_monotonic, offs_real, offs_boot and offs_tai have followed each other in all
 * kernels.
 */
enum {
	XTIME = 0,
	KTIME = 8,
	WALL_SECONDS = 16,
	WALL_NANOSECONDS = 24,
	REAL = 32,
	BOOT = 40,
	TAI = 48,
	TIMES = 56
};

static bool are_times(const struct samples *keeper, size_t column, void *user)
{
	int64_t value[TIMES / 8];

	(void)user;
	if (column + TIMES > keeper->width)
		return false;
	for (size_t i = 0; i < TIMES / 8; i++)
		value[i] = (int64_t)sample_u64(keeper, 0, column + 8 * i);
	int64_t seconds = value[WALL_SECONDS / 8], nanoseconds = value[WALL_NANOSECONDS / 8];
	int64_t limit = INT64_MAX / SECOND;
	if (value[0] <= 0 || value[0] > limit || seconds >= 0 || seconds < -limit ||
	    nanoseconds < 0 || nanoseconds >= SECOND || value[KTIME / 8] < 0)
		return false;
	/* The last is a count of leap seconds ahead of UTC. */
	int64_t uptime = value[0] + seconds - value[KTIME / 8];
	int64_t leap = value[TAI / 8] - value[REAL / 8];
	return uptime >= -1 && uptime <= 1 &&
	       value[REAL / 8] == -(seconds * SECOND + nanoseconds) && value[BOOT / 8] >= 0 &&
	       leap % SECOND == 0 && leap >= 0 && leap / SECOND < 1000;
}

/* struct tk_read_base begins it: clock, mask, cycle_last, mult, shift and xtime_nsec. */
enum { CLOCK = 0, MASK = 8, MULTIPLIER = 24, SHIFT = 28, NANOSECONDS = 32, BASE = 56 };

static bool is_base(const struct samples *keeper, size_t column, void *user)
{
	const struct inference *inference = user;

	if (column + BASE > keeper->width)
		return false;
	uint64_t mask = sample_u64(keeper, 0, column + MASK);
	uint32_t shift = sample_u32(keeper, 0, column + SHIFT);
	return kernel_is_pointer(inference->kernel, sample_u64(keeper, 0, column + CLOCK)) &&
	       mask > UINT16_MAX && (mask & (mask + 1)) == 0 && shift > 0 && shift <= 32 &&
	       sample_u32(keeper, 0, column + MULTIPLIER) > 0 &&
	       sample_u64(keeper, 0, column + NANOSECONDS) >> shift < 2 * (uint64_t)SECOND;
}

void infer_clock(struct inference *inference)
{
	static const char *const names[] = { "timekeeper_data", "tk_core" };
	static const char *const evidence = "the same time in several ways";

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		AUTO_SAMPLES struct samples keeper = { .width = KEEPER_ROOM };
		size_t times, bases[BASES];
		uint64_t address = kernel_symbol(inference->kernel, names[i]);
		if (!address || !samples_add(inference->kernel, &keeper, address) ||
		    samples_columns(&keeper, 8, are_times, NULL, &times, 1) == 0)
			continue;
		/* tkr_mono first, then tkr_raw; a copy of it all may follow. */
		size_t count = samples_columns(&keeper, 8, is_base, inference, bases, BASES);
		if (count == 0 || count > BASES || bases[0] > times)
			continue;
		times -= bases[0];
		infer_member(inference, "tk_read_base", "clock", CLOCK, "void *", evidence);
		infer_member(inference, "tk_read_base", "mult", MULTIPLIER, "unsigned int",
			     evidence);
		infer_member(inference, "tk_read_base", "shift", SHIFT, "unsigned int", evidence);
		infer_member(inference, "tk_read_base", "xtime_nsec", NANOSECONDS, "unsigned long",
			     evidence);
		infer_member(inference, "timekeeper", "tkr_mono", 0, "struct tk_read_base",
			     evidence);
		infer_member(inference, "timekeeper", "xtime_sec", times + XTIME, "unsigned long",
			     evidence);
		infer_member(inference, "timekeeper", "offs_real", times + REAL, "long", evidence);
		infer_member(inference, "timekeeper", "offs_boot", times + BOOT, "long", evidence);
		infer_member(inference, "timekeeper", "offs_tai", times + TAI, "long", evidence);
		return;
	}
}
