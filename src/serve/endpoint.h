/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What kioku_serve() keeps while it runs. */
#ifndef SERVE_ENDPOINT_H
#define SERVE_ENDPOINT_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "serve/completer.h"
#include "serve/faults.h"
#include "serve/sender.h"

enum {
	TAGS_MAX = 256,
	BATCH = 64,      /* datagrams that are received at once */
	HEARD_SIZE = 64, /* of a datagram, what is looked at: a read has no more */
};

/* Datagrams as they come. */
struct batch {
	struct mmsghdr messages[BATCH];
	struct iovec vectors[BATCH];
	struct sockaddr_in from[BATCH];
	uint8_t data[BATCH][HEARD_SIZE];
};

struct endpoint {
	const struct kioku_serve_options *options;
	struct kioku_serve_result *result;
	struct range_map ram; /* of options->ranges */
	struct completer completer;
	struct faults faults;
	struct sender *sender;
	struct in_addr address, client;
	int sockets[TAGS_MAX]; /* those of the tags there are */
	int messages;          /* the socket of the message service, or -1 */
	int poller;            /* of all these sockets and the timer */
	int timer;
	uint64_t armed;   /* what the timer is set to; 0: nothing */
	uint64_t waiting; /* requests that wait for their completions */
	uint16_t sequence;
	struct batch batch;
	struct completions completions;
};

/* Opens the sockets of all tags and, unless there is none, of the message service. Errors: OS. */
enum kioku_status endpoint_open_sockets(struct endpoint *endpoint, struct kioku_error *error);

/* Serves until options->event() returns false. Errors: OS. */
enum kioku_status endpoint_run(struct endpoint *endpoint, struct kioku_error *error);

/* What has come to the socket of a tag: completions go to the sender. */
void endpoint_receive(struct endpoint *endpoint, uint16_t port);

/* What has come to the message service: it is answered. */
void endpoint_receive_messages(struct endpoint *endpoint);

void endpoint_init_batch(struct batch *batch);

/* Fills endpoint->batch from a socket; how many there are. */
size_t endpoint_fill_batch(struct endpoint *endpoint, int socket);

/* Whether a datagram comes from whom options->client lets in; counted if not. */
bool endpoint_knows(struct endpoint *endpoint, const struct sockaddr_in *from);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t endpoint_now(void);

#endif
