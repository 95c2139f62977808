/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One connection, from the handshake to its end, in a thread of its own. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/thread.h"
#include "receive/connection.h"

enum { ACK_BYTES = 256 << 10 }; /* at most so many are received without being acknowledged */

/* --- a session */

static bool may_receive(void *user, uint64_t bytes)
{
	struct connection *connection = user;

	return session_spend(connection->server, connection->session, bytes);
}

/* Ends the connection that has the session now, and waits for it. False: it does not end. */
static bool take_over(struct connection *connection, struct session *session)
{
	struct server *server = connection->server;
	struct timespec deadline = deadline_after(2 * GREETING_SECONDS);

	session->waiting++;
	if (session->owner)
		connection_cut(session->owner, "another connection goes on with it");
	while (session->owner && deadline_milliseconds(deadline) > 0)
		pthread_cond_timedwait(&server->changed, &server->lock, &deadline);
	session->waiting--;
	return !session->owner;
}

static enum kioku_status refuse(enum transfer_refusal *refusal, enum transfer_refusal code,
				const char *reason, struct kioku_error *error)
{
	*refusal = code;
	return error_set(error, KIOKU_ERROR_REFUSED, "%s", reason);
}

/* The session that a HELLO or RESUME is about. With the lock held. */
static enum kioku_status find_session(struct connection *connection,
				      const struct transfer_message *greeting, struct session **out,
				      bool *is_new, enum transfer_refusal *refusal,
				      struct kioku_error *error)
{
	struct server *server = connection->server;
	struct session *session = session_find(server, greeting->session);

	if (session ? !session_has_secret(session, greeting->secret)
		    : greeting->type != TRANSFER_HELLO)
		return refuse(refusal, TRANSFER_REFUSED_TOKEN, "the session is not known", error);
	if (server->is_ending || (server->is_completing && !session))
		return refuse(refusal, TRANSFER_REFUSED_BUSY, "the receiver is ending", error);
	bool has_room = server->known_count < server->connection_limit;
	if (!has_room && !(session && session->owner))
		return refuse(refusal, TRANSFER_REFUSED_BUSY, "there are too many connections",
			      error);
	*is_new = !session;
	if (!session)
		TRY(session_start(server, greeting, &session, refusal, error));
	connection->is_known = true;
	server->known_count++;
	if (!take_over(connection, session))
		return refuse(refusal, TRANSFER_REFUSED_BUSY,
			      "another connection of the session does not end", error);
	session->owner = connection;
	memcpy(session->peer, connection->peer, sizeof(session->peer));
	*out = session;
	return KIOKU_OK;
}

static enum kioku_status greet(struct connection *connection, bool *is_new,
			       enum transfer_refusal *refusal, struct kioku_error *error)
{
	struct server *server = connection->server;
	struct transfer_message greeting;
	struct session *session = NULL;
	size_t whole;

	*refusal = TRANSFER_REFUSED_PROTOCOL;
	TRY(connection_next_message(connection, &greeting, &whole, error));
	if (greeting.version != TRANSFER_VERSION)
		return refuse(refusal, TRANSFER_REFUSED_VERSION,
			      "this receiver speaks version 1 of the protocol only", error);
	pthread_mutex_lock(&server->lock);
	enum kioku_status status =
		find_session(connection, &greeting, &session, is_new, refusal, error);
	pthread_mutex_unlock(&server->lock);
	OPENSSL_cleanse(connection->input, whole);
	OPENSSL_cleanse(&greeting, sizeof(greeting));
	TRY(status);
	connection->session = session;
	session->reception.goes_on = connection_stay_alive;
	session->reception.may_receive = may_receive;
	session->reception.user = connection;
	connection_drop_message(connection, whole);
	return KIOKU_OK;
}

/* Done: told once all is on the disk. */
static void finish_session(struct connection *connection)
{
	struct server *server = connection->server;
	struct session *session = connection->session;

	pthread_mutex_lock(&server->lock);
	server->done++;
	server->incomplete +=
		!session->reception.record.complete || session->reception.record.lost > 0;
	session->was_told = true;
	if (server->options->count > 0 && server->done >= server->options->count)
		server->is_completing = true;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
	session_event(server, session, KIOKU_RECEIVE_DONE, KIOKU_OK, NULL);
}

/* The sender needs nothing more of us. */
static void forget_session(struct connection *connection)
{
	struct session *session = connection->session;

	pthread_mutex_lock(&connection->server->lock);
	session->reception.record.note.forgotten = true;
	session_save_note(connection->server, session);
	pthread_mutex_unlock(&connection->server->lock);
}

static void fail_session(struct connection *connection, enum transfer_refusal refusal,
			 enum kioku_status status, const char *reason)
{
	struct server *server = connection->server;

	pthread_mutex_lock(&server->lock);
	reception_fail(&connection->session->reception, refusal, reason);
	server->failed++;
	pthread_mutex_unlock(&server->lock);
	session_event(server, connection->session, KIOKU_RECEIVE_FAILED, status, reason);
	connection_send_refused(connection, refusal, reason);
}

static enum kioku_status answer(struct connection *connection,
				const struct transfer_message *message, struct kioku_error *error)
{
	struct session *session = connection->session;

	atomic_store(&session->received, session->reception.record.note.received);
	if (message->type == TRANSFER_END) {
		finish_session(connection);
		TRY(connection_acknowledge(connection, error));
		return connection_send_done(connection, error);
	}
	if (message->type == TRANSFER_CLOSE && message->flags & TRANSFER_ANSWER)
		TRY(connection_send_digest(connection, message->file, error));
	if (session->reception.record.note.position - connection->acknowledged >= ACK_BYTES)
		return connection_acknowledge(connection, error);
	return KIOKU_OK;
}

/*
 * Takes in messages until the link ends. OK: after BYE. refusal stays 0 if it is the link that failed.
 */
static enum kioku_status serve(struct connection *connection, enum transfer_refusal *refusal,
			       struct kioku_error *error)
{
	for (;;) {
		struct transfer_message message;
		size_t whole;
		*refusal = 0;
		enum kioku_status status =
			connection_next_message(connection, &message, &whole, error);
		if (status == KIOKU_ERROR_CORRUPT)
			*refusal = TRANSFER_REFUSED_PROTOCOL;
		TRY(status);
		if (message.type == TRANSFER_BYE &&
		    connection->session->reception.record.note.stage == SESSION_DONE) {
			forget_session(connection);
			return KIOKU_OK;
		}
		if (message.type != TRANSFER_PING) {
			status = reception_apply(&connection->session->reception, &message, whole,
						 refusal, error);
			if (status == KIOKU_ERROR_STOPPED)
				*refusal = 0;
			TRY(status);
			*refusal = 0;
			TRY(answer(connection, &message, error));
		}
		connection_drop_message(connection, whole);
	}
}

/* What is wrong with this machine for a while is no reason to give a transfer up. */
static bool is_passing(const struct kioku_error *error)
{
	return error->status == KIOKU_ERROR_NO_MEMORY || error->os_errno == EMFILE ||
	       error->os_errno == ENFILE || error->os_errno == ENOMEM;
}

static enum kioku_status attach(struct connection *connection, enum transfer_refusal *refusal,
				struct kioku_error *error)
{
	struct server *server = connection->server;
	struct session *session = connection->session;

	*refusal = TRANSFER_REFUSED_STORAGE;
	session->reception.record.note.to_store = server->store != NULL;
	enum kioku_status status = reception_attach(&session->reception, error);
	if (status != KIOKU_OK && is_passing(error))
		*refusal = TRANSFER_REFUSED_BUSY;
	return status;
}

/* Tells that it has begun, or goes on, or was done in an earlier run. */
static void announce(struct connection *connection, bool is_new)
{
	struct session *session = connection->session;

	if (session->reception.record.note.stage == SESSION_RUNS)
		session_event(connection->server, session,
			      is_new ? KIOKU_RECEIVE_STARTED : KIOKU_RECEIVE_RESUMED, KIOKU_OK,
			      NULL);
	else if (!session->was_told)
		finish_session(connection);
	connection->was_announced = true;
}

static enum kioku_status run_session(struct connection *connection, bool is_new,
				     enum transfer_refusal *refusal, struct kioku_error *error)
{
	struct session *session = connection->session;
	const struct session_note *note = &session->reception.record.note;

	if (note->stage == SESSION_FAILED) {
		connection_send_refused(connection, note->refusal, note->reason);
		return KIOKU_OK;
	}
	if (note->stage == SESSION_RUNS)
		TRY(attach(connection, refusal, error));
	*refusal = 0;
	announce(connection, is_new);
	TRY(connection_send_welcome(connection, error));
	return serve(connection, refusal, error);
}

static void leave_session(struct connection *connection, const char *reason)
{
	struct server *server = connection->server;
	struct session *session = connection->session;
	struct session_note *note = &session->reception.record.note;
	bool is_broken = connection->was_announced && note->stage == SESSION_RUNS;

	pthread_mutex_lock(&server->lock);
	if (is_broken) {
		session->breaks = ++note->breaks;
		session->repeated = note->repeated += connection->filled;
		reception_note(&session->reception, NULL);
	}
	pthread_mutex_unlock(&server->lock);
	reception_detach(&session->reception);
	if (is_broken)
		session_event(server, session, KIOKU_RECEIVE_BROKEN, KIOKU_ERROR_OS, reason);
	pthread_mutex_lock(&server->lock);
	session->owner = NULL;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

static void tell_refused(struct connection *connection, const char *message)
{
	struct kioku_receive_event event = { .kind = KIOKU_RECEIVE_REFUSED,
					     .peer = connection->peer,
					     .message = message };

	events_push(&connection->server->events, &event);
}

static void use_session(struct connection *connection, bool is_new)
{
	struct kioku_error error = { 0 };
	enum transfer_refusal refusal = 0;

	enum kioku_status status = run_session(connection, is_new, &refusal, &error);
	if (status == KIOKU_ERROR_STOPPED)
		error_set(&error, status, "%s",
			  connection_is_cut(connection) ? connection->cut_reason
							: "the link failed");
	bool is_running = connection->session->reception.record.note.stage == SESSION_RUNS;
	if (refusal != 0 && is_running && refusal != TRANSFER_REFUSED_BUSY) {
		fail_session(connection, refusal, status, error.message);
	} else if (refusal != 0) {
		tell_refused(connection, error.message);
		connection_send_refused(connection, refusal, error.message);
	}
	leave_session(connection, status == KIOKU_OK ? "" : error.message);
}

/* --- the thread */

static void talk(struct connection *connection)
{
	enum transfer_refusal refusal = 0;
	struct kioku_error error = { 0 };
	bool is_new = false;

	enum kioku_status status =
		tls_open(connection->server->tls, connection->descriptor, &connection->tls, &error);
	if (status == KIOKU_OK)
		status = tls_handshake_within(connection->tls, GREETING_SECONDS, &error);
	if (status == KIOKU_OK)
		status = greet(connection, &is_new, &refusal, &error);
	if (status == KIOKU_OK) {
		use_session(connection, is_new);
		return;
	}
	tell_refused(connection,
		     connection_is_cut(connection) ? connection->cut_reason : error.message);
	if (refusal != 0 && (status == KIOKU_ERROR_REFUSED || status == KIOKU_ERROR_CORRUPT ||
			     refusal == TRANSFER_REFUSED_STORAGE))
		connection_send_refused(connection, refusal, error.message);
}

static void unlink_connection(struct connection *connection)
{
	struct server *server = connection->server;
	struct connection **place = &server->connections;

	pthread_mutex_lock(&server->lock);
	while (*place != connection)
		place = &(*place)->next;
	*place = connection->next;
	server->connection_count--;
	server->known_count -= connection->is_known;
	/* Closed while nobody can find it any more, but before the last one is said to be gone. */
	tls_close(connection->tls);
	close(connection->descriptor);
	free(connection);
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

static void *run(void *user)
{
	struct connection *connection = user;

	talk(connection);
	unlink_connection(connection);
	return NULL;
}

/* IPv4 addresses look like that, though they came by an IPv6 socket. */
static void peer_text(const struct sockaddr_storage *peer, char out[SOCKET_ADDRESS_TEXT])
{
	const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)peer;
	struct sockaddr_storage plain = *peer;

	if (peer->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&ipv6->sin6_addr)) {
		struct sockaddr_in *ipv4 = (struct sockaddr_in *)&plain;
		*ipv4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = ipv6->sin6_port };
		memcpy(&ipv4->sin_addr, &ipv6->sin6_addr.s6_addr[12], 4);
	}
	socket_address_text(&plain, out);
}

enum kioku_status connection_start(struct server *server, int descriptor,
				   const struct sockaddr_storage *peer, struct kioku_error *error)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int yes = 1;
	pthread_t thread;

	if (!connection) {
		close(descriptor);
		return error_no_memory(error);
	}
	connection->server = server;
	connection->descriptor = descriptor;
	peer_text(peer, connection->peer);
	fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
	setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	enum kioku_status status = thread_create(&thread, run, connection, error);
	if (status != KIOKU_OK) {
		close(descriptor);
		free(connection);
		return status;
	}
	pthread_detach(thread);
	/* It cannot have ended: for that it needs the lock. */
	connection->next = server->connections;
	server->connections = connection;
	server->connection_count++;
	return KIOKU_OK;
}

void connection_cut(struct connection *connection, const char *reason)
{
	if (connection_is_cut(connection))
		return;
	connection->cut_reason = reason;
	atomic_store(&connection->is_cut, true);
	shutdown(connection->descriptor, SHUT_RDWR);
}
