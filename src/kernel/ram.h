/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the machine's RAM is, as its kernel knows it. */
#ifndef KERNEL_RAM_H
#define KERNEL_RAM_H

#include "kernel/kernel.h"

/*
 * Of a source that lacks ranges: learns them from the kernel's tree of resources (/proc/iomem), or else
 * from what the firmware told it (e820). Says so if neither can be had.
 */
void ram_learn(struct kioku_kernel *kernel);

#endif
