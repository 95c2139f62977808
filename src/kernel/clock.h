/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The machine's clock at the moment of the image. */
#ifndef KERNEL_CLOCK_H
#define KERNEL_CLOCK_H

#include "kernel/kernel.h"

/* Fills in boot_offset, wall_time and boot_offset_known where the timekeeper can be read. */
void clock_read(struct kioku_kernel *kernel);

/* A time since boot, in nanoseconds, as UTC; false if the machine's clock is not known. */
bool clock_from_boot(const struct kioku_kernel *kernel, uint64_t since_boot, int64_t *utc);

/* Clocks by their numbers, include/uapi/linux/time.h. */
enum clock {
	CLOCK_OF_UTC = 0,     /* CLOCK_REALTIME */
	CLOCK_SINCE_BOOT = 1, /* CLOCK_MONOTONIC: stands still while the machine is suspended */
	CLOCK_OF_BOOT = 7,    /* CLOCK_BOOTTIME */
	CLOCK_ATOMIC = 11,    /* CLOCK_TAI */
};

/* A clock's time in nanoseconds as UTC; false if the machine's clock, or this one, is not known. */
bool clock_from(const struct kioku_kernel *kernel, int32_t clock, int64_t time, int64_t *utc);

#endif
