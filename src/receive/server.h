/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A receiver's inside. One thread accepts connections (listener.c), each connection has one of its own
 * (connection.c), one uploads what is done (uploads.c), and the caller's hands out events (receive.c).
 * What they share is below, under one lock; a session's reception belongs to the connection that owns
 * the session.
 */
#ifndef RECEIVE_SERVER_H
#define RECEIVE_SERVER_H

#include <stdatomic.h>

#include "receive/events.h"
#include "receive/identity.h"
#include "receive/reception.h"
#include "receive/upload.h"
#include "transfer/tls.h"
#include "base/url.h"

struct connection;

struct session {
	struct reception reception;
	struct connection *owner;  /* NULL: no connection uses it */
	unsigned waiting;          /* connections that want to own it: it must stay */
	_Atomic uint64_t received; /* the record's, for other threads */
	uint64_t reported;         /* received, when progress was last told */
	unsigned breaks;
	uint64_t repeated;
	char peer[SOCKET_ADDRESS_TEXT];
	bool was_told;     /* that it is done, in this run */
	bool upload_tried; /* in this run */
	bool is_uploading;
	struct store_progress uploaded;
	uint64_t stored_reported; /* uploaded.stored, when progress was last told */
	struct session *next;
};

struct server {
	const struct kioku_receive_options *options;
	struct state_folder state;
	struct identity identity;
	struct tls_context *tls;
	struct tokens tokens;
	struct store *store; /* NULL: nothing is uploaded */
	struct events events;
	uint8_t fingerprint[TLS_FINGERPRINT_SIZE];
	char advertised[SOCKET_ADDRESS_TEXT]; /* "ADDRESS:PORT" of URLs */
	int listener;
	pthread_t accepting, uploading;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* a session lost its owner, a connection ended, an upload is due */
	struct session *sessions;
	size_t session_count;
	struct connection *connections; /* the newest first */
	size_t connection_count, known_count, connection_limit;
	bool is_ending;     /* everything stops */
	bool is_completing; /* count is reached: nobody new, but answers and uploads are finished */
	uint64_t done, failed, incomplete, not_stored;
};

/* Whether a server, which user is, has not been told to end. Takes the lock. In receive.c. */
bool server_goes_on(void *user);

/* --- sessions.c. All but the first two are called with the lock held. */

/* Takes up what the runs before have left. Errors: OS, NO_MEMORY. */
enum kioku_status sessions_load(struct server *server, struct kioku_error *error);
void sessions_release(struct server *server);

/* The session of a HELLO, made new. Errors: those that the sender is refused for, with *refusal. */
enum kioku_status session_start(struct server *server, const struct transfer_message *hello,
				struct session **out, enum transfer_refusal *refusal,
				struct kioku_error *error);
struct session *session_find(const struct server *server, const uint8_t id[TRANSFER_SESSION_SIZE]);
bool session_has_secret(const struct session *session, const uint8_t secret[TRANSFER_SECRET_SIZE]);

/* Forgets sessions that nobody will ask for any more. */
void sessions_expire(struct server *server);

/* Whether a session may receive so many bytes more; they count as received then. Takes the lock. */
bool session_spend(struct server *server, struct session *session, uint64_t bytes);

/* Makes single-use tokens until there are enough, and tells their URLs. */
void tokens_refill(struct server *server);

/* Notes what was changed in a session that is done. By its owner, or if it has none. */
void session_save_note(struct server *server, struct session *session);

/* The URL for those who have the token file. */
void tokens_tell_file(struct server *server);

/* An event about a session; message may be NULL. By its owner, or with the lock held. */
void session_event(struct server *server, const struct session *session,
		   enum kioku_receive_kind kind, enum kioku_status status, const char *message);

/* --- connection.c */

/*
 * Serves a client in a thread of its own, which owns the descriptor. With the lock held. Errors: OS,
 * NO_MEMORY, and the descriptor is closed.
 */
enum kioku_status connection_start(struct server *server, int descriptor,
				   const struct sockaddr_storage *peer, struct kioku_error *error);

/* --- listener.c */

/* Begins to listen, and tells the address. Errors: OS, ARGUMENT. */
enum kioku_status listener_open(struct server *server, struct kioku_error *error);

/* A thread: accepts connections until the server ends. */
void *listener_run(void *server);

/* --- uploads.c */

/* A thread: uploads finished transfers until the server ends. */
void *uploads_run(void *server);

/* Whether something is still to be uploaded in this run. With the lock held. */
bool uploads_are_due(const struct server *server);

#endif
