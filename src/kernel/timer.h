/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Timers that the kernel has pending: kernel/time/timer.c (wheels) and hrtimer.c, 4.18 to 7.2. */
#ifndef KERNEL_TIMER_H
#define KERNEL_TIMER_H

#include "kernel/record.h"

extern const struct record timer_wheel_record, timer_clock_record;

enum timer_kind { TIMER_OF_WHEEL, TIMER_OF_CLOCK };

enum timer_flag {
	TIMER_DEFERRABLE = 1, /* it wakes no CPU up */
	TIMER_PINNED = 2,     /* to its CPU */
	TIMER_IRQSAFE = 4,    /* its function runs with interrupts off */
	TIMER_MIGRATING = 8,  /* it was just being moved to another CPU */
	TIMER_SOFT = 16,      /* its function is called by the softirq */
	TIMER_HARD = 32,      /* by the interrupt itself, on any kernel */
	TIMER_RELATIVE = 64,  /* it was set to what was left */
	TIMER_LAZY = 128,     /* it may be set again without the hardware */
};

/* In the order of their bits; NULL ends them. */
extern const char *const timer_flag_names[];

struct timer {
	enum timer_kind kind;
	uint64_t address; /* of the struct timer_list or hrtimer */
	uint32_t cpu;     /* whose base it is in */
	const char
		*base; /* "standard", "local", "global", "deferrable"; of a clock "hard", "soft" */
	const char *clock; /* "jiffies", "monotonic", "realtime", "boottime", "tai" */
	uint64_t expires;  /* in nanoseconds of that clock; of a wheel, in jiffies */
	int64_t time;      /* the same in nanoseconds as UTC, by the machine's clock */
	bool time_is_known;
	uint64_t function;
	unsigned flags;                 /* enum timer_flag */
	enum kioku_status flags_status; /* CORRUPT: they contradict where it is */
};

/* Not OK: the walk stops with this status. */
typedef enum kioku_status timer_fn(void *user, const struct timer *timer);

/*
 * Every pending timer of the wheels and of the clocks of all CPUs; what is damaged is reported as a gap. One
 * whose function was running is in none of these, unless it is set again. Errors: receive's, UNSUPPORTED.
 */
enum kioku_status timer_each(struct kioku_kernel *kernel, timer_fn *receive, void *user,
			     struct kioku_error *error);

/* What the function of a timer is for, where that is one that does only what its timer's owner wants. */
struct timer_purpose {
	uint64_t function; /* that is called in the end: of a delayed work, of an alarm; 0: none */
	uint64_t task;     /* struct task_struct that is woken up; 0: none */
};

/* All zero: it is none of these. Errors: UNSUPPORTED, CORRUPT, UNMAPPED, ABSENT. */
enum kioku_status timer_purpose(struct kioku_kernel *kernel, const struct timer *timer,
				struct timer_purpose *out);

/*
 * The struct timerfd_ctx that a timer's descriptor stands for (fs/timerfd.c); 0: it is no descriptor's. purpose: what
 * timer_purpose() said of it.
 */
uint64_t timer_descriptor(struct kioku_kernel *kernel, const struct timer *timer,
			  const struct timer_purpose *purpose);

/* The same of an open file, for object_owners_read(). Errors: those of file_object(). */
enum kioku_status timer_descriptor_of_file(struct kioku_kernel *kernel, uint64_t file,
					   uint64_t *out);

#endif
