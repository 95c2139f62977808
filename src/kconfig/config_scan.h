/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looking through all memory for pages that have lines of a configuration, and for packed ones. */
#ifndef KCONFIG_CONFIG_SCAN_H
#define KCONFIG_CONFIG_SCAN_H

#include "kernel/kernel.h"

#define CONFIG_PAGE_LIMIT   16384u /* 64 MiB of configurations */
#define CONFIG_PACKED_LIMIT 16u

struct config_page {
	uint64_t physical;
	uint64_t
		inode; /* address of the struct inode that it is a page of; 0: of none that is known */
};

struct config_scan {
	struct config_page *pages; /* ascending */
	size_t count, capacity;
	uint64_t packed[CONFIG_PACKED_LIMIT]; /* physical addresses of marks */
	size_t packed_count;
	uint64_t lost; /* bytes that could not be read */
	bool is_full;  /* there is more than the limits allow */
};

struct config_progress {
	void (*progress)(void *user, uint64_t done, uint64_t total, uint64_t lost); /* or NULL */
	void *user;
};

/* Errors: NO_MEMORY. */
enum kioku_status config_scan_run(struct kioku_source *source,
				  const struct config_progress *progress, struct config_scan *out);
void config_scan_release(struct config_scan *scan);

#endif
