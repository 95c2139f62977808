/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory behind a link: every answer takes a while, the machine goes on running, and whatever is no
 * RAM there must not be touched, because reading a device may hang the machine. What all such
 * drivers share: where RAM is, as far as that is known, and what came over the link lately.
 */
#ifndef SOURCE_REMOTE_H
#define SOURCE_REMOTE_H

#include "source/source.h"

struct remote_read {
	uint64_t physical;
	uint8_t *buffer;
	size_t size;              /* at least 1 */
	enum kioku_status status; /* out: OK, ABSENT, or OS (the link is broken) */
	uint64_t failed_at;       /* out, unless OK: the first byte that is known to be missing */
	const char *problem;      /* out, unless OK: "it ..."; as long as the link */
};

/* What a driver does, as struct source_driver.remote. state: source->state. */
struct remote_driver {
	/* All of them, as many at a time as the link carries; ranges were checked. */
	void (*read_many)(void *state, struct remote_read *reads, size_t count);
	struct kioku_source_stats (*stats)(const void *state);
};

/*
 * For a driver's open(): known is what RAM there is (it is empty afterwards); NULL says that nobody
 * knows yet, so that only conventional memory, below 640 KiB, may be read, and what is admitted later.
 * Errors: NO_MEMORY.
 */
enum kioku_status remote_begin(struct kioku_source *source, struct range_map *known,
			       struct kioku_error *error);
void remote_end(struct kioku_source *source);

/* As kioku_source_read_many() and kioku_source_read(). */
void remote_read_many(struct kioku_source *source, struct kioku_read *reads, size_t count);
enum kioku_status remote_read(struct kioku_source *source, uint64_t physical, void *buffer,
			      size_t size, struct kioku_error *error);

#endif
