/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A bounded row of slots between threads: one producer fills them, workers may then change each on
 * its own, several at once, and consumers see all of them in order, each at its own pace. A slot is
 * filled again when the last consumer has let go of it. What lies in a slot is the caller's matter.
 */
#ifndef CAPTURE_RING_H
#define CAPTURE_RING_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define RING_SLOTS     32
#define RING_CONSUMERS 4
#define RING_ALONE     RING_CONSUMERS /* as struct ring_shape.follows */

struct ring_shape {
	unsigned slots;     /* at most RING_SLOTS */
	bool has_workers;   /* each slot passes through one between producer and consumers */
	unsigned consumers; /* at most RING_CONSUMERS */
	/*
	 * Whom a consumer follows, or RING_ALONE: it sees what the other has let go of, and even
	 * after ring_abort() all of that, until the other leaves.
	 */
	unsigned follows[RING_CONSUMERS];
};

struct ring {
	struct ring_shape shape;
	pthread_mutex_t lock;
	pthread_cond_t free, work, worked, ready[RING_CONSUMERS];
	uint64_t produced, claimed;        /* slots so far; by the producer and by workers */
	uint64_t awaited;                  /* free slots, in all, that the producer waits for */
	uint64_t prepared;                 /* slots that all workers are through with, in a row */
	bool done[RING_SLOTS];             /* by a worker, beyond prepared */
	uint64_t seen[RING_CONSUMERS];     /* slots that each was given */
	uint64_t consumed[RING_CONSUMERS]; /* and of those, the first so many that it let go of */
	bool left[RING_CONSUMERS];         /* ring_leave() */
	bool ended, aborted;
};

/* What the functions below return instead of a slot's index when there is none any more. */
#define RING_OVER (-1)

void ring_init(struct ring *ring, const struct ring_shape *shape);
void ring_release(struct ring *ring);

/* For the producer. Waits for a free slot; RING_OVER after ring_abort(). */
int ring_claim(struct ring *ring);
void ring_publish(struct ring *ring);

/* How many slots were published; and waits until so many are free again. False after ring_abort(). */
uint64_t ring_published(const struct ring *ring);
bool ring_wait_freed(struct ring *ring, uint64_t count);

/* There is nothing more: the others come to the end. */
void ring_end(struct ring *ring);

/* Waits until workers are through with all that was published; false after ring_abort(). */
bool ring_wait_prepared(struct ring *ring);

/* For a worker. RING_OVER at the end and after ring_abort(). */
int ring_take(struct ring *ring);
void ring_give(struct ring *ring, int slot);

/*
 * For a consumer: the next slot, or RING_OVER at the end and after ring_abort(); and letting go of
 * the first one that it still has. It may have several.
 */
int ring_next(struct ring *ring, unsigned consumer);
void ring_pass(struct ring *ring, unsigned consumer);

/* For a consumer that is followed, when it will pass nothing more: followers end after it. */
void ring_leave(struct ring *ring, unsigned consumer);

/*
 * Something failed: whoever waits, or comes to wait, is told that it is over. From any thread, any
 * number of times.
 */
void ring_abort(struct ring *ring);
bool ring_is_aborted(struct ring *ring);

#endif
