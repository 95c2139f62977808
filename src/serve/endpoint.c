/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets, time, and what to do next. */
#include "serve/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS = 64,
	KEY_MESSAGES = TAGS_MAX, /* of events: of tags, the tag */
	KEY_TIMER,
	TICK_MS = 200,
	SPIN_NS = 60000, /* so late a timer may be: what is due sooner is waited for without */
	RECEIVE_BUFFER = 1 << 20,
};

#define NS_PER_SECOND 1000000000ull

uint64_t endpoint_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * NS_PER_SECOND + (uint64_t)time.tv_nsec;
}

/* --- sockets */

static enum kioku_status watch(struct endpoint *endpoint, int descriptor, uint32_t key,
			       struct kioku_error *error)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = key };

	return epoll_ctl(endpoint->poller, EPOLL_CTL_ADD, descriptor, &event) == 0
		       ? KIOKU_OK
		       : error_os(error, "epoll_ctl");
}

static enum kioku_status open_socket(struct endpoint *endpoint, unsigned port, uint32_t key,
				     int *out, struct kioku_error *error)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr = endpoint->address,
	};
	const int size = RECEIVE_BUFFER;

	*out = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (*out < 0)
		return error_os(error, "cannot make a socket");
	/* As much of it as the system allows. */
	setsockopt(*out, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(*out, (const struct sockaddr *)&address, sizeof(address)) != 0)
		return error_os(error, "cannot listen at %s, UDP port %u",
				endpoint->options->nettlp, port);
	return watch(endpoint, *out, key, error);
}

enum kioku_status endpoint_open_sockets(struct endpoint *endpoint, struct kioku_error *error)
{
	endpoint->poller = epoll_create1(EPOLL_CLOEXEC);
	if (endpoint->poller < 0)
		return error_os(error, "epoll_create");
	endpoint->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (endpoint->timer < 0)
		return error_os(error, "timerfd_create");
	TRY(watch(endpoint, endpoint->timer, KEY_TIMER, error));
	for (uint32_t tag = 0; tag < endpoint->options->tags; tag++)
		TRY(open_socket(endpoint, NETTLP_DEVICE_PORT + tag, tag, &endpoint->sockets[tag],
				error));
	if (endpoint->options->no_messages)
		return KIOKU_OK;
	return open_socket(endpoint, NETTLP_MESSAGE_PORT, KEY_MESSAGES, &endpoint->messages, error);
}

void endpoint_init_batch(struct batch *batch)
{
	for (size_t i = 0; i < BATCH; i++) {
		batch->vectors[i] = (struct iovec){ batch->data[i], HEARD_SIZE };
		batch->messages[i].msg_hdr = (struct msghdr){
			.msg_name = &batch->from[i],
			.msg_namelen = sizeof(batch->from[i]),
			.msg_iov = &batch->vectors[i],
			.msg_iovlen = 1,
		};
	}
}

size_t endpoint_fill_batch(struct endpoint *endpoint, int socket)
{
	/* What the kernel writes into the headers, the size of an address, is what it was before. */
	int count = recvmmsg(socket, endpoint->batch.messages, BATCH, MSG_DONTWAIT, NULL);

	return count > 0 ? (size_t)count : 0;
}

bool endpoint_knows(struct endpoint *endpoint, const struct sockaddr_in *from)
{
	bool is_known =
		!endpoint->options->client || from->sin_addr.s_addr == endpoint->client.s_addr;

	endpoint->result->foreign += !is_known;
	return is_known;
}

/* --- time */

/*
 * How long to wait for events, in milliseconds. What is due within SPIN_NS is not slept for, as nobody
 * can say when this thread would run again; before that, the timer wakes it.
 */
static int prepare_wait(struct endpoint *endpoint, uint64_t now)
{
	uint64_t due = sender_next_due(endpoint->sender);

	if (due == UINT64_MAX)
		return TICK_MS;
	if (due <= now + SPIN_NS)
		return 0;
	if (due != endpoint->armed) {
		const struct itimerspec at = {
			.it_value = { (time_t)((due - SPIN_NS) / NS_PER_SECOND),
				      (long)((due - SPIN_NS) % NS_PER_SECOND) },
		};
		timerfd_settime(endpoint->timer, TFD_TIMER_ABSTIME, &at, NULL);
		endpoint->armed = due;
	}
	return TICK_MS;
}

static void take_timer(struct endpoint *endpoint)
{
	uint64_t expirations;

	if (read(endpoint->timer, &expirations, sizeof(expirations)) > 0)
		endpoint->armed = 0;
}

/* --- */

static void send_all(struct endpoint *endpoint)
{
	if (endpoint->waiting > endpoint->result->at_once)
		endpoint->result->at_once = endpoint->waiting;
	sender_flush(endpoint->sender);
	endpoint->waiting -= sender_take_done(endpoint->sender);
}

/* Waits for events, and answers what has come with them before anything is sent. */
static enum kioku_status step(struct endpoint *endpoint, int timeout, struct kioku_error *error)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(endpoint->poller, events, EVENTS, timeout);

	if (count < 0)
		return errno == EINTR ? KIOKU_OK : error_os(error, "epoll_wait");
	for (int i = 0; i < count; i++) {
		if (events[i].data.u32 < TAGS_MAX)
			endpoint_receive(endpoint, (uint16_t)events[i].data.u32);
		else if (events[i].data.u32 == KEY_MESSAGES)
			endpoint_receive_messages(endpoint);
		else
			take_timer(endpoint);
	}
	return KIOKU_OK;
}

enum kioku_status endpoint_run(struct endpoint *endpoint, struct kioku_error *error)
{
	const struct kioku_serve_options *options = endpoint->options;
	uint64_t now = endpoint_now(), tick = now + TICK_MS * 1000000ull;

	if (!options->event(options->user, options->nettlp))
		return KIOKU_OK;
	for (;;) {
		TRY(step(endpoint, prepare_wait(endpoint, now), error));
		now = endpoint_now();
		sender_release(endpoint->sender, now);
		send_all(endpoint);
		if (now < tick)
			continue;
		tick = now + TICK_MS * 1000000ull;
		if (!options->event(options->user, NULL))
			return KIOKU_OK;
	}
}
