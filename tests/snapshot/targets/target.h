/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every target has in common. A target says "ready NAME=VALUE..." once it is set up, runs until
 * SIGTERM or for --seconds, and ends with one line of JSON: {"faults": [...], "NAME": COUNT, ...}.
 * A fault is something that it would not have seen had nobody taken a snapshot; its status is 1 then.
 */
#ifndef TARGET_H
#define TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE        4096UL
#define MILLISECOND 1000000L
#define SECOND      (1000 * MILLISECOND)

/* A "--NAME NUMBER" of the command line; the table ends with a name that is NULL. */
struct target_option {
	const char *name;
	unsigned long *value;
};

/* The words of the command line that are no options; arranges for SIGTERM, which only the calling
 * thread gets. */
char **target_begin(int argc, char **argv, const struct target_option *options);

/* Whether the calling thread is to go on. The main thread is told first, all others when it calls
 * target_finish(): what they still do for it goes on until then. */
bool target_goes_on(void);
void target_finish(void);
/* Makes the calling thread the main one: it gets SIGTERM, and is told first. */
void target_lead(void);

/* Starts a thread that gets no signals; target_join() waits for all of them. */
void target_thread(void *(*run)(void *), void *argument);
void target_join(void);

void target_ready(const char *format, ...) __attribute__((format(printf, 1, 2)));
void target_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
void target_count(const char *name, unsigned long value);

/* Prints the last line; the exit status. */
int target_end(void);

/* Ends the program for a reason that is no finding, as status 2: it could not be set up. */
_Noreturn void target_die(const char *what);
/* The same as status 77, for what this machine does not have. */
_Noreturn void target_skip(const char *what);

long target_now(void);               /* monotonic, nanoseconds */
void target_sleep(long nanoseconds); /* in full, whatever interrupts it */
void *target_map(size_t size);       /* zeroed memory in small pages */

#endif
