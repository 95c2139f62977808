/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads a source for at most so long. The reading is done by a thread of its own; when it hangs in a
 * system call it is left behind, with its channel and the buffer that it reads into, and cleans up
 * after itself if it ever comes back. Another thread with another channel takes its place.
 */
#ifndef CAPTURE_FETCHER_H
#define CAPTURE_FETCHER_H

#include "capture/run.h"
#include "source/channel.h"

/* Threads that hang; a source in which more do is given up. */
#define FETCHER_LIMIT 256

struct fetch;

struct fetcher {
	struct run *run;
	struct kioku_source *source;
	struct source_channel *channel; /* borrowed by the thread while it reads */
	struct fetch *fetch;            /* the thread, where there is a timeout */
	double timeout;                 /* seconds; 0: for ever, and the caller's thread reads */
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
	FETCH_FAILED, /* the error says why */
	/*
	 * It took too long. The buffer went to the thread that was left behind, and *buffer is
	 * another with the same content, save what was being read.
	 */
	FETCH_TIMED_OUT,
	FETCH_OVER, /* likewise, but nobody could take over; *buffer may be NULL. Do not go on. */
};

/*
 * Reads [physical, physical + size) to *buffer + offset. *buffer is fetcher_buffer()'s.
 */
enum fetch_result fetcher_read(struct fetcher *fetcher, uint64_t physical, uint8_t **buffer,
			       size_t offset, size_t size, struct kioku_error *error);

/* CAPTURE_BLOCK bytes, page-aligned; NULL: no memory. */
uint8_t *fetcher_buffer(void);
void fetcher_free(uint8_t *buffer);

#endif
