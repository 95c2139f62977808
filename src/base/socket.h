/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TCP sockets that are waited for without being deaf meanwhile. All are closed on exec. */
#ifndef BASE_SOCKET_H
#define BASE_SOCKET_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/error.h"

/* Asked some times a second while something is waited for; false: stop. NULL: wait. */
struct socket_wait {
	bool (*goes_on)(void *user);
	void *user;
};

/*
 * Waits until a descriptor has one of these events, of poll(2), or has failed. Errors: STOPPED, OS,
 * LIMIT (after so many seconds; < 0: never).
 */
enum kioku_status socket_wait_for(int descriptor, short events, double seconds,
				  const struct socket_wait *wait, struct kioku_error *error);

/* Connects within 20 s. *out blocks, and is the caller's to close. Errors: OS, STOPPED, LIMIT. */
enum kioku_status socket_connect(const struct sockaddr_storage *address, socklen_t size,
				 const struct socket_wait *wait, int *out,
				 struct kioku_error *error);

/* *address becomes the one that was bound, with its port. *out does not block. Errors: OS. */
enum kioku_status socket_listen(struct sockaddr_storage *address, socklen_t size, int backlog,
				int *out, struct kioku_error *error);

/* Waits for a client. *out blocks. Errors: OS, STOPPED. */
enum kioku_status socket_accept(int listener, const struct socket_wait *wait,
				struct sockaddr_storage *peer, int *out, struct kioku_error *error);

#endif
