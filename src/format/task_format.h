/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/PID/stat and status, and those of a thread below task/ (Linux fs/proc/array.c, do_task_stat
 * and proc_pid_status; man 5 proc counts the fields of stat). A name may be any bytes.
 */
#ifndef FORMAT_TASK_FORMAT_H
#define FORMAT_TASK_FORMAT_H

#include "base/bytes.h"

/* Of struct task_stat.flags (include/linux/sched.h); they have had these values since v2.6.32. */
#define TASK_EXITING       0x4u
#define TASK_KERNEL_THREAD 0x200000u

struct task_stat {
	int64_t pid;
	struct bytes name; /* as it is, whatever is in it; points into the text */
	char state;        /* 'R', 'S', 'D', 'T', 't', 'Z', 'X', 'I', 'P' */
	int64_t parent, group, session;
	int64_t flags;                  /* PF_* */
	int64_t user_time, system_time; /* clock ticks (sysconf(_SC_CLK_TCK)), of all threads */
	int64_t priority, nice;
	int64_t threads;
	int64_t start_time; /* clock ticks since the machine started, by CLOCK_BOOTTIME */
	int64_t processor;  /* it ran on last */
	int64_t realtime_priority, policy; /* SCHED_* */
};

/* Decodes stat's one line; false if it is none. */
bool task_stat_decode(struct bytes text, struct task_stat *out);

/* The value of a key of status ("Uid"), blanks around it cut off; false if there is none. */
bool task_status_find(struct bytes text, const char *key, struct bytes *out);

/* How many numbers a value begins with, at most count; those that are not there become 0. */
size_t task_status_numbers(struct bytes text, const char *key, uint64_t *out, size_t count);

/* A set of bits, as "SigBlk" and "CapEff" are; false if there is none. */
bool task_status_bits(struct bytes text, const char *key, uint64_t *out);

/*
 * The size of words in /proc/PID/auxv, pairs of type and value up to AT_NULL: 4 or 8, which is the class
 * of the program that runs; 0: it is none, or empty. Little-endian.
 */
uint32_t auxv_word_size(struct bytes auxv);

#endif
