/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/PID/net/tcp and its like: the sockets of a network namespace, a line each, whatever process has
 * them open (Linux net/ipv4/tcp_ipv4.c get_tcp4_sock, net/ipv4/udp.c, net/ipv6/tcp_ipv6.c,
 * net/unix/af_unix.c unix_seq_show, net/netlink/af_netlink.c, net/packet/af_packet.c). Addresses are
 * the 32-bit words of a little-endian machine.
 */
#ifndef FORMAT_SOCKETS_FORMAT_H
#define FORMAT_SOCKETS_FORMAT_H

#include <sys/socket.h>

#include "base/bytes.h"

enum socket_form {
	SOCKET_INET, /* tcp, udp, udplite, raw, icmp, and those with a 6 */
	SOCKET_UNIX,
	SOCKET_NETLINK,
	SOCKET_PACKET,
};

struct socket_line {
	uint64_t inode;
	uint64_t state;                        /* of INET: TCP_*; of UNIX: SS_* */
	uint64_t type;                         /* of UNIX, PACKET: SOCK_* */
	uint64_t protocol;                     /* of NETLINK: NETLINK_*; of PACKET: ETH_P_* */
	uint64_t port;                         /* of NETLINK: its address */
	uint64_t interface;                    /* of PACKET: an index, 0: all */
	bool is_listening;                     /* of UNIX */
	struct sockaddr_storage local, remote; /* of INET; IPv4 or IPv6 */
	/*
	 * Of UNIX: the path it is bound to, "@..." for an abstract one, with '@' for each NUL; "" for
	 * none. Other bytes are as they are: a name with a line feed in it can make a line of its own.
	 */
	struct bytes path;
};

/* Decodes a line; false if it is none of a socket, as the first one, which has titles. */
bool socket_line_decode(struct bytes line, enum socket_form form, struct socket_line *out);

/* "listen" and so on, or NULL. */
const char *socket_tcp_state(uint64_t state);

#endif
