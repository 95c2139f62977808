/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The PAGEMAP_SCAN ioctl of /proc/PID/pagemap: include/uapi/linux/fs.h of Linux 6.7. */
#ifndef SNAPSHOT_PAGEMAP_SCAN_H
#define SNAPSHOT_PAGEMAP_SCAN_H

#include <stdint.h>
#include <sys/ioctl.h>

enum {
	PAGE_IS_WPALLOWED_BIT = 1 << 0, /* in a mapping whose writes can be tracked */
	PAGE_IS_WRITTEN_BIT = 1 << 1,
	PAGE_IS_FILE_BIT = 1 << 2, /* or shared memory */
	PAGE_IS_PRESENT_BIT = 1 << 3,
	PAGE_IS_SWAPPED_BIT = 1 << 4, /* and guard regions */
	PAGE_IS_GUARD_BIT = 1 << 8,   /* of MADV_GUARD_INSTALL; Linux 6.15 */
};

enum { SCAN_WP_MATCHING = 1 << 0, SCAN_CHECK_WPASYNC = 1 << 1 }; /* pagemap_scan.flags */

struct pagemap_region {
	uint64_t start, end, categories;
};

struct pagemap_scan {
	uint64_t size; /* of this struct */
	uint64_t flags;
	uint64_t start, end, walk_end; /* out: where it came to */
	uint64_t regions, region_limit;
	uint64_t page_limit;
	uint64_t inverted, all_of, any_of, returned; /* categories */
};

#define PAGEMAP_SCAN_IOCTL _IOWR('f', 16, struct pagemap_scan)

#endif
