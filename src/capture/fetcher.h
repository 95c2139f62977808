/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads a source on several threads at once, each with a channel of its own, and waits at most so
 * long. A thread that hangs in a system call is left behind, with its channel and the buffer that it
 * reads into; if it ever comes back it closes the channel. Another takes its place.
 */
#ifndef CAPTURE_FETCHER_H
#define CAPTURE_FETCHER_H

#include "capture/run.h"
#include "capture/writer.h"
#include "source/channel.h"

/* Threads that hang; a source in which more do is given up. */
#define FETCHER_LIMIT 256

/* Threads that read at once; pieces of less than that are not shared out. */
#define FETCHER_WAYS 2
#define FETCHER_PART (128u << 10)

struct fetch;

/* One way into the source; of sources that have only one, without a thread. */
struct fetch_way {
	struct source_channel *channel; /* borrowed by the thread while it reads */
	struct fetch *fetch;
};

struct fetcher {
	struct run *run;
	struct kioku_source *source;
	struct fetch_way ways[FETCHER_WAYS];
	unsigned way_count;
	double timeout; /* seconds; 0: for ever */
	unsigned left_behind;
};

/*
 * timeout in milliseconds; 0 and sources with one way in: for ever. fetcher_release() in any case.
 * Errors: of source_channel_open(), OS (no thread).
 */
enum kioku_status fetcher_init(struct fetcher *fetcher, struct run *run,
			       struct kioku_source *source, unsigned timeout,
			       struct kioku_error *error);
void fetcher_release(struct fetcher *fetcher);

enum fetch_result {
	FETCH_DONE,
	FETCH_SKIPPED, /* states speak against reading some page; nothing is in the buffer */
	FETCH_FAILED,  /* the error says why */
	/*
	 * It took too long. The buffer is the business of the thread that was left behind, and
	 * *buffer is another with the same content, save what was being read.
	 */
	FETCH_TIMED_OUT,
	FETCH_OVER, /* likewise, but nobody could take over; *buffer may be NULL. Do not go on. */
};

/*
 * Reads [physical, physical + size) to *buffer + offset. *buffer is fetcher_buffer()'s. states, if
 * it is not NULL, is filled in first for every page that this touches (source_channel_states();
 * PAGE_READ where nobody can say), at most FETCHER_PAGES.
 */
enum fetch_result fetcher_read(struct fetcher *fetcher, uint64_t physical, uint8_t **buffer,
			       size_t offset, size_t size, uint8_t *states,
			       struct kioku_error *error);

#define FETCHER_PAGES (CAPTURE_BLOCK / CAPTURE_PAGE + 1)

/* CAPTURE_BLOCK bytes, page-aligned; NULL: no memory. */
uint8_t *fetcher_buffer(void);
void fetcher_free(uint8_t *buffer);

#endif
