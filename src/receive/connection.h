/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef RECEIVE_CONNECTION_H
#define RECEIVE_CONNECTION_H

#include <time.h>

#include "receive/server.h"

struct connection {
	struct server *server;
	struct connection *next; /* these two belong to the server's lock */
	bool is_known;           /* it has proved that it is a sender */
	int descriptor;
	char peer[SOCKET_ADDRESS_TEXT];
	_Atomic bool is_cut;
	const char *cut_reason; /* set before is_cut */
	struct tls *tls;
	struct session *session; /* NULL: not known yet */
	bool was_announced;      /* the session's event was told */
	uint64_t acknowledged;   /* the position that was noted and told last */
	struct timespec speak;   /* when the sender has to hear of us again */
	size_t filled;           /* bytes of input */
	uint8_t input[TRANSFER_MESSAGE_LIMIT];
};

/* --- connection_messages.c: what goes out and comes in */

enum { GREETING_SECONDS = 10 }; /* for the handshake, and again for HELLO or RESUME */

bool connection_is_cut(const struct connection *connection);

/* A session's goes_on: lets the sender hear of us while something takes long. */
bool connection_stay_alive(void *connection);

/* Notes how far the session is, and says so. Errors: OS, STOPPED. */
enum kioku_status connection_acknowledge(struct connection *connection, struct kioku_error *error);

/* WELCOME, and the answers that may have been lost. Errors of all that send: OS, STOPPED. */
enum kioku_status connection_send_welcome(struct connection *connection, struct kioku_error *error);
enum kioku_status connection_send_digest(struct connection *connection, uint32_t number,
					 struct kioku_error *error);
enum kioku_status connection_send_done(struct connection *connection, struct kioku_error *error);

/* Says why, and waits a little for the sender to read it. */
void connection_send_refused(struct connection *connection, enum transfer_refusal code,
			     const char *reason);

/*
 * The next message, and how many bytes it takes; connection_drop_message() when it was dealt with.
 * Before the sender has said who it is, nothing larger than a HELLO is taken in. Errors: OS (the
 * link), STOPPED, LIMIT (silence), CORRUPT.
 */
enum kioku_status connection_next_message(struct connection *connection,
					  struct transfer_message *message, size_t *whole,
					  struct kioku_error *error);
void connection_drop_message(struct connection *connection, size_t whole);

/* --- connection.c */

/* Makes it end soon. reason: a literal. With the lock held. */
void connection_cut(struct connection *connection, const char *reason);

#endif
