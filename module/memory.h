/* SPDX-License-Identifier: GPL-2.0-only */
/* Physical memory: where RAM is, which of its pages may be read, and reading them. */
#ifndef KIOKU_MEMORY_H
#define KIOKU_MEMORY_H

#include <linux/types.h>

#include "format/module_device.h"

struct ram_range {
	u64 start, last; /* physical addresses of the first and the last byte */
};

/* While memory is read; 0 or a negative errno. */
int memory_init(void);
void memory_exit(void);

/* The first System RAM at or behind an address, cut there. May sleep. */
bool ram_next(u64 from, struct ram_range *out);

/* Of a page of System RAM. */
enum kioku_device_page memory_state(u64 physical);

/*
 * Copies bytes of one page of System RAM. Anything but KIOKU_PAGE_READABLE: what out holds is not
 * memory. timeout in jiffies, 0 for none.
 */
enum kioku_device_page memory_read(u64 physical, void *out, size_t size, unsigned long timeout);

#endif
