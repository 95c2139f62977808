/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KERNEL_DIRECT_MAP_H
#define KERNEL_DIRECT_MAP_H

#include "kernel/kernel.h"

/* Finds where the kernel maps all of physical memory: sets kernel->direct_map and its evidence. */
void direct_map_find(struct kioku_kernel *kernel);

#endif
