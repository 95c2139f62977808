/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What goes out and comes in on a connection. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/thread.h"
#include "receive/connection.h"

enum {
	SILENCE_SECONDS = 60, /* after which a link counts as lost */
	ALIVE_SECONDS = 3,    /* the sender hears of us at least as often */
	POLL_MILLISECONDS = 200,
	ACK_MILLISECONDS = 10, /* for which more may come before what has come is acknowledged */
};

static bool has_passed(struct timespec deadline)
{
	return deadline_milliseconds(deadline) == 0;
}

bool connection_is_cut(const struct connection *connection)
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
		if (connection_is_cut(connection))
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

enum kioku_status connection_acknowledge(struct connection *connection, struct kioku_error *error)
{
	struct reception *reception = &connection->session->reception;

	if (reception->record.note.stage == SESSION_RUNS)
		TRY(reception_note(reception, error));
	connection->acknowledged = reception->record.note.position;
	return send_ack(connection, error);
}

bool connection_stay_alive(void *user)
{
	struct connection *connection = user;

	if (connection_is_cut(connection))
		return false;
	return !has_passed(connection->speak) || send_ack(connection, NULL) == KIOKU_OK;
}

enum kioku_status connection_send_digest(struct connection *connection, uint32_t number,
					 struct kioku_error *error)
{
	const struct record_file *file = &connection->session->reception.record.files[number];
	struct transfer_message message = { .type = TRANSFER_DIGEST, .file = number };

	memcpy(message.md5, file->md5, sizeof(message.md5));
	memcpy(message.sha256, file->sha256, sizeof(message.sha256));
	return send_message(connection, &message, error);
}

enum kioku_status connection_send_done(struct connection *connection, struct kioku_error *error)
{
	const struct session_record *record = &connection->session->reception.record;
	struct transfer_message message = { .type = TRANSFER_DONE,
					    .folder = bytes_of(record->folder) };

	return send_message(connection, &message, error);
}

enum kioku_status connection_send_welcome(struct connection *connection, struct kioku_error *error)
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
			TRY(connection_send_digest(connection, i, error));
	return record->note.stage == SESSION_DONE ? connection_send_done(connection, error)
						  : KIOKU_OK;
}

/*
 * What is still on its way is taken and thrown away: closing now would reset the link, and the sender
 * might never read the reason.
 */
static void linger(struct connection *connection)
{
	struct timespec deadline = deadline_after(GREETING_SECONDS);

	shutdown(connection->descriptor, SHUT_WR);
	while (!connection_is_cut(connection) && !has_passed(deadline)) {
		struct pollfd poller = { .fd = connection->descriptor, .events = POLLIN };
		if (poll(&poller, 1, POLL_MILLISECONDS) <= 0)
			continue;
		ssize_t size = recv(connection->descriptor, connection->input,
				    sizeof(connection->input), MSG_DONTWAIT);
		if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
			break;
	}
}

void connection_send_refused(struct connection *connection, enum transfer_refusal code,
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

static bool owes_ack(const struct connection *connection)
{
	return connection->session &&
	       connection->acknowledged != connection->session->reception.record.note.position;
}

/*
 * Waits for input; keeps the sender from thinking that we are gone. With many senders, each comes bit
 * by bit: an answer to each bit would wake them for nothing.
 */
static enum kioku_status await_input(struct connection *connection, short events,
				     struct timespec deadline, struct kioku_error *error)
{
	struct pollfd poller = { .fd = connection->descriptor, .events = events };
	bool owes = owes_ack(connection);

	int ready = poll(&poller, 1, owes ? ACK_MILLISECONDS : POLL_MILLISECONDS);
	if (ready < 0 && errno != EINTR)
		return error_os(error, "cannot wait");
	if (ready == 0 && owes)
		TRY(connection_acknowledge(connection, error));
	if (connection_is_cut(connection))
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
		/* What TLS calls corrupt is the link's fault, too, and no message of the sender's. */
		if (status != KIOKU_OK)
			return KIOKU_ERROR_OS;
		connection->filled += done;
		if (done > 0 && connection->session)
			*deadline = deadline_after(SILENCE_SECONDS);
		if (done > 0)
			continue;
		TRY(await_input(connection, events, *deadline, error));
	}
	return connection_is_cut(connection)
		       ? error_set(error, KIOKU_ERROR_STOPPED, "%s", connection->cut_reason)
		       : KIOKU_OK;
}

enum kioku_status connection_next_message(struct connection *connection,
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

void connection_drop_message(struct connection *connection, size_t whole)
{
	connection->filled -= whole;
	memmove(connection->input, connection->input + whole, connection->filled);
}
