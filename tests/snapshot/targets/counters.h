/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory of which only an image of one instant satisfies the invariants. The same layout is read by
 * tests/snapshot/counters.py.
 *
 * chains: thread t writes a number into the first word of its pages 0, 1, 2, ..., then the next
 *	number: at each instant they are n, n, ..., n - 1, n - 1.
 * cells: thread t copies what it has seen in cell t - 1: no cell is ahead of the one before. They
 *	rise through memory (up) and fall (down), so that neither direction of copying is spared.
 * rolls: write s puts s into the first and then the last word of page counters_page(seed, s), and
 *	then into done: the state after each number of writes is known.
 */
#ifndef COUNTERS_H
#define COUNTERS_H

#include <stdint.h>

#define COUNTERS_MAGIC 0x53524554554e4f43ULL
#define PAGE_WORDS     512

struct counters {
	uint64_t magic;
	uint64_t threads, pages; /* of the chains: pages each */
	uint64_t rolled_pages, seed, done;
	uint64_t chains, up, down, rolls; /* addresses */
};

/* splitmix64 (Vigna): a good hash of a number, so that any write can be computed alone. */
static inline uint64_t counters_mix(uint64_t value)
{
	value += 0x9e3779b97f4a7c15ULL;
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
	return value ^ (value >> 31);
}

static inline uint64_t counters_page(const struct counters *counters, uint64_t write)
{
	return counters_mix(counters->seed + write) % counters->rolled_pages;
}

/* What is in the words of a rolled page that are never written. */
static inline uint64_t counters_fixed(uint64_t page, uint64_t word)
{
	return page << 32 ^ word * 0x10001;
}

#endif
