/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/page_copier.h"

#include <unistd.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "snapshot/pagemap_entry.h"

enum { RATED = 128 << 10 }; /* bytes that are copied at once where there is a rate */

static const double nap = 0.1; /* seconds, after which it is asked whether to go on */

void page_copier_init(struct page_copier *copier)
{
	*copier = (struct page_copier){ .pagemap = -1, .memory = { .memory = -1 } };
}

enum kioku_status page_copier_open(struct page_copier *copier, const struct process *process,
				   struct spool *spool, const struct page_copier_terms *terms,
				   struct kioku_error *error)
{
	page_copier_init(copier);
	copier->process = process;
	copier->spool = spool;
	copier->terms = *terms;
	copier->pagemap = process_open_live(process, "pagemap");
	copier->memory.memory = process_open_live(process, "mem");
	if (copier->pagemap < 0 || copier->memory.memory < 0)
		return error_os(error, "cannot ask what process %d writes", process->pid);
	return KIOKU_OK;
}

void page_copier_hurry(struct page_copier *copier)
{
	copier->terms.rate.limit = 0;
}

void page_copier_stopped(struct page_copier *copier, pid_t thread)
{
	copier->memory.stopped = thread;
	page_copier_hurry(copier);
}

bool page_copier_is_current(const struct page_copier *copier)
{
	uint64_t entry;

	return pagemap_read_one(copier->pagemap, 0, &entry);
}

enum kioku_status page_copier_check(const struct page_copier *copier, struct kioku_error *error)
{
	const struct page_copier_terms *terms = &copier->terms;

	if (copier->memory.stopped > 0 || terms->goes_on(terms->user))
		return KIOKU_OK;
	return error_set(error, KIOKU_ERROR_STOPPED, "nobody wants it any more");
}

enum kioku_status page_copier_wait(struct page_copier *copier, uint64_t size,
				   struct kioku_error *error)
{
	double now = seconds_now(), begin = rate_take(&copier->terms.rate, now, size);

	for (; now < begin; now = seconds_now()) {
		TRY(page_copier_check(copier, error));
		usleep((useconds_t)((begin - now < nap ? begin - now : nap) * 1e6));
	}
	return KIOKU_OK;
}

enum kioku_status page_copier_copy_now(struct page_copier *copier, uint64_t start, uint64_t end,
				       struct kioku_error *error)
{
	copier->copied += end - start;
	return spool_copy(copier->spool, &copier->memory, start, end, error);
}

enum kioku_status page_copier_copy(struct page_copier *copier, uint64_t start, uint64_t end,
				   struct kioku_error *error)
{
	for (uint64_t past; start < end; start = past) {
		past = copier->terms.rate.limit > 0 && end - start > RATED ? start + RATED : end;
		TRY(page_copier_wait(copier, past - start, error));
		TRY(page_copier_copy_now(copier, start, past, error));
	}
	return KIOKU_OK;
}

void page_copier_close(struct page_copier *copier)
{
	cleanup_close(&copier->pagemap);
	cleanup_close(&copier->memory.memory);
	copier->pagemap = copier->memory.memory = -1;
}
