/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A receiver that does what a script says: one line for each connection that it is to spoil; the
 * ones after those are good. It keeps the files in memory, and checks that they are written in
 * sequence, so that a byte that comes twice, or not at all, is a failure.
 */
#ifndef TESTS_UNIT_TEST_LINK_H
#define TESTS_UNIT_TEST_LINK_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/thread.h"
#include "test_peer.h"
#include "transfer/link_state.h"

enum spoil {
	GOOD,
	DROPPED,      /* closed when it is accepted */
	HALF_GREETED, /* closed within the TLS handshake */
	NO_WELCOME,   /* the session exists now, but nobody is told */
	LEAVING,      /* says WELCOME, and goes */
	CUT,          /* closed after so many bytes, wherever that is */
	RESET,        /* as that, by RST */
	HUSHED,       /* as that, without a word, and open */
	NO_ACKS,      /* as CUT, but what has come was never acknowledged */
	NO_ANSWER,    /* closed instead of DIGEST and DONE */
	REFUSING,     /* says no after so many bytes */
	OLD,          /* another version in WELCOME */
	LYING,        /* says this message instead of the first ACK */
};

struct script {
	enum spoil spoil;
	uint64_t at;         /* bytes of this connection */
	uint64_t note_every; /* what was not noted is forgotten when it is cut; 0: each message */
	uint32_t code;
	const char *reason;
	struct transfer_message lie;
};

enum { PEER_FILES = 4, PEER_INPUT = 2 * TRANSFER_MESSAGE_LIMIT };

/* What a receiver would have on its disk. */
struct peer_state {
	uint64_t position;
	uint64_t sizes[PEER_FILES];
	bool digest_due, done;
};

struct peer {
	struct identity identity;
	struct tls_context *context;
	int listener;
	struct sockaddr_storage address;
	const struct script *scripts;
	size_t script_count;
	pthread_t thread;
	atomic_bool stop, busy; /* busy: with a connection */

	unsigned connections, hellos, resumes, byes, pings, removed, replaced;
	uint8_t token[TRANSFER_TOKEN_SIZE], session[TRANSFER_SESSION_SIZE];
	uint8_t secret[TRANSFER_SECRET_SIZE];
	bool has_session, complete;
	char host[64], image[64];
	uint64_t lost;
	struct peer_state now, noted;
	uint8_t *files[PEER_FILES];
	size_t capacity;

	/* Of the connection. */
	struct script script;
	struct tls *tls;
	int descriptor;
	bool welcomed, over, spoken;
	uint64_t received;
	uint8_t *input;
	size_t input_size;
	struct {
		struct tls *tls;
		int descriptor;
	} hushed[64]; /* open, and silent */
	size_t hushed_count;
};

static inline struct bytes said(const char *text)
{
	return (struct bytes){ (const uint8_t *)text, strlen(text) };
}

static inline void peer_poll(const struct peer *peer, short events)
{
	struct pollfd polled = { .fd = peer->descriptor, .events = events };

	poll(&polled, 1, 20);
}

static inline void peer_say(struct peer *peer, const struct transfer_message *message)
{
	uint8_t out[2048];
	size_t size = transfer_encode(message, out), done = 0;
	short events;

	for (size_t at = 0; at < size && !atomic_load(&peer->stop); at += done) {
		if (tls_write(peer->tls, out + at, size - at, &done, &events, NULL) != KIOKU_OK) {
			peer->over = true;
			return;
		}
		if (done == 0)
			peer_poll(peer, events);
	}
}

static inline void peer_acknowledge(struct peer *peer)
{
	if (peer->script.spoil == LYING && !peer->spoken) {
		peer->spoken = true;
		peer_say(peer, &peer->script.lie);
		return;
	}
	if (peer->script.spoil != NO_ACKS)
		peer_say(peer, &(struct transfer_message){ .type = TRANSFER_ACK,
							   .position = peer->noted.position });
}

static inline void peer_answer(struct peer *peer)
{
	if (peer->script.spoil == NO_ANSWER) {
		peer->over = true;
		return;
	}
	if (peer->now.digest_due) {
		struct transfer_message digest = { .type = TRANSFER_DIGEST, .file = 0 };
		memset(digest.sha256, 0x5a, sizeof(digest.sha256));
		peer_say(peer, &digest);
	}
	if (peer->now.done)
		peer_say(peer, &(struct transfer_message){ .type = TRANSFER_DONE,
							   .folder = said("folder") });
}

static inline void peer_welcome(struct peer *peer)
{
	peer->now = peer->noted;
	if (peer->script.spoil == NO_WELCOME) {
		peer->over = true;
		return;
	}
	peer->welcomed = true;
	peer_say(peer, &(struct transfer_message){ .type = TRANSFER_WELCOME,
						   .version = peer->script.spoil == OLD ? 2 : 1,
						   .position = peer->script.spoil == LYING &&
									       peer->script.at
								       ? peer->script.lie.position
								       : peer->noted.position,
						   .folder = said("fol\x1b"
								  "der") });
	if (peer->now.digest_due || peer->now.done)
		peer_answer(peer);
	peer->over |= peer->script.spoil == LEAVING;
}

static inline void peer_refuse(struct peer *peer, uint32_t code, const char *reason)
{
	peer_say(peer, &(struct transfer_message){
			       .type = TRANSFER_REFUSED, .code = code, .reason = said(reason) });
	peer->over = true;
}

static inline void peer_greeted(struct peer *peer, const struct transfer_message *message)
{
	bool is_hello = message->type == TRANSFER_HELLO;

	CHECK(!peer->welcomed);
	peer->hellos += is_hello;
	peer->resumes += !is_hello;
	if (peer->script.spoil == REFUSING && peer->script.at == 0) {
		peer_refuse(peer, peer->script.code, peer->script.reason);
		return;
	}
	if (is_hello && !peer->has_session) {
		CHECK(memcmp(message->token, peer->token, sizeof(peer->token)) == 0);
		memcpy(peer->session, message->session, sizeof(peer->session));
		memcpy(peer->secret, message->secret, sizeof(peer->secret));
		memcpy(peer->host, message->host.data, message->host.size);
		memcpy(peer->image, message->name.data, message->name.size);
		peer->has_session = true;
	}
	CHECK(memcmp(message->session, peer->session, sizeof(peer->session)) == 0);
	CHECK(memcmp(message->secret, peer->secret, sizeof(peer->secret)) == 0);
	peer_welcome(peer);
}

static inline void peer_write(struct peer *peer, const struct transfer_message *message)
{
	CHECK(message->file < PEER_FILES);
	CHECK_EQUAL(message->offset, peer->now.sizes[message->file]); /* in sequence */
	CHECK(message->offset + message->size + message->data.size <= peer->capacity);
	if (message->type == TRANSFER_HOLE)
		memset(peer->files[message->file] + message->offset, 0, message->size);
	else
		memcpy(peer->files[message->file] + message->offset, message->data.data,
		       message->data.size);
	peer->now.sizes[message->file] += message->data.size + message->size;
}

static inline void peer_hear(struct peer *peer, const struct transfer_message *message)
{
	switch (message->type) {
	case TRANSFER_HELLO:
	case TRANSFER_RESUME: peer_greeted(peer, message); return;
	case TRANSFER_PING: peer->pings++; return;
	case TRANSFER_BYE:
		CHECK(peer->now.done);
		peer->byes++;
		return;
	case TRANSFER_CREATE: break;
	case TRANSFER_WRITE:
	case TRANSFER_HOLE: peer_write(peer, message); break;
	case TRANSFER_CLOSE:
		CHECK_EQUAL(message->size, peer->now.sizes[message->file]);
		peer->now.digest_due |= (message->flags & TRANSFER_ANSWER) != 0;
		if (message->flags & TRANSFER_ANSWER)
			peer_answer(peer);
		break;
	case TRANSFER_REPLACE: peer->replaced++; break;
	case TRANSFER_REMOVE: peer->removed++; break;
	case TRANSFER_END:
		peer->complete = message->flags & TRANSFER_COMPLETE;
		peer->lost = message->lost;
		peer->now.done = true;
		break;
	default: CHECK(!"a message that a sender sends");
	}
}

/* All whole messages. */
static inline void peer_digest_input(struct peer *peer)
{
	size_t at = 0;
	uint32_t size;
	enum transfer_type type;
	struct transfer_message message;

	while (!peer->over && peer->input_size - at >= TRANSFER_HEADER_SIZE) {
		CHECK_EQUAL(transfer_header_decode(peer->input + at, &type, &size, NULL), KIOKU_OK);
		if (peer->input_size - at < TRANSFER_HEADER_SIZE + size)
			break;
		struct bytes payload = { peer->input + at + TRANSFER_HEADER_SIZE, size };
		CHECK_EQUAL(transfer_decode(type, payload, &message, NULL), KIOKU_OK);
		bool was_done = peer->now.done;
		peer_hear(peer, &message);
		at += TRANSFER_HEADER_SIZE + size;
		if (!transfer_is_stream(type))
			continue;
		CHECK(peer->welcomed);
		peer->now.position += TRANSFER_HEADER_SIZE + size;
		if (peer->now.position - peer->noted.position > peer->script.note_every ||
		    peer->now.done) {
			peer->noted = peer->now;
			peer_acknowledge(peer);
		}
		if (peer->now.done && !was_done)
			peer_answer(peer);
	}
	memmove(peer->input, peer->input + at, peer->input_size - at);
	peer->input_size -= at;
}

static inline bool peer_is_cut(const struct peer *peer)
{
	return peer->script.spoil >= CUT && peer->script.spoil <= NO_ACKS &&
	       peer->received >= peer->script.at;
}

static inline void peer_talk(struct peer *peer)
{
	short events;

	while (!peer->over && !atomic_load(&peer->stop) && !peer_is_cut(peer)) {
		size_t room = PEER_INPUT - peer->input_size, done;
		uint64_t left = peer->script.at - peer->received;
		if (peer->script.spoil >= CUT && peer->script.spoil <= NO_ACKS && left < room)
			room = left;
		if (tls_read(peer->tls, peer->input + peer->input_size, room, &done, &events,
			     NULL) != KIOKU_OK)
			return;
		peer->input_size += done;
		peer->received += done;
		peer_digest_input(peer);
		if (peer->script.spoil == REFUSING && !peer->over && peer->script.at > 0 &&
		    peer->received >= peer->script.at)
			peer_refuse(peer, peer->script.code, peer->script.reason);
		if (done > 0 || peer->over)
			continue;
		peer_poll(peer, events);
		if (peer->welcomed)
			peer_acknowledge(peer);
	}
}

/* Reads on for a while, so that the last words are not lost to a reset. */
static inline void peer_drain(struct peer *peer)
{
	uint8_t buffer[4096];

	shutdown(peer->descriptor, SHUT_WR);
	for (;;) {
		ssize_t size = recv(peer->descriptor, buffer, sizeof(buffer), MSG_DONTWAIT);
		if (size == 0 || (size < 0 && errno != EAGAIN) || atomic_load(&peer->stop))
			return;
		if (size < 0)
			peer_poll(peer, POLLIN);
	}
}

static inline void peer_serve(struct peer *peer)
{
	static const struct linger at_once = { 1, 0 };
	short events;

	peer->welcomed = peer->over = peer->spoken = false;
	peer->received = 0;
	peer->input_size = 0;
	peer->tls = NULL;
	if (peer->script.spoil != DROPPED) {
		CHECK_EQUAL(tls_open(peer->context, peer->descriptor, &peer->tls, NULL), KIOKU_OK);
		enum kioku_status status =
			peer->script.spoil == HALF_GREETED
				? (peer_poll(peer, POLLIN), tls_handshake(peer->tls, &events, NULL))
				: tls_handshake_within(peer->tls, 30, NULL);
		if (peer->script.spoil != HALF_GREETED && status == KIOKU_OK)
			peer_talk(peer);
	}
	if (peer->script.spoil == HUSHED) {
		CHECK(peer->hushed_count < 64);
		peer->hushed[peer->hushed_count].tls = peer->tls;
		peer->hushed[peer->hushed_count++].descriptor = peer->descriptor;
		return;
	}
	if (peer->script.spoil == RESET)
		setsockopt(peer->descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	else if (peer->script.spoil == REFUSING && peer->over)
		peer_drain(peer);
	tls_close(peer->tls);
	close(peer->descriptor);
}

static inline void *peer_run(void *argument)
{
	static const struct script good = { .spoil = GOOD };
	struct peer *peer = argument;

	while (!atomic_load(&peer->stop)) {
		struct pollfd polled = { .fd = peer->listener, .events = POLLIN };
		if (poll(&polled, 1, 20) <= 0)
			continue;
		peer->descriptor =
			accept4(peer->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		CHECK(peer->descriptor >= 0);
		peer->script = peer->connections < peer->script_count
				       ? peer->scripts[peer->connections]
				       : good;
		peer->connections++;
		atomic_store(&peer->busy, true);
		peer_serve(peer);
		atomic_store(&peer->busy, false);
	}
	return NULL;
}

static inline void peer_start(struct peer *peer, const struct script *scripts, size_t count,
			      size_t capacity)
{
	struct sockaddr_in *address = (struct sockaddr_in *)&peer->address;
	socklen_t size = sizeof(*address);

	*peer = (struct peer){ .scripts = scripts, .script_count = count, .capacity = capacity };
	memset(peer->token, 0x77, sizeof(peer->token));
	make_identity(&peer->identity);
	CHECK_EQUAL(tls_server(peer->identity.key, peer->identity.certificate, &peer->context,
			       NULL),
		    KIOKU_OK);
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(bind(peer->listener, (struct sockaddr *)address, size) == 0);
	CHECK(listen(peer->listener, 64) == 0);
	CHECK(getsockname(peer->listener, (struct sockaddr *)address, &size) == 0);
	peer->input = malloc(PEER_INPUT);
	for (size_t i = 0; i < PEER_FILES; i++)
		peer->files[i] = malloc(capacity + 1);
	CHECK_EQUAL(thread_create(&peer->thread, peer_run, peer, NULL), KIOKU_OK);
}

/* Until it has heard the last that a sender said. */
static inline void peer_wait(struct peer *peer)
{
	while (atomic_load(&peer->busy))
		usleep(1000);
}

/* Waits for its thread; what it has is looked at afterwards. */
static inline void peer_stop(struct peer *peer)
{
	atomic_store(&peer->stop, true);
	pthread_join(peer->thread, NULL);
	close(peer->listener);
	for (size_t i = 0; i < peer->hushed_count; i++) {
		tls_close(peer->hushed[i].tls);
		close(peer->hushed[i].descriptor);
	}
}

static inline void peer_release(struct peer *peer)
{
	for (size_t i = 0; i < PEER_FILES; i++)
		free(peer->files[i]);
	free(peer->input);
	tls_context_release(peer->context);
	release_identity(&peer->identity);
}

#endif
