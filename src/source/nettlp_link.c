/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "source/nettlp_link.h"

#define MILLISECOND 1000000ull
#define EVENTS      64
#define HOST_PORTS  16u /* of NETTLP_HOST_PORT on: several tags share one */

struct nettlp_link {
	struct nettlp_requester *requester;
	int poll;
	int sockets[NETTLP_TAG_LIMIT]; /* -1: not open */
};

static uint64_t look_at_clock(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000 * MILLISECOND + (uint64_t)time.tv_nsec;
}

const struct nettlp_counts *nettlp_link_counts(const struct nettlp_link *link)
{
	return nettlp_requester_counts(link->requester);
}

/* Both ends use the same port, as libtlp does: others may filter by it. */
static enum kioku_status open_socket(struct nettlp_link *link,
				     const struct nettlp_settings *settings, unsigned index,
				     struct kioku_error *error)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)(settings->port + index)) };
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = index };
	int size = 4 << 20, descriptor;

	descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	link->sockets[index] = descriptor;
	if (descriptor < 0)
		return error_os(error, "socket");
	setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	address.sin_addr = settings->local;
	if (bind(descriptor, (struct sockaddr *)&address, sizeof(address)) != 0)
		return error_os(error, "cannot use %s, UDP port 0x%x", inet_ntoa(settings->local),
				settings->port + index);
	address.sin_addr = settings->target;
	if (connect(descriptor, (struct sockaddr *)&address, sizeof(address)) != 0)
		return error_os(error, "cannot reach %s", inet_ntoa(settings->target));
	if (epoll_ctl(link->poll, EPOLL_CTL_ADD, descriptor, &event) != 0)
		return error_os(error, "epoll_ctl");
	return KIOKU_OK;
}

enum kioku_status nettlp_link_open(const struct nettlp_settings *settings, struct nettlp_link **out,
				   struct kioku_error *error)
{
	CLEANUP(cleanup_nettlp_link) struct nettlp_link *link = calloc(1, sizeof(*link));
	struct nettlp_settings complete = *settings;
	bool is_shared = settings->port == NETTLP_HOST_PORT && settings->tags > HOST_PORTS;

	*out = NULL;
	if (!link)
		return error_no_memory(error);
	memset(link->sockets, -1, sizeof(link->sockets));
	complete.sockets = is_shared ? HOST_PORTS : settings->tags;
	link->poll = epoll_create1(EPOLL_CLOEXEC);
	if (link->poll < 0)
		return error_os(error, "epoll_create");
	TRY(nettlp_requester_open(&complete, &link->requester, error));
	for (unsigned i = 0; i < complete.sockets; i++)
		TRY(open_socket(link, settings, i, error));
	*out = TAKE(link);
	return KIOKU_OK;
}

void nettlp_link_close(struct nettlp_link *link)
{
	if (!link)
		return;
	for (unsigned i = 0; i < NETTLP_TAG_LIMIT; i++)
		cleanup_close(&link->sockets[i]);
	cleanup_close(&link->poll);
	nettlp_requester_close(link->requester);
	free(link);
}

/* What cannot be sent now is as good as lost: it will be sent again. */
static void send_all(struct nettlp_link *link)
{
	struct nettlp_datagram datagram;

	while (nettlp_requester_next(link->requester, &datagram))
		if (send(link->sockets[datagram.socket], datagram.data, datagram.size, 0) < 0 &&
		    errno == ECONNREFUSED)
			nettlp_requester_refused(link->requester);
}

static void receive(struct nettlp_link *link, unsigned socket, uint64_t now)
{
	uint8_t datagram[NETTLP_HEADER_SIZE + TLP_COMPLETION_SIZE + TLP_DATA_MAX + 8];

	for (;;) {
		ssize_t got = recv(link->sockets[socket], datagram, sizeof(datagram), 0);
		if (got >= 0)
			nettlp_requester_take(link->requester, socket,
					      (struct bytes){ datagram, (size_t)got }, now);
		else if (errno == ECONNREFUSED)
			nettlp_requester_refused(link->requester);
		else if (errno != EINTR)
			return;
	}
}

/* Returns what time it is then. */
static uint64_t wait_for_answers(struct nettlp_link *link, uint64_t now)
{
	struct epoll_event events[EVENTS];
	uint64_t wake = nettlp_requester_wake(link->requester);
	uint64_t left = wake > now ? wake - now : 0, second = 1000 * MILLISECOND;
	int wait = left > second ? 1000 : (int)((left + MILLISECOND - 1) / MILLISECOND);
	int count = epoll_wait(link->poll, events, EVENTS, wait);

	now = look_at_clock();
	for (int i = 0; i < count; i++)
		receive(link, events[i].data.u32, now);
	return now;
}

void nettlp_link_read(struct nettlp_link *link, struct remote_read *reads, size_t count)
{
	uint64_t now = look_at_clock();

	nettlp_requester_begin(link->requester, reads, count, now);
	while (nettlp_requester_goes_on(link->requester, now)) {
		send_all(link);
		now = wait_for_answers(link, now);
	}
}
