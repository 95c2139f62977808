/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/timekeeper.h"

#define SECOND 1000000000

static int64_t time_at(const uint8_t *bytes, size_t offset)
{
	return (int64_t)load_le64(bytes + offset);
}

bool timekeeper_are_times(const uint8_t *bytes)
{
	const int64_t limit = INT64_MAX / SECOND;
	int64_t wall = time_at(bytes, TIMES_WALL), uptime = time_at(bytes, TIMES_UPTIME);
	int64_t seconds = time_at(bytes, TIMES_TO_MONOTONIC_SECONDS);
	int64_t nanoseconds = time_at(bytes, TIMES_TO_MONOTONIC_NANOSECONDS);
	int64_t real = time_at(bytes, TIMES_REAL), atomic = time_at(bytes, TIMES_ATOMIC);
	int64_t difference, leap;

	if (wall <= 0 || wall > limit || seconds >= 0 || seconds < -limit || nanoseconds < 0 ||
	    nanoseconds >= SECOND || uptime < 0 || uptime > limit ||
	    real != -(seconds * SECOND + nanoseconds) || time_at(bytes, TIMES_BOOT) < 0)
		return false;
	/* TAI is ahead of UTC by a count of leap seconds. */
	difference = wall + seconds - uptime;
	return difference >= -1 && difference <= 1 &&
	       !__builtin_sub_overflow(atomic, real, &leap) && leap % SECOND == 0 && leap >= 0 &&
	       leap / SECOND < 1000;
}

struct search {
	uint64_t address;
	uint8_t times[TIMES_SIZE];
	bool is_doubtful;
};

static void consider(struct search *search, uint64_t address, const uint8_t *bytes)
{
	if (search->address &&
	    memcmp(bytes + TIMES_REAL, search->times + TIMES_REAL, TIMES_SIZE - TIMES_REAL) != 0)
		search->is_doubtful = true;
	if (search->address && time_at(bytes, TIMES_WALL) <= time_at(search->times, TIMES_WALL))
		return;
	search->address = address;
	memcpy(search->times, bytes, TIMES_SIZE);
}

uint64_t timekeeper_search(struct kioku_kernel *kernel)
{
	struct search search = { 0 };

	for (size_t next = 0;;) {
		AUTO_IMAGE_WINDOW struct image_window window = { 0 };
		const struct mapping *run =
			image_next_data(&kernel->space, &kernel->image, &next, &window);
		if (!run)
			break;
		for (uint64_t at = 0; at + TIMES_SIZE <= run->size; at += 8)
			if (timekeeper_are_times(window.buffer + at))
				consider(&search, run->virtual + at, window.buffer + at);
	}
	return search.is_doubtful ? 0 : search.address;
}
