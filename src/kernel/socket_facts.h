/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets: family, protocol, and what both ends are called. */
#ifndef KERNEL_SOCKET_FACTS_H
#define KERNEL_SOCKET_FACTS_H

#include "kernel/path.h"

#define SOCKET_END_ROOM 128 /* bytes: the longest name of a socket, with what it is shown with */

/* Every text is empty where the socket has no such thing. */
struct socket_text {
	size_t size;
	char data[SOCKET_END_ROOM]; /* not NUL-terminated; names of UNIX sockets are any bytes */
};

struct socket_facts {
	uint16_t family;   /* AF_INET, ... */
	const char *name;  /* of the family: "IPv4", "unix"; NULL: none that is known */
	const char *type;  /* "STREAM", "DGRAM", ... ; NULL likewise */
	const char *state; /* "LISTEN", "ESTABLISHED", ... ; NULL: the family has none */
	struct socket_text protocol, local, remote;
	bool has_lost_part; /* some text is missing though the socket has it */
};

/*
 * Of a struct socket, which must be that of this struct file.
 *
 * local and remote are "127.0.0.1:22" and "[::1]:22", without a port for raw sockets; for UNIX sockets
 * the path or "@NAME" as in /proc/net/unix, and "socket:[INODE]" where a peer has no name.
 * Errors: CORRUPT, UNSUPPORTED, UNMAPPED, ABSENT.
 */
enum kioku_status socket_read(struct kioku_kernel *kernel, uint64_t socket, uint64_t file,
			      struct socket_facts *out);

#endif
