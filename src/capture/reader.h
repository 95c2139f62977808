/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The thread that reads memory: it walks the plan, asks what is known of pages before it touches
 * them, reads in large pieces, and where one fails goes down to single pages, so that a bad page
 * costs that page and no other.
 */
#ifndef CAPTURE_READER_H
#define CAPTURE_READER_H

#include "base/rate.h"
#include "capture/fetcher.h"
#include "capture/plan.h"
#include "capture/ring.h"
#include "format/manifest_format.h"

#define MEMORY_SLOTS        6
#define READER_ERRORS_LIMIT 65536 /* runs of lost pages that are listed with their reasons */

/* One slot of the ring of memory. */
struct memory_slot {
	struct capture_block block;
	uint8_t *buffer; /* fetcher_buffer() */
	uint8_t states[FETCHER_PAGES];
};

struct reader {
	struct run *run;
	struct ring *ring;
	struct memory_slot *slots;
	const struct plan *plan;
	const char *address_name; /* source_address_name() */
	struct rate rate;         /* by run_seconds() */
	struct fetcher fetcher;

	/* Good once the thread has ended. */
	bool complete;                 /* all of the plan was read */
	struct manifest_error *errors; /* ascending; owned */
	size_t error_count, error_capacity;
	struct manifest_error lost; /* the run that goes on; size is 0 if none does */
	char reason[256];           /* its reason */
};

/* timeout in milliseconds. reader_release() in any case. Errors: of fetcher_init(). */
enum kioku_status reader_init(struct reader *reader, struct kioku_source *source, unsigned timeout,
			      struct kioku_error *error);

/* Fills the ring until the end of the plan, run_stop() or the ring's abort. */
void reader_run(struct reader *reader);
void reader_release(struct reader *reader);

#endif
