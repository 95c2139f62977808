/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What struct timekeeper (kernel/time/timekeeping.c, v4.9 to v7.0) says in several ways, and can be told by, where
 * no symbol leads to it.
 */
#ifndef KERNEL_TIMEKEEPER_H
#define KERNEL_TIMEKEEPER_H

#include "kernel/kernel.h"

/*
 * xtime_sec, ktime_sec, wall_to_monotonic, offs_real, offs_boot and offs_tai have followed each other in all
 * kernels: where they are, in bytes.
 */
enum {
	TIMES_WALL = 0,   /* seconds since 1970 */
	TIMES_UPTIME = 8, /* seconds */
	TIMES_TO_MONOTONIC_SECONDS = 16,
	TIMES_TO_MONOTONIC_NANOSECONDS = 24,
	TIMES_REAL = 32, /* nanoseconds to add to the time since boot, likewise */
	TIMES_BOOT = 40,
	TIMES_ATOMIC = 48,
	TIMES_SIZE = 56
};

/* Whether TIMES_SIZE bytes are these. */
bool timekeeper_are_times(const uint8_t *bytes);

/*
 * The address of these in the kernel's data. There may be several, for a copy is updated first; they must agree in
 * where time began, and the latest is taken. 0: there are none, or they do not agree.
 */
uint64_t timekeeper_search(struct kioku_kernel *kernel);

#endif
