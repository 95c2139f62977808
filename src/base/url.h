/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SCHEME://[USER@]HOST[:PORT][/PATH][#FRAGMENT], and the numeric addresses in it. */
#ifndef BASE_URL_H
#define BASE_URL_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/error.h"

struct url {
	char *text;                  /* allocated: what the parts point into */
	const char *scheme;          /* NULL: it is none, but a path, which path has */
	const char *user, *host;     /* "" if there is none; an IPv6 address without its brackets */
	const char *path, *fragment; /* what follows the slash, without it; "" */
	bool has_port;
	unsigned port; /* 0 to 65535 */
};

/*
 * A word of letters, digits and dashes before "://" is a scheme; anything else is a path. "%XX" is not
 * understood: a path is taken as it stands. Errors: ARGUMENT, NO_MEMORY. url_release() in any case.
 */
enum kioku_status url_parse(const char *text, struct url *out, struct kioku_error *error);
void url_release(struct url *url);

#define AUTO_URL CLEANUP(url_release)

/*
 * host, which is an IPv4 or IPv6 address (with a %SCOPE) or "localhost", and a port. No name is ever
 * looked up: the libraries that would do it are the suspect's. Errors: ARGUMENT.
 */
enum kioku_status socket_address(const char *host, unsigned port, struct sockaddr_storage *out,
				 socklen_t *size, struct kioku_error *error);

/* "192.0.2.1:7633", "[2001:db8::1]:7633" */
#define SOCKET_ADDRESS_TEXT 80
void socket_address_text(const struct sockaddr_storage *address, char out[SOCKET_ADDRESS_TEXT]);

#endif
