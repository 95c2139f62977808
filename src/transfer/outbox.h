/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bytes of a stream that may have to be sent again: from the first that was not acknowledged to
 * the last that was written. They lie in chunks that never move, so that one thread may read them
 * while another adds more; what it calls is locked by the caller, but for outbox_fill().
 */
#ifndef TRANSFER_OUTBOX_H
#define TRANSFER_OUTBOX_H

#include <stdbool.h>

#include "base/bytes.h"

#define OUTBOX_CHUNK  (128u << 10)
#define OUTBOX_LIMIT  (16u << 20)
#define OUTBOX_CHUNKS (OUTBOX_LIMIT / OUTBOX_CHUNK + 2)

/* All zero, but for window, is an empty one. */
struct outbox {
	uint64_t base, end; /* positions in the stream */
	uint64_t window;    /* as many bytes may lie here, at most OUTBOX_LIMIT; it may grow */
	uint8_t *chunks[OUTBOX_CHUNKS]; /* by position, cyclically */
	uint8_t *spare[OUTBOX_CHUNKS];
	unsigned spare_count;
};

bool outbox_has_room(const struct outbox *outbox, size_t size);

/* Makes room behind the end. False: no memory. */
bool outbox_reserve(struct outbox *outbox, size_t size);

/* Puts bytes into what was reserved, so many behind the end; end is then for the caller to move. */
void outbox_fill(struct outbox *outbox, uint64_t position, const void *data, size_t size);

/* What lies at a position, base or later, in one piece; empty at the end. */
struct bytes outbox_at(const struct outbox *outbox, uint64_t position);

/* Moves the base forward to a position. */
void outbox_acknowledge(struct outbox *outbox, uint64_t position);

void outbox_release(struct outbox *outbox);

#endif
