/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers that look random and are the same for the same seed: SplitMix64 (Steele et al., 2014). */
#ifndef SERVE_RANDOM_H
#define SERVE_RANDOM_H

#include <stdint.h>

struct random {
	uint64_t state; /* the seed, at first */
};

static inline uint64_t random_next(struct random *random)
{
	uint64_t value = random->state += 0x9e3779b97f4a7c15;

	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

/* 0 to limit - 1; as even as 32 bits are. */
static inline uint32_t random_below(struct random *random, uint32_t limit)
{
	return (uint32_t)((random_next(random) >> 32) * limit >> 32);
}

#endif
