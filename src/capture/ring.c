/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/ring.h"

void ring_init(struct ring *ring, const struct ring_shape *shape)
{
	*ring = (struct ring){ .shape = *shape };
	pthread_mutex_init(&ring->lock, NULL);
	pthread_cond_init(&ring->free, NULL);
	pthread_cond_init(&ring->work, NULL);
	pthread_cond_init(&ring->worked, NULL);
	for (unsigned i = 0; i < RING_CONSUMERS; i++)
		pthread_cond_init(&ring->ready[i], NULL);
}

void ring_release(struct ring *ring)
{
	pthread_mutex_destroy(&ring->lock);
	pthread_cond_destroy(&ring->free);
	pthread_cond_destroy(&ring->work);
	pthread_cond_destroy(&ring->worked);
	for (unsigned i = 0; i < RING_CONSUMERS; i++)
		pthread_cond_destroy(&ring->ready[i]);
}

static int slot_of(const struct ring *ring, uint64_t number)
{
	return (int)(number % ring->shape.slots);
}

/* Slots that every consumer has let go of. */
static uint64_t freed(const struct ring *ring)
{
	uint64_t least = ring->produced;

	for (unsigned i = 0; i < ring->shape.consumers; i++)
		least = ring->consumed[i] < least ? ring->consumed[i] : least;
	return least;
}

static void wake_consumers(struct ring *ring)
{
	for (unsigned i = 0; i < ring->shape.consumers; i++)
		pthread_cond_signal(&ring->ready[i]);
}

/* Those who see what the leader, or RING_ALONE, has passed on. */
static void wake_followers(struct ring *ring, unsigned leader)
{
	for (unsigned i = 0; i < ring->shape.consumers; i++)
		if (ring->shape.follows[i] == leader)
			pthread_cond_signal(&ring->ready[i]);
}

/* Waits, as the producer, until so many slots are free again or it is over; lock is held. */
static void await_freed(struct ring *ring, uint64_t count)
{
	ring->awaited = count;
	while (!ring->aborted && freed(ring) < count)
		pthread_cond_wait(&ring->free, &ring->lock);
}

int ring_claim(struct ring *ring)
{
	uint64_t next = ring->produced + 1; /* which is the caller's own doing */

	pthread_mutex_lock(&ring->lock);
	if (next > ring->shape.slots)
		await_freed(ring, next - ring->shape.slots);
	int slot = ring->aborted ? RING_OVER : slot_of(ring, ring->produced);
	pthread_mutex_unlock(&ring->lock);
	return slot;
}

void ring_publish(struct ring *ring)
{
	pthread_mutex_lock(&ring->lock);
	ring->produced++;
	if (!ring->shape.has_workers)
		ring->prepared = ring->produced;
	pthread_mutex_unlock(&ring->lock);
	/* Here and below, who is woken finds the lock free. */
	if (ring->shape.has_workers)
		pthread_cond_signal(&ring->work);
	else
		wake_followers(ring, RING_ALONE);
}

uint64_t ring_published(const struct ring *ring)
{
	return ring->produced; /* which is the caller's own doing */
}

bool ring_wait_freed(struct ring *ring, uint64_t count)
{
	pthread_mutex_lock(&ring->lock);
	await_freed(ring, count);
	bool all = freed(ring) >= count;
	pthread_mutex_unlock(&ring->lock);
	return all;
}

void ring_end(struct ring *ring)
{
	pthread_mutex_lock(&ring->lock);
	ring->ended = true;
	pthread_cond_broadcast(&ring->work);
	wake_consumers(ring);
	pthread_mutex_unlock(&ring->lock);
}

bool ring_wait_prepared(struct ring *ring)
{
	pthread_mutex_lock(&ring->lock);
	while (!ring->aborted && ring->prepared < ring->produced)
		pthread_cond_wait(&ring->worked, &ring->lock);
	bool all = !ring->aborted;
	pthread_mutex_unlock(&ring->lock);
	return all;
}

int ring_take(struct ring *ring)
{
	int slot = RING_OVER;

	pthread_mutex_lock(&ring->lock);
	while (!ring->aborted && !ring->ended && ring->claimed == ring->produced)
		pthread_cond_wait(&ring->work, &ring->lock);
	if (!ring->aborted && ring->claimed < ring->produced)
		slot = slot_of(ring, ring->claimed++);
	pthread_mutex_unlock(&ring->lock);
	return slot;
}

void ring_give(struct ring *ring, int slot)
{
	pthread_mutex_lock(&ring->lock);
	ring->done[slot] = true;
	for (int next; ring->done[next = slot_of(ring, ring->prepared)]; ring->prepared++)
		ring->done[next] = false;
	pthread_mutex_unlock(&ring->lock);
	wake_followers(ring, RING_ALONE);
	pthread_cond_signal(&ring->worked);
}

/* Slots that a consumer may see, from the first on. */
static uint64_t visible(const struct ring *ring, unsigned consumer)
{
	unsigned leader = ring->shape.follows[consumer];

	return leader == RING_ALONE ? ring->prepared : ring->consumed[leader];
}

/* Whether nothing that a consumer does not see yet will ever come. */
static bool is_over(const struct ring *ring, unsigned consumer)
{
	unsigned leader = ring->shape.follows[consumer];

	if (leader != RING_ALONE)
		return ring->left[leader];
	return ring->aborted || (ring->ended && ring->seen[consumer] == ring->produced);
}

int ring_next(struct ring *ring, unsigned consumer)
{
	bool leads = ring->shape.follows[consumer] == RING_ALONE;
	int slot = RING_OVER;

	pthread_mutex_lock(&ring->lock);
	while (ring->seen[consumer] == visible(ring, consumer) && !is_over(ring, consumer))
		pthread_cond_wait(&ring->ready[consumer], &ring->lock);
	if (ring->seen[consumer] < visible(ring, consumer) && !(ring->aborted && leads))
		slot = slot_of(ring, ring->seen[consumer]++);
	pthread_mutex_unlock(&ring->lock);
	return slot;
}

void ring_pass(struct ring *ring, unsigned consumer)
{
	pthread_mutex_lock(&ring->lock);
	ring->consumed[consumer]++;
	bool frees = freed(ring) >= ring->awaited;
	pthread_mutex_unlock(&ring->lock);
	wake_followers(ring, consumer);
	if (frees)
		pthread_cond_signal(&ring->free);
}

void ring_leave(struct ring *ring, unsigned consumer)
{
	pthread_mutex_lock(&ring->lock);
	ring->left[consumer] = true;
	wake_consumers(ring);
	pthread_mutex_unlock(&ring->lock);
}

void ring_abort(struct ring *ring)
{
	pthread_mutex_lock(&ring->lock);
	ring->aborted = true;
	pthread_cond_broadcast(&ring->free);
	pthread_cond_broadcast(&ring->work);
	pthread_cond_broadcast(&ring->worked);
	wake_consumers(ring);
	pthread_mutex_unlock(&ring->lock);
}

bool ring_is_aborted(struct ring *ring)
{
	pthread_mutex_lock(&ring->lock);
	bool aborted = ring->aborted;
	pthread_mutex_unlock(&ring->lock);
	return aborted;
}
