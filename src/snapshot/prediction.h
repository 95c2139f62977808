/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stopping and duplicating a process takes on this machine, before it is done. */
#ifndef SNAPSHOT_PREDICTION_H
#define SNAPSHOT_PREDICTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Nanoseconds: taking a dead duplicate off its target's table; the first write to a page after a fork. */
enum { PREDICTION_OF_REAP = 150000, PREDICTION_OF_COPY = 2200 };

/* Nanoseconds: making a target have a userfaultfd; one thread, twice. */
enum { PREDICTION_OF_SETUP = 150000 };

/* What it depends on. */
struct prediction_input {
	size_t threads;
	/* Bytes of anonymous memory in page table entries, which a fork copies. */
	uint64_t small_pages;
	uint64_t huge_pages; /* bytes of anonymous memory in huge pages */
	uint64_t copied;     /* bytes that are copied within the stop */
	uint64_t dirty;      /* bytes that are written while all memory is looked at once */
	uint64_t look;       /* nanoseconds: to look through pagemap, as it was measured */
	uint64_t watched;    /* bytes of small pages that are not looked through in the stop */
	size_t mappings;
};

/* How fast this machine is: measured by forking and copying memory of our own. */
struct prediction_pace {
	double fork;      /* nanoseconds for a byte in small pages */
	double fork_base; /* nanoseconds */
	double copy;      /* nanoseconds for a byte */
	bool has_tracking;
	double look;  /* nanoseconds for a byte in small pages, to see that it was not written */
	double delay; /* nanoseconds, of the first write to a page that is tracked */
};

/* Takes some milliseconds. Errors: OS. */
enum kioku_status prediction_measure(struct prediction_pace *pace, struct kioku_error *error);

/* Nanoseconds, the longest for which all threads are stopped. */
uint64_t prediction_of_fork(const struct prediction_pace *pace,
			    const struct prediction_input *input);
uint64_t prediction_of_track(const struct prediction_pace *pace,
			     const struct prediction_input *input);
/* Bytes that can be copied, page by page, in so many nanoseconds of a stop. */
uint64_t prediction_of_dirty(uint64_t time);
/* Bytes of small pages that can be looked through in so many nanoseconds of a stop. */
uint64_t prediction_of_look(const struct prediction_pace *pace, uint64_t time);
uint64_t prediction_of_soft_dirty(const struct prediction_pace *pace,
				  const struct prediction_input *input);
uint64_t prediction_of_stop(const struct prediction_pace *pace,
			    const struct prediction_input *input);

#endif
