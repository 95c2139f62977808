/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pages of a process that runs, or is stopped, into a spool: under the terms of whoever wants them. */
#ifndef SNAPSHOT_PAGE_COPIER_H
#define SNAPSHOT_PAGE_COPIER_H

#include "base/rate.h"
#include "snapshot/process.h"
#include "snapshot/spool.h"

/* How it is copied while it runs. */
struct page_copier_terms {
	bool (*goes_on)(const void *user); /* asked now and then */
	const void *user;
	struct rate rate; /* by seconds_now() */
};

struct page_copier {
	const struct process *process; /* borrowed */
	struct spool *spool;           /* borrowed */
	struct page_copier_terms terms;
	int pagemap; /* descriptor; -1: not open */
	struct spool_target memory;
	uint64_t copied; /* bytes, since whoever asks has made it 0 */
};

/* Not open: page_copier_close() does nothing. */
void page_copier_init(struct page_copier *copier);

/* page_copier_close() in any case. Errors: OS. */
enum kioku_status page_copier_open(struct page_copier *copier, const struct process *process,
				   struct spool *spool, const struct page_copier_terms *terms,
				   struct kioku_error *error);

/* Little is left, and what the target writes takes longer now: no rate is kept any more. */
void page_copier_hurry(struct page_copier *copier);

/* All threads are stopped, this one among them: there are no terms any more. */
void page_copier_stopped(struct page_copier *copier, pid_t thread);

/* Whether the address space is still that of page_copier_open(): execve(2) gives up the former. */
bool page_copier_is_current(const struct page_copier *copier);

/* Errors: STOPPED (goes_on says no). */
enum kioku_status page_copier_check(const struct page_copier *copier, struct kioku_error *error);

/* Waits until so many bytes may be copied. Errors: STOPPED. */
enum kioku_status page_copier_wait(struct page_copier *copier, uint64_t size,
				   struct kioku_error *error);

/* Copies whole pages at once, whatever the rate. Errors: OS, LIMIT (the spool is full). */
enum kioku_status page_copier_copy_now(struct page_copier *copier, uint64_t start, uint64_t end,
				       struct kioku_error *error);

/* The same as the rate allows. Errors: OS, LIMIT, STOPPED. */
enum kioku_status page_copier_copy(struct page_copier *copier, uint64_t start, uint64_t end,
				   struct kioku_error *error);

void page_copier_close(struct page_copier *copier);

#endif
