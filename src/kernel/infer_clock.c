/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* struct timekeeper, which says the same time in several ways; kernel/time/timekeeping.c, v4.9 to v7.0. */
#include "kernel/infer.h"
#include "kernel/timekeeper.h"

enum {
	KEEPER_ROOM = 512, /* bytes from its symbol on */
	TIMES_ROOM = 128,  /* bytes in front of the times, at most: two struct tk_read_base */
	SECOND = 1000000000,
	BASES = 4,
};

static bool are_times(const struct samples *keeper, size_t column, void *user)
{
	return column + TIMES_SIZE <= keeper->width && timekeeper_are_times(keeper->data + column);
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

/* Where the structure begins and where the times are in it, both from the start of a row. */
static bool find_keeper(struct inference *inference, uint64_t address, struct samples *keeper,
			size_t *start, size_t *times)
{
	size_t bases[BASES];

	if (!samples_add(inference->kernel, keeper, address) ||
	    samples_columns(keeper, 8, are_times, NULL, times, 1) == 0)
		return false;
	/* tkr_mono first, then tkr_raw; a copy of it all may follow. */
	size_t count = samples_columns(keeper, 8, is_base, inference, bases, BASES);
	*start = bases[0];
	return count > 0 && count <= BASES && bases[0] < *times;
}

/* In a kernel without symbols for data, what is in front of the times may be the end of something else. */
static uint64_t keeper_by_times(struct inference *inference)
{
	uint64_t times = timekeeper_search(inference->kernel);

	return times ? times - TIMES_ROOM : 0;
}

void infer_clock(struct inference *inference)
{
	static const char *const names[] = { "timekeeper_data", "tk_core" };
	static const char *const evidence = "the same time in several ways";
	struct kioku_kernel *kernel = inference->kernel;
	AUTO_SAMPLES struct samples keeper = { .width = KEEPER_ROOM };
	uint64_t address = 0;
	size_t start, times;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names) && !address; i++)
		address = kernel_symbol(kernel, names[i]);
	if (!address)
		address = keeper_by_times(inference);
	if (!address || !find_keeper(inference, address, &keeper, &start, &times))
		return;
	times -= start;
	infer_member(inference, "tk_read_base", "clock", CLOCK, "void *", evidence);
	infer_member(inference, "tk_read_base", "mult", MULTIPLIER, "unsigned int", evidence);
	infer_member(inference, "tk_read_base", "shift", SHIFT, "unsigned int", evidence);
	infer_member(inference, "tk_read_base", "xtime_nsec", NANOSECONDS, "unsigned long",
		     evidence);
	infer_member(inference, "timekeeper", "tkr_mono", 0, "struct tk_read_base", evidence);
	infer_member(inference, "timekeeper", "xtime_sec", times + TIMES_WALL, "unsigned long",
		     evidence);
	infer_member(inference, "timekeeper", "offs_real", times + TIMES_REAL, "long", evidence);
	infer_member(inference, "timekeeper", "offs_boot", times + TIMES_BOOT, "long", evidence);
	infer_member(inference, "timekeeper", "offs_tai", times + TIMES_ATOMIC, "long", evidence);
}
