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

/* Makes it end soon. reason: a literal. With the lock held. */
void connection_cut(struct connection *connection, const char *reason);

#endif
