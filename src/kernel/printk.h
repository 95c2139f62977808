/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's log, record by record: the ring of descriptors (kernel/printk/printk_ringbuffer.h, 5.10
 * to 7.0), or the buffer of struct printk_log before it (kernel/printk/printk.c, 3.11 to 5.9).
 */
#ifndef KERNEL_PRINTK_H
#define KERNEL_PRINTK_H

#include "kernel/record.h"

#define PRINTK_CALLER_CPU 0x80000000u /* the rest is a CPU's number, not a thread's id */

/* include/linux/dev_printk.h */
#define PRINTK_SUBSYSTEM_ROOM 16
#define PRINTK_DEVICE_ROOM    48

struct printk_entry {
	uint64_t sequence;
	uint64_t time; /* nanoseconds of the scheduler's clock, which starts at boot */
	uint8_t facility, level;
	bool has_caller; /* this kernel notes it */
	uint32_t caller;
	const char *text; /* its lines without the last newline; valid until the function returns */
	size_t size;
	/* The device that it is about; empty: none, or this kernel keeps it elsewhere. */
	char subsystem[PRINTK_SUBSYSTEM_ROOM], device[PRINTK_DEVICE_ROOM];
};

/* Not OK: the walk stops with this status. */
typedef enum kioku_status printk_fn(void *user, const struct printk_entry *entry);

/*
 * Every record that the log still has, oldest first; what is damaged, or was being written, is reported as
 * a gap. Errors: receive's, UNSUPPORTED (neither kind of log is known), CORRUPT, UNMAPPED, ABSENT.
 */
enum kioku_status printk_each(struct kioku_kernel *kernel, printk_fn *receive, void *user,
			      struct kioku_error *error);

/* The older kind, for printk_each(). */
enum kioku_status printk_each_in_buffer(struct kioku_kernel *kernel, printk_fn *receive, void *user,
					struct kioku_error *error);

#endif
