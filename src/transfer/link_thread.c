/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "base/thread.h"
#include "transfer/link_state.h"
#include "base/socket.h"

enum {
	BATCH = 256 << 10,  /* bytes that are written before somebody is listened to */
	INPUT_LIMIT = 1024, /* more than what a receiver says has */
	PARTING = 1,        /* seconds for which the receiver may take its leave */
	FAR_AWAY = 2000, /* microseconds that a round trip takes where a larger window may help */
};

#define MEASURE_EVERY 0.2

/* One of possibly many connections. */
struct connection {
	int descriptor;
	struct tls *tls;
	const uint8_t *control; /* what goes out before the stream goes on */
	size_t control_left;
	uint64_t sent; /* position in the stream */
	bool welcomed; /* the stream may go on */
	bool ending;   /* DONE has come, BYE goes out */
	bool advanced; /* the receiver has more than before */
	double welcomed_at, heard, spoke;
	double moved_at; /* in a hurry: when the receiver's kernel took something */
	uint64_t moved;
	uint8_t input[INPUT_LIMIT];
	size_t input_size;
};

/* Given up even though others would be tried again. */
static enum kioku_status final(struct link *link, enum kioku_status status)
{
	link->is_final = true;
	return status;
}

/* When a link that was lost is given up. */
static double last_try(struct link *link)
{
	double at = link->lost_at + link->timing.retry;

	pthread_mutex_lock(&link->lock);
	double hurry = link->hurry_at;
	pthread_mutex_unlock(&link->lock);
	if (hurry == 0)
		return at;
	hurry = (hurry > link->lost_at ? hurry : link->lost_at) + link->timing.hurry;
	return hurry < at ? hurry : at;
}

static bool is_closing(struct link *link)
{
	pthread_mutex_lock(&link->lock);
	bool closing = link->closing;
	pthread_mutex_unlock(&link->lock);
	return closing;
}

/* For what waits without looking at link->wake. */
static bool goes_on(void *user)
{
	return !is_closing(user) && seconds_now() < last_try(user);
}

/* --- what the receiver says */

static void make_printable(struct bytes text, char out[TRANSFER_TEXT_LIMIT + 1])
{
	for (size_t i = 0; i < text.size; i++)
		out[i] = text.data[i] >= ' ' && text.data[i] <= '~' ? (char)text.data[i] : '?';
	out[text.size] = '\0';
}

static enum kioku_status disobeys(struct link *link, const char *how, struct kioku_error *error)
{
	return final(link, error_set(error, KIOKU_ERROR_CORRUPT,
				     "the receiver does not follow the protocol: %s", how));
}

/* From now on the session is known by its secret, and the token is of no use. */
static void prepare_to_resume(struct link *link)
{
	struct transfer_message resume = { .type = TRANSFER_RESUME, .version = TRANSFER_VERSION };

	memcpy(resume.session, link->session, sizeof(resume.session));
	memcpy(resume.secret, link->secret, sizeof(resume.secret));
	OPENSSL_cleanse(link->greeting, sizeof(link->greeting));
	link->greeting_size = transfer_encode(&resume, link->greeting);
	OPENSSL_cleanse(&resume, sizeof(resume));
}

static enum kioku_status hear_welcome(struct link *link, struct connection *connection,
				      const struct transfer_message *message,
				      struct kioku_error *error)
{
	bool is_first = !link->welcomed;

	if (message->version != TRANSFER_VERSION)
		return disobeys(link, "another version", error);
	if (connection->welcomed || message->position > link->sent)
		return disobeys(link, "a position that it cannot have", error);
	if (message->position < link->outbox.base)
		return final(link, error_set(error, KIOKU_ERROR_CORRUPT,
					     "the receiver has lost what it had confirmed"));
	connection->welcomed = true;
	connection->welcomed_at = seconds_now();
	connection->advanced = is_first || message->position > link->outbox.base;
	connection->sent = message->position;
	link->repeated += link->sent - message->position;
	if (is_first)
		prepare_to_resume(link);
	else
		diagnose(link->diagnostics, KIOKU_NOTE,
			 "connected to %s again after %.0f s, going on at %llu bytes", link->label,
			 seconds_now() - link->lost_at, (unsigned long long)message->position);
	pthread_mutex_lock(&link->lock);
	outbox_acknowledge(&link->outbox, message->position);
	if (is_first)
		make_printable(message->folder, link->folder);
	link->welcomed = true;
	pthread_cond_broadcast(&link->changed);
	pthread_mutex_unlock(&link->lock);
	return KIOKU_OK;
}

/* All zero where the kernel does not tell. */
static struct tcp_info tcp_state(int descriptor)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	(void)getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size);
	return info;
}

/*
 * Twice what the link holds in flight, where that is more than the window: with less, it would be
 * idle while an answer is on its way. Since what the window limits is measured, too, this may take
 * several steps. Lock is held.
 */
static void adapt_window(struct link *link, int descriptor)
{
	double now = seconds_now();

	if (now < link->measured_at + MEASURE_EVERY)
		return;
	link->measured_at = now;
	struct tcp_info info = tcp_state(descriptor);
	if (info.tcpi_min_rtt < FAR_AWAY || info.tcpi_min_rtt == UINT32_MAX)
		return;
	double flight = (double)info.tcpi_delivery_rate * info.tcpi_min_rtt / 1e6;
	if (2 * flight > (double)link->outbox.window)
		link->outbox.window =
			2 * flight < OUTBOX_LIMIT ? (uint64_t)(2 * flight) : OUTBOX_LIMIT;
}

/* ACKs that were overtaken by another tell nothing new. */
static enum kioku_status hear_ack(struct link *link, struct connection *connection,
				  uint64_t position, struct kioku_error *error)
{
	if (position > connection->sent)
		return disobeys(link, "it confirms what was not sent", error);
	pthread_mutex_lock(&link->lock);
	if (position > link->outbox.base) {
		connection->advanced = true;
		outbox_acknowledge(&link->outbox, position);
		adapt_window(link, connection->descriptor);
		pthread_cond_broadcast(&link->changed);
	}
	pthread_mutex_unlock(&link->lock);
	return KIOKU_OK;
}

static enum kioku_status hear_digest(struct link *link, const struct transfer_message *message,
				     struct kioku_error *error)
{
	if (message->file >= TRANSFER_FILES)
		return disobeys(link, "there is no such file", error);
	pthread_mutex_lock(&link->lock);
	struct file_digests *digest = &link->digests[message->file];
	digest->has_md5 = !bytes_are_zero(message->md5, sizeof(message->md5));
	memcpy(digest->md5, message->md5, sizeof(digest->md5));
	memcpy(digest->sha256, message->sha256, sizeof(digest->sha256));
	link->digests_known |= 1u << message->file;
	pthread_cond_broadcast(&link->changed);
	pthread_mutex_unlock(&link->lock);
	return KIOKU_OK;
}

static enum kioku_status hear_done(struct link *link, struct connection *connection,
				   struct kioku_error *error)
{
	static const uint8_t bye[TRANSFER_HEADER_SIZE] = { TRANSFER_BYE };

	pthread_mutex_lock(&link->lock);
	bool may_be = link->ended && connection->sent == link->outbox.end;
	pthread_mutex_unlock(&link->lock);
	if (!may_be || connection->ending)
		return disobeys(link, "it is done too early", error);
	connection->ending = true;
	connection->control = bye;
	connection->control_left = sizeof(bye);
	return KIOKU_OK;
}

static enum kioku_status hear_refusal(struct link *link, const struct transfer_message *message,
				      struct kioku_error *error)
{
	char reason[TRANSFER_TEXT_LIMIT + 1];
	enum kioku_status status = message->code == TRANSFER_REFUSED_DIGEST ? KIOKU_ERROR_CORRUPT
									    : KIOKU_ERROR_REFUSED;

	make_printable(message->reason, reason);
	error_set(error, status, "the receiver says: %s", *reason ? reason : "no");
	return message->code == TRANSFER_REFUSED_BUSY ? status : final(link, status);
}

static enum kioku_status hear(struct link *link, struct connection *connection,
			      const struct transfer_message *message, struct kioku_error *error)
{
	if (message->type == TRANSFER_REFUSED)
		return hear_refusal(link, message, error);
	if (message->type == TRANSFER_WELCOME)
		return hear_welcome(link, connection, message, error);
	if (!connection->welcomed)
		return disobeys(link, "no welcome", error);
	switch (message->type) {
	case TRANSFER_ACK: return hear_ack(link, connection, message->position, error);
	case TRANSFER_DIGEST: return hear_digest(link, message, error);
	case TRANSFER_DONE: return hear_done(link, connection, error);
	default: return disobeys(link, "a message that only a sender sends", error);
	}
}

/* The first message of what has come, if all of it has. *used: its size, or 0. */
static enum kioku_status hear_one(struct link *link, struct connection *connection,
				  struct bytes input, size_t *used, struct kioku_error *error)
{
	struct transfer_message message;
	enum transfer_type type;
	uint32_t size;

	*used = 0;
	if (input.size < TRANSFER_HEADER_SIZE)
		return KIOKU_OK;
	enum kioku_status status = transfer_header_decode(input.data, &type, &size, error);
	if (status != KIOKU_OK)
		return final(link, status);
	if (type < TRANSFER_WELCOME)
		return disobeys(link, "a message that only a sender sends", error);
	struct bytes payload;
	if (!bytes_slice(input, TRANSFER_HEADER_SIZE, size, &payload))
		return KIOKU_OK;
	status = transfer_decode(type, payload, &message, error);
	if (status != KIOKU_OK)
		return final(link, status);
	*used = TRANSFER_HEADER_SIZE + size;
	return hear(link, connection, &message, error);
}

/* Reads once. *events: what to poll() for; 0: there may be more. */
static enum kioku_status listen_once(struct link *link, struct connection *connection,
				     short *events, struct kioku_error *error)
{
	size_t done, used, start = 0;

	TRY(tls_read(connection->tls, connection->input + connection->input_size,
		     sizeof(connection->input) - connection->input_size, &done, events, error));
	if (done == 0)
		return KIOKU_OK;
	connection->heard = seconds_now();
	connection->input_size += done;
	do {
		struct bytes left = { connection->input + start, connection->input_size - start };
		TRY(hear_one(link, connection, left, &used, error));
		start += used;
	} while (used > 0);
	connection->input_size -= start;
	memmove(connection->input, connection->input + start, connection->input_size);
	return KIOKU_OK;
}

/* --- what the receiver is told */

static struct bytes next_bytes(struct link *link, const struct connection *connection)
{
	struct bytes bytes = { connection->control, connection->control_left };

	if (bytes.size > 0 || !connection->welcomed || connection->ending)
		return bytes;
	pthread_mutex_lock(&link->lock);
	bytes = outbox_at(&link->outbox, connection->sent);
	pthread_mutex_unlock(&link->lock);
	return bytes;
}

static void count_written(struct link *link, struct connection *connection, size_t size)
{
	connection->spoke = seconds_now();
	if (connection->control_left > 0) {
		connection->control += size;
		connection->control_left -= size;
		return;
	}
	connection->sent += size;
	if (connection->sent > link->sent)
		link->sent = connection->sent;
}

/* Writes a while. *events: what to poll() for before there can be more; 0: nothing. */
static enum kioku_status speak(struct link *link, struct connection *connection, short *events,
			       struct kioku_error *error)
{
	struct bytes bytes = { 0 };
	size_t done;

	*events = 0;
	for (size_t total = 0; total < BATCH; total += done) {
		/* What was asked for stays where it is until the receiver has confirmed it. */
		if (bytes.size == 0)
			bytes = next_bytes(link, connection);
		if (bytes.size == 0)
			return KIOKU_OK;
		TRY(tls_write(connection->tls, bytes.data, bytes.size, &done, events, error));
		if (done == 0)
			return KIOKU_OK;
		count_written(link, connection, done);
		bytes = (struct bytes){ bytes.data + done, bytes.size - done };
	}
	return KIOKU_OK;
}

/* --- a connection */

static void poll_both(struct link *link, const struct connection *connection, short events,
		      double seconds)
{
	struct pollfd polled[] = { { .fd = connection->descriptor, .events = events },
				   { .fd = link->wake, .events = POLLIN } };
	eventfd_t ignored;

	poll(polled, 2, seconds > 0 ? (int)(seconds * 1000) + 1 : 0);
	if (polled[1].revents)
		(void)!eventfd_read(link->wake, &ignored);
}

/* When a receiver is given up that is alive, and has taken nothing since somebody was in a hurry. */
static double stuck_at(struct link *link, struct connection *connection, double hurry_at)
{
	uint64_t moved = tcp_state(connection->descriptor).tcpi_bytes_acked;

	if (moved != connection->moved)
		connection->moved_at = seconds_now();
	connection->moved = moved;
	return (hurry_at > connection->moved_at ? hurry_at : connection->moved_at) +
	       link->timing.hurry;
}

/* Waits until there is something to do: with the socket (events), to write, or with the time. */
static enum kioku_status rest(struct link *link, struct connection *connection, short events,
			      bool is_busy, struct kioku_error *error)
{
	static const uint8_t ping[TRANSFER_HEADER_SIZE] = { TRANSFER_PING };
	double now = seconds_now(), until = connection->heard + link->timing.silence;

	if (now >= until) {
		errno = ETIMEDOUT;
		return error_os(error, "no sign of life for %.0f s", link->timing.silence);
	}
	pthread_mutex_lock(&link->lock);
	bool closing = link->closing;
	double hurry_at = link->outbox.base < link->outbox.end ? link->hurry_at : 0;
	bool all_sent = connection->control_left == 0 && connection->sent == link->outbox.end;
	link->idle = all_sent && !is_busy;
	pthread_mutex_unlock(&link->lock);
	if (closing)
		return final(link, error_set(error, KIOKU_ERROR_STOPPED, "stopped"));
	double next = connection->spoke + link->timing.ping;
	if (hurry_at > 0) { /* without a PING, which would be taken, too */
		next = stuck_at(link, connection, hurry_at);
		if (now >= next)
			return final(link, error_set(error, KIOKU_ERROR_OS,
						     "the receiver takes nothing any more"));
	} else if (all_sent && connection->welcomed && now >= next) {
		connection->control = ping;
		connection->control_left = sizeof(ping);
		return KIOKU_OK;
	}
	if ((all_sent || hurry_at > 0) && next < until)
		until = next;
	poll_both(link, connection, events, is_busy ? 0 : until - now);
	return KIOKU_OK;
}

/* A refusal may lie in the socket that could not be written to any more. */
static enum kioku_status last_words(struct link *link, struct connection *connection,
				    enum kioku_status status, struct kioku_error *error)
{
	struct kioku_error said;
	short events = 0;

	while (events == 0 && listen_once(link, connection, &events, &said) == KIOKU_OK)
		;
	if (link->is_final)
		*error = said;
	return link->is_final ? said.status : status;
}

/* Closing while answers lie there unread would reset the link, and BYE might be lost with it. */
static void await_end(const struct connection *connection)
{
	struct pollfd polled = { .fd = connection->descriptor, .events = POLLIN };
	double deadline = seconds_now() + PARTING;
	uint8_t ignored[INPUT_LIMIT];
	ssize_t got = 1;

	while (got != 0 && seconds_now() < deadline) {
		if (poll(&polled, 1, 100) <= 0)
			continue;
		got = recv(connection->descriptor, ignored, sizeof(ignored), MSG_DONTWAIT);
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return;
	}
}

/* Until DONE was heard, or the connection has failed. */
static enum kioku_status talk(struct link *link, struct connection *connection,
			      struct kioku_error *error)
{
	connection->heard = connection->spoke = connection->moved_at = seconds_now();
	connection->control = link->greeting;
	connection->control_left = link->greeting_size;
	for (;;) {
		short reading = 0, writing = 0;
		enum kioku_status status = speak(link, connection, &writing, error);
		if (connection->ending && (status != KIOKU_OK || connection->control_left == 0)) {
			await_end(connection);
			return KIOKU_OK;
		}
		if (status != KIOKU_OK)
			return last_words(link, connection, status, error);
		TRY(listen_once(link, connection, &reading, error));
		bool is_busy =
			reading == 0 || (writing == 0 && next_bytes(link, connection).size > 0);
		TRY(rest(link, connection, reading | writing, is_busy, error));
	}
}

static enum kioku_status shake_hands(struct link *link, struct connection *connection,
				     struct kioku_error *error)
{
	const struct socket_wait wait = { goes_on, link };
	double deadline = seconds_now() + link->timing.silence;
	short events;

	for (;;) {
		TRY(tls_handshake(connection->tls, &events, error));
		double left = deadline - seconds_now();
		if (events == 0)
			return KIOKU_OK;
		TRY(socket_wait_for(connection->descriptor, events, left > 0 ? left : 0, &wait,
				    error));
		if (left <= 0)
			return error_set(error, KIOKU_ERROR_LIMIT, "no answer in time");
	}
}

static enum kioku_status connect_socket(struct link *link, struct connection *connection,
					struct kioku_error *error)
{
	const struct socket_wait wait = { goes_on, link };
	int yes = 1;

	TRY(socket_connect(&link->address, link->address_size, &wait, &connection->descriptor,
			   error));
	fcntl(connection->descriptor, F_SETFL, fcntl(connection->descriptor, F_GETFL) | O_NONBLOCK);
	setsockopt(connection->descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	return KIOKU_OK;
}

static enum kioku_status connect_and_talk(struct link *link, struct connection *connection,
					  struct kioku_error *error)
{
	/* A wrong address, or a wrong key, is told at once; later, a link may come back. */
	bool is_first = link->greeting_size > 0 && !link->welcomed;

	enum kioku_status status = connect_socket(link, connection, error);
	if (status == KIOKU_OK) {
		status = tls_open(link->context, connection->descriptor, &connection->tls, error);
		if (status == KIOKU_OK)
			status = shake_hands(link, connection, error);
		if (status != KIOKU_OK)
			error_prefix(error, "%s", link->label);
	}
	if (status != KIOKU_OK)
		return is_first ? final(link, status) : status;
	return talk(link, connection, error);
}

/* --- the session */

static void fail(struct link *link, const struct kioku_error *error)
{
	pthread_mutex_lock(&link->lock);
	link->failed = true;
	link->error = *error;
	pthread_cond_broadcast(&link->changed);
	pthread_mutex_unlock(&link->lock);
}

static void succeed(struct link *link)
{
	if (link->breaks > 0)
		diagnose(link->diagnostics, KIOKU_NOTE,
			 "the link to %s was lost %u time%s, %llu bytes were sent twice",
			 link->label, link->breaks, link->breaks == 1 ? "" : "s",
			 (unsigned long long)link->repeated);
	pthread_mutex_lock(&link->lock);
	link->done = true;
	pthread_cond_broadcast(&link->changed);
	pthread_mutex_unlock(&link->lock);
}

/* Three quarters to five quarters: fifty senders need not come back at once. */
static double jitter(void)
{
	uint8_t byte = 128;

	(void)!RAND_bytes(&byte, 1);
	return 0.75 + byte / 510.0;
}

/* Before it is tried again. False: it is not. */
static bool pause_between(struct link *link, double seconds, struct kioku_error *error)
{
	struct pollfd polled = { .fd = link->wake, .events = POLLIN };
	double left = last_try(link) - seconds_now();
	eventfd_t ignored;

	if (left > 0 && !is_closing(link)) {
		seconds *= jitter();
		poll(&polled, 1, (int)((seconds < left ? seconds : left) * 1000) + 1);
		if (polled.revents)
			(void)!eventfd_read(link->wake, &ignored);
	}
	if (is_closing(link))
		return false;
	if (seconds_now() < last_try(link))
		return true;
	error_prefix(error, "no link to %s for %.0f s", link->label, seconds_now() - link->lost_at);
	return false;
}

/* One connection, from its beginning to its end. */
static enum kioku_status try_once(struct link *link, struct connection *connection,
				  struct kioku_error *error)
{
	*connection = (struct connection){ .descriptor = -1 };
	enum kioku_status status = connect_and_talk(link, connection, error);

	tls_close(connection->tls);
	if (connection->descriptor >= 0)
		close(connection->descriptor);
	return status;
}

/* Whether there was a link: somebody who says hello and goes away again, for ever, is none. */
static bool was_good(const struct link *link, const struct connection *connection)
{
	return connection->welcomed &&
	       (connection->advanced ||
		connection->heard >= connection->welcomed_at + link->timing.ping);
}

static void tell_of_break(struct link *link, const struct connection *connection,
			  const struct kioku_error *error)
{
	if (connection->welcomed) {
		link->breaks++;
		diagnose(link->diagnostics, KIOKU_WARNING,
			 "the link to %s was lost (%s); trying again", link->label, error->message);
	} else if (!link->welcomed) {
		diagnose(link->diagnostics, KIOKU_NOTE, "%s: %s; trying again", link->label,
			 error->message);
	}
}

void *link_run(void *argument)
{
	struct link *link = argument;
	double pause = link->timing.pause;
	struct connection connection;
	struct kioku_error error;

	link->lost_at = seconds_now();
	while (try_once(link, &connection, &error) != KIOKU_OK) {
		if (was_good(link, &connection)) {
			link->lost_at = seconds_now();
			pause = link->timing.pause;
		}
		if (!link->is_final)
			tell_of_break(link, &connection, &error);
		if (link->is_final || !pause_between(link, pause, &error)) {
			fail(link, &error);
			return NULL;
		}
		pause = 2 * pause < link->timing.pause_limit ? 2 * pause : link->timing.pause_limit;
	}
	succeed(link);
	return NULL;
}
