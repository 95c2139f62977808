/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Datagrams on their way out: those that wait until they are due, and those that leave together. */
#ifndef SERVE_SENDER_H
#define SERVE_SENDER_H

#include <netinet/in.h>
#include <stdbool.h>

#include "base/error.h"

struct delivery {
	const struct sockaddr_in *to;
	uint16_t port; /* index of the socket that it leaves from */
	bool is_last;  /* with it a request is done */
};

struct sender;

/*
 * sockets[delivery.port] is what a datagram leaves from; they stay the caller's. *unsent counts those
 * that the network, or memory, has no room for. Errors: NO_MEMORY.
 */
enum kioku_status sender_open(const int *sockets, uint64_t *unsent, struct sender **out,
			      struct kioku_error *error);
void sender_close(struct sender *sender); /* what waits is dropped */

/* Keeps a copy of a datagram for sender_flush(). At most 65507 bytes. */
void sender_send(struct sender *sender, const struct delivery *delivery, const void *data,
		 size_t size);

/* The same once due, in nanoseconds of the caller's clock; of those due at a time, in this order. */
void sender_send_later(struct sender *sender, const struct delivery *delivery, uint64_t due,
		       const void *data, size_t size);

/* When the first of them is due; UINT64_MAX: none waits. */
uint64_t sender_next_due(const struct sender *sender);

/* Lets what is due leave with the next sender_flush(). */
void sender_release(struct sender *sender, uint64_t now);

/* Sends all that is to leave. */
void sender_flush(struct sender *sender);

/* How many of the last datagrams of requests have left, since it was asked last. */
uint64_t sender_take_done(struct sender *sender);

#endif
