/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets: family, protocol, what both ends are called, and what waits in them. */
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
	uint64_t
		handle; /* struct socket; 0: the kernel has it alone, it is orphaned, or no whole one */
	uint64_t namespace; /* struct net */
	uint64_t inode;     /* 0: unknown, or none */
	uint16_t family;    /* AF_INET, ... */
	const char *name;   /* of the family: "IPv4", "unix"; NULL: none that is known */
	const char *type;   /* "STREAM", "DGRAM", ... ; NULL likewise */
	const char *state;  /* "LISTEN", "ESTABLISHED", ... ; NULL: the family has none */
	struct socket_text protocol, local, remote;
	bool has_lost_part; /* some text is missing though the socket has it */
	bool has_filter;    /* attached by SO_ATTACH_FILTER or SO_ATTACH_BPF */
	/* Bytes that wait to be read, and to be sent or acknowledged; of one that listens, connections. */
	bool has_queues;
	uint64_t receive_queue, send_queue;
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

/* The struct sock of a struct socket, which must be that of this struct file; 0: none. Errors: as above. */
enum kioku_status socket_sock(struct kioku_kernel *kernel, uint64_t socket, uint64_t file,
			      uint64_t *out);

/*
 * Of a struct sock, or of what stands for one in TCP's tables: struct inet_timewait_sock and request_sock,
 * which say less. Errors: as above.
 */
enum kioku_status sock_read(struct kioku_kernel *kernel, uint64_t sock, struct socket_facts *out);

#endif
