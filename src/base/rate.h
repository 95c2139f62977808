/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* So many bytes a second, at most. */
#ifndef BASE_RATE_H
#define BASE_RATE_H

#include <stdint.h>

struct rate {
	uint64_t limit; /* bytes a second; 0: none */
	double next;    /* seconds of whichever clock is used; 0 at first */
};

/*
 * When the next size bytes may be done, and counts them as done: now, or before, is at once. What was not used of
 * more than 0.1 s is not made up for.
 */
double rate_take(struct rate *rate, double now, uint64_t size);

#endif
