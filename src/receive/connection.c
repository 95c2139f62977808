/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One connection, from the handshake to its end, in a thread of its own. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/thread.h"
#include "receive/connection.h"

enum {
	GREETING_SECONDS = 10, /* for the handshake, and again for HELLO or RESUME */
	SILENCE_SECONDS = 60,  /* after which a link counts as lost */
	ALIVE_SECONDS = 3,     /* the sender hears of us at least as often */
	POLL_MILLISECONDS = 200,
	ACK_BYTES = 256 << 10, /* at most so many are received without being acknowledged */
};

static bool has_passed(struct timespec deadline)
{
	return deadline_milliseconds(deadline) == 0;
}

static bool is_cut(const struct connection *connection)
{
	return atomic_load(&connection->is_cut);
}

/* --- what goes out */

/* Waits for room if need be. Errors: OS, STOPPED. */
static enum kioku_status send_all(struct connection *connection, const uint8_t *data, size_t size,
				  struct kioku_error *error)
{
	struct timespec deadline = deadline_after(SILENCE_SECONDS);

	while (size > 0) {
		size_t done = 0;
		short events = 0;
		TRY(tls_write(connection->tls, data, size, &done, &events, error));
		data += done;
		size -= done;
		struct pollfd poller = { .fd = connection->descriptor, .events = events };
		if (events && poll(&poller, 1, POLL_MILLISECONDS) < 0 && errno != EINTR)
			return error_os(error, "cannot wait");
		if (is_cut(connection))
			return error_set(error, KIOKU_ERROR_STOPPED, "%s", connection->cut_reason);
		if (has_passed(deadline))
			return error_set(error, KIOKU_ERROR_OS, "the sender takes no answers");
	}
	connection->speak = deadline_after(ALIVE_SECONDS);
	return KIOKU_OK;
}

static enum kioku_status send_message(struct connection *connection,
				      const struct transfer_message *message,
				      struct kioku_error *error)
{
	uint8_t out[TRANSFER_HEADER_SIZE + TRANSFER_TEXT_LIMIT + 64];

	return send_all(connection, out, transfer_encode(message, out), error);
}

static struct bytes bytes_of(const char *text)
{
	return (struct bytes){ (const uint8_t *)text, strlen(text) };
}

static enum kioku_status send_ack(struct connection *connection, struct kioku_error *error)
{
	struct transfer_message message = { .type = TRANSFER_ACK,
					    .position = connection->acknowledged };

	return send_message(connection, &message, error);
}

/* Notes how far we are, and says so. */
static enum kioku_status acknowledge(struct connection *connection, struct kioku_error *error)
{
	struct reception *reception = &connection->session->reception;

	if (reception->record.note.stage == SESSION_RUNS)
		TRY(reception_note(reception, error));
	connection->acknowledged = reception->record.note.position;
	return send_ack(connection, error);
}

/* While something takes long: whether it is to go on. */
static bool stay_alive(void *user)
{
	struct connection *connection = user;

	if (is_cut(connection))
		return false;
	return !has_passed(connection->speak) || send_ack(connection, NULL) == KIOKU_OK;
}

static bool may_receive(void *user, uint64_t bytes)
{
	struct connection *connection = user;

	return session_spend(connection->server, connection->session, bytes);
}

static enum kioku_status send_digest(struct connection *connection, uint32_t number,
				     struct kioku_error *error)
{
	const struct record_file *file = &connection->session->reception.record.files[number];
	struct transfer_message message = { .type = TRANSFER_DIGEST, .file = number };

	memcpy(message.md5, file->md5, sizeof(message.md5));
	memcpy(message.sha256, file->sha256, sizeof(message.sha256));
	return send_message(connection, &message, error);
}

static enum kioku_status send_done(struct connection *connection, struct kioku_error *error)
{
	const struct session_record *record = &connection->session->reception.record;
	struct transfer_message message = { .type = TRANSFER_DONE,
					    .folder = bytes_of(record->folder) };

	return send_message(connection, &message, error);
}

/* WELCOME, and the answers that may have been lost. */
static enum kioku_status send_welcome(struct connection *connection, struct kioku_error *error)
{
	const struct session_record *record = &connection->session->reception.record;
	struct transfer_message message = {
		.type = TRANSFER_WELCOME,
		.version = TRANSFER_VERSION,
		.position = record->note.position,
		.folder = bytes_of(record->folder),
	};

	connection->acknowledged = record->note.position;
	TRY(send_message(connection, &message, error));
	for (uint32_t i = 0; i < TRANSFER_FILES; i++)
		if (record->files[i].answers && record->files[i].stage != FILE_OPEN)
			TRY(send_digest(connection, i, error));
	return record->note.stage == SESSION_DONE ? send_done(connection, error) : KIOKU_OK;
}

/*
 * What is still on its way is taken and thrown away: closing now would reset the link, and the sender
 * might never read the reason.
 */
static void linger(struct connection *connection)
{
	struct timespec deadline = deadline_after(GREETING_SECONDS);

	shutdown(connection->descriptor, SHUT_WR);
	while (!is_cut(connection) && !has_passed(deadline)) {
		struct pollfd poller = { .fd = connection->descriptor, .events = POLLIN };
		if (poll(&poller, 1, POLL_MILLISECONDS) <= 0)
			continue;
		ssize_t size = recv(connection->descriptor, connection->input,
				    sizeof(connection->input), MSG_DONTWAIT);
		if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
			break;
	}
}

static void send_refused(struct connection *connection, enum transfer_refusal code,
			 const char *reason)
{
	struct transfer_message message = { .type = TRANSFER_REFUSED,
					    .code = code,
					    .reason = bytes_of(reason) };

	if (message.reason.size > TRANSFER_TEXT_LIMIT)
		message.reason.size = TRANSFER_TEXT_LIMIT;
	if (send_message(connection, &message, NULL) == KIOKU_OK)
		linger(connection);
}

/* --- what comes in */

/* Waits for input; keeps the sender from thinking that we are gone. */
static enum kioku_status await_input(struct connection *connection, short events,
				     struct timespec deadline, struct kioku_error *error)
{
	struct pollfd poller = { .fd = connection->descriptor, .events = events };

	if (poll(&poller, 1, POLL_MILLISECONDS) < 0 && errno != EINTR)
		return error_os(error, "cannot wait");
	if (is_cut(connection))
		return error_set(error, KIOKU_ERROR_STOPPED, "%s", connection->cut_reason);
	if (has_passed(deadline))
		return error_set(error, KIOKU_ERROR_LIMIT, "nothing was heard for %d s",
				 connection->session ? SILENCE_SECONDS : GREETING_SECONDS);
	if (connection->session && has_passed(connection->speak))
		return send_ack(connection, error);
	return KIOKU_OK;
}

/* Brings in so many bytes; of a message that follows at once, perhaps more. */
static enum kioku_status need(struct connection *connection, size_t size, struct timespec *deadline,
			      struct kioku_error *error)
{
	while (connection->filled < size) {
		size_t done = 0;
		short events = 0;
		enum kioku_status status =
			tls_read(connection->tls, connection->input + connection->filled,
				 sizeof(connection->input) - connection->filled, &done, &events,
				 error);
		if (status !=
		    KIOKU_OK) /* also what TLS calls corrupt: the sender did not send it */
			return KIOKU_ERROR_OS;
		connection->filled += done;
		if (done > 0 && connection->session)
			*deadline = deadline_after(SILENCE_SECONDS);
		if (done > 0)
			continue;
		if (connection->session &&
		    connection->acknowledged != connection->session->reception.record.note.position)
			TRY(acknowledge(connection, error));
		TRY(await_input(connection, events, *deadline, error));
	}
	return is_cut(connection)
		       ? error_set(error, KIOKU_ERROR_STOPPED, "%s", connection->cut_reason)
		       : KIOKU_OK;
}

/*
 * The next message, and how many bytes it takes; drop_message() when it was dealt with. Before the
 * sender has said who it is, nothing larger than a HELLO is taken in. Errors: OS (the link), STOPPED,
 * LIMIT (silence), CORRUPT.
 */
static enum kioku_status next_message(struct connection *connection,
				      struct transfer_message *message, size_t *whole,
				      struct kioku_error *error)
{
	struct timespec deadline =
		deadline_after(connection->session ? SILENCE_SECONDS : GREETING_SECONDS);
	enum transfer_type type;
	uint32_t size;

	TRY(need(connection, TRANSFER_HEADER_SIZE, &deadline, error));
	TRY(transfer_header_decode(connection->input, &type, &size, error));
	if (!connection->session && type != TRANSFER_HELLO && type != TRANSFER_RESUME)
		return error_set(error, KIOKU_ERROR_CORRUPT, "it did not say who it is");
	*whole = TRANSFER_HEADER_SIZE + size;
	TRY(need(connection, *whole, &deadline, error));
	struct bytes payload = { connection->input + TRANSFER_HEADER_SIZE, size };
	return transfer_decode(type, payload, message, error);
}

static void drop_message(struct connection *connection, size_t whole)
{
	connection->filled -= whole;
	memmove(connection->input, connection->input + whole, connection->filled);
}

/* --- a session */

/* Ends the connection that has the session now, and waits for it. False: it does not end. */
static bool take_over(struct connection *connection, struct session *session)
{
	struct server *server = connection->server;
	struct timespec deadline = deadline_after(2 * GREETING_SECONDS);

	session->waiting++;
	if (session->owner)
		connection_cut(session->owner, "another connection goes on with it");
	while (session->owner && !has_passed(deadline))
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
	TRY(next_message(connection, &greeting, &whole, error));
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
	session->reception.goes_on = stay_alive;
	session->reception.may_receive = may_receive;
	session->reception.user = connection;
	drop_message(connection, whole);
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
	send_refused(connection, refusal, reason);
}

static enum kioku_status answer(struct connection *connection,
				const struct transfer_message *message, struct kioku_error *error)
{
	struct session *session = connection->session;

	atomic_store(&session->received, session->reception.record.note.received);
	if (message->type == TRANSFER_END) {
		finish_session(connection);
		TRY(acknowledge(connection, error));
		return send_done(connection, error);
	}
	if (message->type == TRANSFER_CLOSE && message->flags & TRANSFER_ANSWER)
		TRY(send_digest(connection, message->file, error));
	if (session->reception.record.note.position - connection->acknowledged >= ACK_BYTES)
		return acknowledge(connection, error);
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
		enum kioku_status status = next_message(connection, &message, &whole, error);
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
		drop_message(connection, whole);
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
		send_refused(connection, note->refusal, note->reason);
		return KIOKU_OK;
	}
	if (note->stage == SESSION_RUNS)
		TRY(attach(connection, refusal, error));
	*refusal = 0;
	announce(connection, is_new);
	TRY(send_welcome(connection, error));
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
			  is_cut(connection) ? connection->cut_reason : "the link failed");
	bool is_running = connection->session->reception.record.note.stage == SESSION_RUNS;
	if (refusal != 0 && is_running && refusal != TRANSFER_REFUSED_BUSY) {
		fail_session(connection, refusal, status, error.message);
	} else if (refusal != 0) {
		tell_refused(connection, error.message);
		send_refused(connection, refusal, error.message);
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
	tell_refused(connection, is_cut(connection) ? connection->cut_reason : error.message);
	if (refusal != 0 && (status == KIOKU_ERROR_REFUSED || status == KIOKU_ERROR_CORRUPT ||
			     refusal == TRANSFER_REFUSED_STORAGE))
		send_refused(connection, refusal, error.message);
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
	if (is_cut(connection))
		return;
	connection->cut_reason = reason;
	atomic_store(&connection->is_cut, true);
	shutdown(connection->descriptor, SHUT_RDWR);
}
