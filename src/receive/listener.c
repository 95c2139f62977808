/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/thread.h"
#include "format/transfer_format.h"
#include "receive/connection.h"
#include "base/socket.h"

enum {
	BACKLOG = 128,
	UNKNOWN_LIMIT = 64, /* connections that have not said who they are */
	ROOM_SECONDS = 5,   /* in which one of them ends that has to */
};

/* --- addresses */

static bool is_any(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET)
		return ((const struct sockaddr_in *)address)->sin_addr.s_addr == INADDR_ANY;
	return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static unsigned port_of(const struct sockaddr_storage *address)
{
	return ntohs(address->ss_family == AF_INET
			     ? ((const struct sockaddr_in *)address)->sin_port
			     : ((const struct sockaddr_in6 *)address)->sin6_port);
}

static void set_port(struct sockaddr_storage *address, unsigned port)
{
	if (address->ss_family == AF_INET)
		((struct sockaddr_in *)address)->sin_port = htons((uint16_t)port);
	else
		((struct sockaddr_in6 *)address)->sin6_port = htons((uint16_t)port);
}

/* Whether others may reach this machine by it. */
static bool is_global(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		uint32_t ipv4 = ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr);
		return ipv4 >> 24 != 127 && ipv4 >> 16 != 0xa9fe;
	}
	const struct in6_addr *ipv6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
	return address->sa_family == AF_INET6 && !IN6_IS_ADDR_LOOPBACK(ipv6) &&
	       !IN6_IS_ADDR_LINKLOCAL(ipv6);
}

/* The first address of this machine, of one family, that others may reach. */
static bool find_own(int family, struct sockaddr_storage *out)
{
	struct ifaddrs *list;
	bool found = false;

	if (getifaddrs(&list) != 0)
		return false;
	for (struct ifaddrs *item = list; item && !found; item = item->ifa_next) {
		found = item->ifa_addr && item->ifa_addr->sa_family == family &&
			item->ifa_flags & IFF_UP && is_global(item->ifa_addr);
		if (found)
			memcpy(out, item->ifa_addr,
			       family == AF_INET ? sizeof(struct sockaddr_in)
						 : sizeof(struct sockaddr_in6));
	}
	freeifaddrs(list);
	return found;
}

/* What URLs say: the address that was asked for, or is listened at, or is this machine's. */
static enum kioku_status advertise(struct server *server, const struct sockaddr_storage *listening,
				   struct kioku_error *error)
{
	struct sockaddr_storage address = *listening;
	const char *asked = server->options->advertise;
	socklen_t size;

	if (asked)
		TRY(socket_address(asked, 0, &address, &size, error));
	else if (is_any(listening) && !find_own(AF_INET, &address) &&
		 !(listening->ss_family == AF_INET6 && find_own(AF_INET6, &address)))
		TRY(socket_address(listening->ss_family == AF_INET ? "127.0.0.1" : "::1", 0,
				   &address, &size, error));
	set_port(&address, port_of(listening));
	socket_address_text(&address, server->advertised);
	return KIOKU_OK;
}

/* "ADDR:PORT", "[ADDR]:PORT", ":PORT", "ADDR" */
static enum kioku_status parse_listen(const char *text, struct sockaddr_storage *address,
				      socklen_t *size, struct kioku_error *error)
{
	char whole[SOCKET_ADDRESS_TEXT + 8];
	AUTO_URL struct url url = { 0 };

	snprintf(whole, sizeof(whole), "tcp://%s", text);
	TRY(url_parse(whole, &url, error));
	return socket_address(*url.host ? url.host : "::", url.has_port ? url.port : TRANSFER_PORT,
			      address, size, error);
}

/* All addresses of both families, or of IPv4 where there is no other. */
static enum kioku_status open_listener(struct server *server, struct sockaddr_storage *address,
				       struct kioku_error *error)
{
	const char *text = server->options->listen ? server->options->listen : "";
	socklen_t size;

	TRY(parse_listen(text, address, &size, error));
	unsigned port = port_of(address);
	enum kioku_status status = socket_listen(address, size, BACKLOG, &server->listener, error);
	if (status == KIOKU_OK || (*text && *text != ':') || errno != EAFNOSUPPORT)
		return status;
	TRY(socket_address("0.0.0.0", port, address, &size, error));
	return socket_listen(address, size, BACKLOG, &server->listener, error);
}

enum kioku_status listener_open(struct server *server, struct kioku_error *error)
{
	struct sockaddr_storage address;
	char text[SOCKET_ADDRESS_TEXT];
	struct kioku_receive_event event = { .kind = KIOKU_RECEIVE_LISTENING, .address = text };

	TRY(open_listener(server, &address, error));
	TRY(advertise(server, &address, error));
	socket_address_text(&address, text);
	events_push(&server->events, &event);
	return KIOKU_OK;
}

/* --- accepting */

static bool same_address(const struct connection *one, const struct connection *other)
{
	size_t size = (size_t)(strrchr(one->peer, ':') - one->peer) + 1; /* without the port */

	return strncmp(one->peer, other->peer, size) == 0;
}

/* How many connections that have not said who they are come from an address. */
static size_t count_unknown(const struct server *server, const struct connection *like)
{
	size_t count = 0;

	for (const struct connection *other = server->connections; other; other = other->next)
		count += !other->is_known && same_address(like, other);
	return count;
}

/* The oldest of those, from the address that has the most of them. */
static struct connection *find_idler(const struct server *server)
{
	struct connection *found = NULL;
	size_t most = 0;

	/* The list has the newest first. */
	for (struct connection *item = server->connections; item; item = item->next) {
		size_t count = item->is_known ? 0 : count_unknown(server, item);
		if (count > 0 && count >= most) {
			most = count;
			found = item;
		}
	}
	return found;
}

/*
 * Makes room for one that is new. Those that say nothing are what a flood consists of, so one of them
 * has to go: a sender that is one needs no more than a moment. Meanwhile others wait in the kernel.
 */
static void make_room(struct server *server)
{
	struct timespec deadline = deadline_after(ROOM_SECONDS);

	while (!server->is_ending &&
	       server->connection_count - server->known_count >= UNKNOWN_LIMIT) {
		struct connection *idler = find_idler(server);
		if (idler)
			connection_cut(idler, "too many connections that did not say who they are");
		if (pthread_cond_timedwait(&server->changed, &server->lock, &deadline) != 0)
			break;
	}
}

static void take(struct server *server, int descriptor, const struct sockaddr_storage *peer)
{
	struct kioku_error error;

	pthread_mutex_lock(&server->lock);
	make_room(server);
	if (server->is_ending || server->connection_count - server->known_count >= UNKNOWN_LIMIT)
		close(descriptor);
	else if (connection_start(server, descriptor, peer, &error) != KIOKU_OK) {
		struct kioku_receive_event event = { .kind = KIOKU_RECEIVE_REFUSED,
						     .message = error.message };
		events_push(&server->events, &event);
	}
	pthread_mutex_unlock(&server->lock);
}

void *listener_run(void *user)
{
	struct server *server = user;
	const struct socket_wait wait = { server_goes_on, server };
	struct sockaddr_storage peer;
	struct kioku_error error;
	int descriptor;

	for (;;) {
		enum kioku_status status =
			socket_accept(server->listener, &wait, &peer, &descriptor, &error);
		if (status == KIOKU_OK)
			take(server, descriptor, &peer);
		else if (status == KIOKU_ERROR_STOPPED)
			return NULL;
		else if (!server_goes_on(server))
			return NULL;
		else
			poll(NULL, 0, 100); /* no descriptor is free: some will be */
	}
}
