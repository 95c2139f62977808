/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /dev/kioku, as the kernel module offers it (module/device.c) and the source driver reads it: read()
 * gives physical memory by offset and EFAULT where a page cannot be had; the rest is said by ioctl.
 */
#ifndef FORMAT_MODULE_DEVICE_H
#define FORMAT_MODULE_DEVICE_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define KIOKU_DEVICE_VERSION 1

struct kioku_device_info {
	__u32 version;
	__u32 page_size; /* bytes; what a page state is for */
};

struct kioku_device_range {
	__u64 start, last; /* physical addresses of the first and the last byte */
};

/* System RAM, ascending. count is how many ranges there are, of which capacity are stored at most. */
struct kioku_device_ranges {
	__u64 ranges; /* in: address of struct kioku_device_range[capacity] */
	__u32 capacity;
	__u32 count; /* out */
};

enum kioku_device_page {
	KIOKU_PAGE_READABLE,   /* nothing speaks against reading it */
	KIOKU_PAGE_OFFLINE,    /* its memory block is offline, or a balloon has it */
	KIOKU_PAGE_POISONED,   /* a hardware memory error was seen in it */
	KIOKU_PAGE_UNACCEPTED, /* the confidential guest has never had it: it has no content */
	KIOKU_PAGE_PROTECTED,  /* it may have content, but touching it might end the machine */
	KIOKU_PAGE_NOT_RAM,
	KIOKU_PAGE_FAULTED,   /* only of reading: the access failed */
	KIOKU_PAGE_TIMED_OUT, /* only of reading: it took too long */
	KIOKU_PAGE_KINDS,
};

#define KIOKU_DEVICE_STATES_LIMIT 65536

struct kioku_device_states {
	__u64 physical; /* in: address in the first page */
	__u64 states;   /* in: address of __u8[count], each an enum kioku_device_page */
	__u32 count;    /* in: pages, at most KIOKU_DEVICE_STATES_LIMIT */
	__u32 reserved; /* 0 */
};

#define KIOKU_DEVICE_INFO   _IOR('k', 0xe0, struct kioku_device_info)
#define KIOKU_DEVICE_RANGES _IOWR('k', 0xe1, struct kioku_device_ranges)
#define KIOKU_DEVICE_STATES _IOW('k', 0xe2, struct kioku_device_states)

#endif
