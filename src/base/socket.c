/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "base/url.h"

enum { ASK_EVERY = 200, CONNECT_LIMIT = 20 }; /* milliseconds; seconds */

enum kioku_status socket_wait_for(int descriptor, short events, double seconds,
				  const struct socket_wait *wait, struct kioku_error *error)
{
	struct pollfd poller = { .fd = descriptor, .events = events };
	double deadline = seconds < 0 ? 0 : seconds_now() + seconds;

	for (;;) {
		int ready = poll(&poller, 1, ASK_EVERY);
		if (ready > 0)
			return KIOKU_OK;
		if (ready < 0 && errno != EINTR)
			return error_os(error, "cannot wait for a connection");
		if (wait && wait->goes_on && !wait->goes_on(wait->user))
			return error_set(error, KIOKU_ERROR_STOPPED, "stopped");
		if (deadline > 0 && seconds_now() >= deadline)
			return error_set(error, KIOKU_ERROR_LIMIT, "no answer in time");
	}
}

static void set_blocking(int descriptor, bool blocks)
{
	int flags = fcntl(descriptor, F_GETFL);

	fcntl(descriptor, F_SETFL, blocks ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

static enum kioku_status finish_connecting(int descriptor, const struct socket_wait *wait,
					   struct kioku_error *error)
{
	socklen_t size = sizeof(errno);
	int failed = 0;

	TRY(socket_wait_for(descriptor, POLLOUT, CONNECT_LIMIT, wait, error));
	if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failed, &size) != 0)
		failed = errno;
	errno = failed;
	return failed ? error_os(error, "cannot connect") : KIOKU_OK;
}

static enum kioku_status try_connecting(int descriptor, const struct sockaddr_storage *address,
					socklen_t size, const struct socket_wait *wait,
					struct kioku_error *error)
{
	if (connect(descriptor, (const struct sockaddr *)address, size) == 0)
		return KIOKU_OK;
	return errno == EINPROGRESS || errno == EINTR ? finish_connecting(descriptor, wait, error)
						      : error_os(error, "cannot connect");
}

enum kioku_status socket_connect(const struct sockaddr_storage *address, socklen_t size,
				 const struct socket_wait *wait, int *out,
				 struct kioku_error *error)
{
	AUTO_CLOSE int descriptor =
		socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char text[SOCKET_ADDRESS_TEXT];

	if (descriptor < 0)
		return error_os(error, "cannot make a socket");
	enum kioku_status status = try_connecting(descriptor, address, size, wait, error);
	if (status != KIOKU_OK) {
		socket_address_text(address, text);
		error_prefix(error, "%s", text);
		return status;
	}
	set_blocking(descriptor, true);
	*out = descriptor;
	descriptor = -1;
	return KIOKU_OK;
}

enum kioku_status socket_listen(struct sockaddr_storage *address, socklen_t size, int backlog,
				int *out, struct kioku_error *error)
{
	AUTO_CLOSE int descriptor =
		socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char text[SOCKET_ADDRESS_TEXT];
	int yes = 1;

	if (descriptor < 0)
		return error_os(error, "cannot make a socket");
	setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	socket_address_text(address, text);
	if (bind(descriptor, (const struct sockaddr *)address, size) != 0 ||
	    listen(descriptor, backlog) != 0 ||
	    getsockname(descriptor, (struct sockaddr *)address, &size) != 0)
		return error_os(error, "cannot listen at %s", text);
	*out = descriptor;
	descriptor = -1;
	return KIOKU_OK;
}

enum kioku_status socket_accept(int listener, const struct socket_wait *wait,
				struct sockaddr_storage *peer, int *out, struct kioku_error *error)
{
	for (;;) {
		socklen_t size = sizeof(*peer);
		*peer = (struct sockaddr_storage){ 0 };
		TRY(socket_wait_for(listener, POLLIN, -1, wait, error));
		*out = accept4(listener, (struct sockaddr *)peer, &size, SOCK_CLOEXEC);
		if (*out >= 0)
			return KIOKU_OK;
		/* A client that went away again is none. */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			return error_os(error, "cannot accept a connection");
	}
}
