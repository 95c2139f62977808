/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the two halves of a link share: its callers (link.c) and its thread (link_thread.c). */
#ifndef TRANSFER_LINK_STATE_H
#define TRANSFER_LINK_STATE_H

#include <pthread.h>

#include "transfer/link.h"
#include "transfer/outbox.h"
#include "transfer/tls.h"
#include "base/url.h"

struct link {
	struct sockaddr_storage address;
	socklen_t address_size;
	char label[SOCKET_ADDRESS_TEXT];
	struct link_timing timing;
	const struct diagnostics *diagnostics;
	struct tls_context *context;
	pthread_t thread;
	bool has_thread;
	int wake; /* an event descriptor: the thread has something to look at */

	pthread_mutex_t turn; /* callers add messages one after the other; taken before lock */
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct outbox outbox;
	bool idle;     /* the thread waits for something to write */
	bool welcomed; /* the session exists; folder does not change any more */
	bool ended;    /* END is in the outbox */
	bool done;     /* the receiver has everything */
	bool failed;   /* for good; error says why */
	bool closing;
	double hurry_at; /* 0: there is no hurry */
	struct kioku_error error;
	char folder[TRANSFER_TEXT_LIMIT + 1];
	struct file_digests digests[TRANSFER_FILES];
	uint32_t digests_known; /* a bit for each */

	/* The thread's own. */
	uint8_t greeting[TRANSFER_HEADER_SIZE + TRANSFER_HELLO_LIMIT]; /* HELLO, then RESUME */
	size_t greeting_size;
	uint8_t session[TRANSFER_SESSION_SIZE], secret[TRANSFER_SECRET_SIZE];
	uint64_t sent; /* up to here at least one connection was given bytes */
	uint64_t repeated;
	unsigned breaks;
	double lost_at; /* when there was a link for the last time */
	double measured_at;
	bool is_final; /* trying again is of no use */
};

/* Of CLOCK_MONOTONIC, in seconds. */

/* Makes the thread look. */
void link_wake(struct link *link);

/* The thread, with a struct link. */
void *link_run(void *argument);

#endif
