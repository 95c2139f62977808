/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Routes of all tables: net/ipv4/fib_trie.c, include/net/ip_fib.h, ip6_fib.h, 4.18 to 7.0. */
#ifndef KERNEL_ROUTE_H
#define KERNEL_ROUTE_H

#include "kernel/net_namespace.h"
#include "kernel/next_hop.h"

struct route {
	uint64_t address; /* of the struct fib_info or fib6_info */
	int family;       /* AF_INET, AF_INET6 */
	uint32_t table;   /* RT_TABLE_MAIN and others, include/uapi/linux/rtnetlink.h */
	uint8_t destination[16];
	uint8_t from[16];   /* of IPv6: whose packets it is for */
	uint8_t source[16]; /* what packets of our own have as their source; all zero: not said */
	uint32_t prefix, from_prefix; /* bits of destination and from */
	uint8_t type, protocol;       /* RTN_UNICAST, RTPROT_KERNEL and others, likewise */
	uint8_t scope, tos;           /* of IPv4 */
	uint32_t metric;
	uint32_t flags; /* of IPv6: RTF_ADDRCONF and others, include/uapi/linux/ipv6_route.h */
	struct next_hop hop;
	enum kioku_status hop_status; /* not OK: the hop, and those that come after it, are lost */
};

/* Not OK: the walk stops with this status. */
typedef enum kioku_status route_fn(void *user, const struct route *route);

/*
 * Every route of a namespace, once for each of its next hops. What is damaged is reported as a gap.
 * Errors: receive's, NO_MEMORY.
 */
enum kioku_status route_each(struct kioku_kernel *kernel, const struct net_namespace *namespace,
			     route_fn *receive, void *user);

#endif
