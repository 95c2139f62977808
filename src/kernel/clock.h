/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The machine's clock at the moment of the image. */
#ifndef KERNEL_CLOCK_H
#define KERNEL_CLOCK_H

#include "kernel/kernel.h"

/* Fills in boot_offset, wall_time and boot_offset_known where the timekeeper can be read. */
void clock_read(struct kioku_kernel *kernel);

/* A time since boot, in nanoseconds, as UTC; false if the machine's clock is not known. */
bool clock_from_boot(const struct kioku_kernel *kernel, uint64_t since_boot, int64_t *utc);

#endif
