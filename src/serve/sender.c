/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What leaves is gathered in bursts: runs of datagrams of one size (the last may be shorter) with the same
 * ends. The kernel takes a burst as one and cuts it up (UDP_SEGMENT, since Linux 4.18), and takes the
 * bursts of a socket in one call, so that a datagram costs a fraction of one that is sent alone.
 */
#include "serve/sender.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103 /* linux/udp.h */
#endif

enum {
	BURSTS = 64,
	BURST_DATAGRAMS = 64, /* UDP_MAX_SEGMENTS of the kernels that have the fewest */
	BURST_SIZE = 65507,   /* of an IPv4 datagram */
	ROOM_SIZE = 1 << 20,
	WAITING_LIMIT = 1 << 16,
};

struct burst {
	struct sockaddr_in to;
	uint16_t port, piece; /* piece: bytes of each datagram but the last */
	uint16_t count;
	uint32_t size;
	uint8_t *data;
};

struct waiting {
	uint64_t due, order;
	struct sockaddr_in to;
	uint16_t port;
	bool is_last;
	uint32_t size;
	uint8_t *data; /* allocated */
};

struct sender {
	const int *sockets;
	uint64_t *unsent;
	uint64_t done, order;
	bool has_segments;

	struct burst bursts[BURSTS];
	size_t burst_count;
	uint8_t *room; /* of ROOM_SIZE */
	size_t used;

	struct waiting *heap; /* the first one is due first */
	size_t waiting_count, waiting_capacity;
};

/* --- what leaves now */

/* Kernels that do not know it would send a burst as one datagram. */
static bool knows_segments(int socket)
{
	int value;
	socklen_t size = sizeof(value);

	return getsockopt(socket, IPPROTO_UDP, UDP_SEGMENT, &value, &size) == 0;
}

/* Fills in what the kernel is told of a burst. */
static void describe(struct burst *burst, struct msghdr *message, struct iovec *vector,
		     uint8_t *control, size_t control_size)
{
	*vector = (struct iovec){ burst->data, burst->size };
	*message = (struct msghdr){
		.msg_name = &burst->to,
		.msg_namelen = sizeof(burst->to),
		.msg_iov = vector,
		.msg_iovlen = 1,
	};
	if (burst->count == 1)
		return;
	message->msg_control = control;
	message->msg_controllen = control_size;
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	header->cmsg_level = IPPROTO_UDP;
	header->cmsg_type = UDP_SEGMENT;
	header->cmsg_len = CMSG_LEN(sizeof(burst->piece));
	memcpy(CMSG_DATA(header), &burst->piece, sizeof(burst->piece));
}

static void send_alone(struct sender *sender, const struct burst *burst)
{
	for (uint32_t sent = 0; sent < burst->size; sent += burst->piece) {
		uint32_t left = burst->size - sent;
		size_t size = left < burst->piece ? left : burst->piece;
		if (sendto(sender->sockets[burst->port], burst->data + sent, size, 0,
			   (const struct sockaddr *)&burst->to, sizeof(burst->to)) < 0)
			++*sender->unsent;
	}
}

/* The first of some bursts could not be sent. */
static void send_again(struct sender *sender, const struct burst *burst)
{
	/* The interface cannot, or a datagram is longer than its packets. */
	if (burst->count > 1 && (errno == EINVAL || errno == EIO || errno == EMSGSIZE))
		sender->has_segments = false;
	send_alone(sender, burst);
}

/* Sends bursts of one socket. */
static void send_bursts(struct sender *sender, struct burst *bursts, size_t count)
{
	union {
		struct cmsghdr header; /* for its alignment */
		uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
	} controls[BURSTS];
	struct mmsghdr messages[BURSTS];
	struct iovec vectors[BURSTS];

	for (size_t i = 0; i < count; i++)
		describe(&bursts[i], &messages[i].msg_hdr, &vectors[i], controls[i].bytes,
			 sizeof(controls[i].bytes));
	for (size_t sent = 0; sent < count;) {
		int taken = sendmmsg(sender->sockets[bursts->port], messages + sent,
				     (unsigned)(count - sent), 0);
		if (taken > 0)
			sent += (size_t)taken;
		else if (errno != EINTR)
			send_again(sender, &bursts[sent++]);
	}
}

void sender_flush(struct sender *sender)
{
	size_t first = 0;

	for (size_t i = 1; i <= sender->burst_count; i++) {
		if (i < sender->burst_count && sender->bursts[i].port == sender->bursts[first].port)
			continue;
		send_bursts(sender, sender->bursts + first, i - first);
		first = i;
	}
	sender->burst_count = 0;
	sender->used = 0;
}

static bool fits(const struct sender *sender, const struct burst *burst,
		 const struct delivery *delivery, size_t size)
{
	return sender->has_segments && burst->port == delivery->port && size <= burst->piece &&
	       burst->size == (uint32_t)burst->count * burst->piece &&
	       burst->count < BURST_DATAGRAMS && burst->size + size <= BURST_SIZE &&
	       burst->to.sin_port == delivery->to->sin_port &&
	       burst->to.sin_addr.s_addr == delivery->to->sin_addr.s_addr;
}

/* The burst that a datagram joins, or a new one. */
static struct burst *find_burst(struct sender *sender, const struct delivery *delivery, size_t size)
{
	if (sender->burst_count == BURSTS || sender->used + size > ROOM_SIZE)
		sender_flush(sender);
	if (sender->burst_count > 0 &&
	    fits(sender, &sender->bursts[sender->burst_count - 1], delivery, size))
		return &sender->bursts[sender->burst_count - 1];
	struct burst *burst = &sender->bursts[sender->burst_count++];
	*burst = (struct burst){
		.to = *delivery->to,
		.port = delivery->port,
		.piece = (uint16_t)size,
		.data = sender->room + sender->used,
	};
	return burst;
}

void sender_send(struct sender *sender, const struct delivery *delivery, const void *data,
		 size_t size)
{
	struct burst *burst = find_burst(sender, delivery, size);

	memcpy(sender->room + sender->used, data, size);
	sender->used += size;
	burst->size += (uint32_t)size;
	burst->count++;
	sender->done += delivery->is_last;
}

/* --- what waits */

static bool is_before(const struct waiting *one, const struct waiting *other)
{
	return one->due != other->due ? one->due < other->due : one->order < other->order;
}

static bool grow(struct sender *sender)
{
	size_t capacity = sender->waiting_capacity ? 2 * sender->waiting_capacity : 64;

	if (sender->waiting_count < sender->waiting_capacity)
		return true;
	struct waiting *heap = capacity <= WAITING_LIMIT
				       ? reallocarray(sender->heap, capacity, sizeof(*heap))
				       : NULL;
	if (!heap)
		return false;
	sender->heap = heap;
	sender->waiting_capacity = capacity;
	return true;
}

/* Takes over what is in item. */
static void push(struct sender *sender, const struct waiting *item)
{
	size_t hole = sender->waiting_count++;

	for (; hole > 0 && is_before(item, &sender->heap[(hole - 1) / 2]); hole = (hole - 1) / 2)
		sender->heap[hole] = sender->heap[(hole - 1) / 2];
	sender->heap[hole] = *item;
}

static struct waiting pop(struct sender *sender)
{
	struct waiting first = sender->heap[0], last = sender->heap[--sender->waiting_count];
	size_t hole = 0, child;

	while ((child = 2 * hole + 1) < sender->waiting_count) {
		if (child + 1 < sender->waiting_count &&
		    is_before(&sender->heap[child + 1], &sender->heap[child]))
			child++;
		if (is_before(&last, &sender->heap[child]))
			break;
		sender->heap[hole] = sender->heap[child];
		hole = child;
	}
	sender->heap[hole] = last;
	return first;
}

void sender_send_later(struct sender *sender, const struct delivery *delivery, uint64_t due,
		       const void *data, size_t size)
{
	struct waiting item = {
		.due = due,
		.order = sender->order++,
		.to = *delivery->to,
		.port = delivery->port,
		.is_last = delivery->is_last,
		.size = (uint32_t)size,
	};

	item.data = grow(sender) ? malloc(size) : NULL;
	if (!item.data) {
		++*sender->unsent;
		sender->done += delivery->is_last;
		return;
	}
	memcpy(item.data, data, size);
	push(sender, &item);
}

uint64_t sender_next_due(const struct sender *sender)
{
	return sender->waiting_count > 0 ? sender->heap[0].due : UINT64_MAX;
}

void sender_release(struct sender *sender, uint64_t now)
{
	while (sender_next_due(sender) <= now) {
		struct waiting item = pop(sender);
		const struct delivery delivery = { &item.to, item.port, item.is_last };
		sender_send(sender, &delivery, item.data, item.size);
		free(item.data);
	}
}

uint64_t sender_take_done(struct sender *sender)
{
	uint64_t done = sender->done;

	sender->done = 0;
	return done;
}

/* --- */

enum kioku_status sender_open(const int *sockets, uint64_t *unsent, struct sender **out,
			      struct kioku_error *error)
{
	struct sender *sender = calloc(1, sizeof(*sender));

	*out = sender;
	if (!sender)
		return error_no_memory(error);
	sender->sockets = sockets;
	sender->unsent = unsent;
	sender->has_segments = knows_segments(sockets[0]);
	sender->room = malloc(ROOM_SIZE);
	return sender->room ? KIOKU_OK : error_no_memory(error);
}

void sender_close(struct sender *sender)
{
	if (!sender)
		return;
	while (sender->waiting_count > 0)
		free(sender->heap[--sender->waiting_count].data);
	free(sender->heap);
	free(sender->room);
	free(sender);
}
