/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Next hops of routes: include/net/ip_fib.h, ip6_fib.h, nexthop.h, 4.18 to 7.0. */
#ifndef KERNEL_NEXT_HOP_H
#define KERNEL_NEXT_HOP_H

#include "kernel/record.h"

struct next_hop {
	uint64_t device;        /* struct net_device; 0: none */
	uint32_t flags;         /* RTNH_F_DEAD and others, include/uapi/linux/rtnetlink.h */
	uint32_t weight;        /* its share among the hops of a route */
	uint8_t gateway_family; /* AF_INET, AF_INET6; 0: there is no gateway */
	uint8_t gateway[16];
	uint32_t gateway4; /* before v5.2; not for receivers */
	uint32_t object;   /* number of the nexthop object that it is of; 0: none */
	bool is_blackhole;
};

/* Where a route has its hops. */
struct next_hops {
	int family;     /* AF_INET: struct fib_nh, AF_INET6: struct fib6_nh */
	uint64_t start; /* of an array of these */
	uint32_t count;
	uint64_t object; /* struct nexthop, which counts instead; 0: none */
};

/* Not OK: the walk stops with this status. */
typedef enum kioku_status next_hop_fn(void *user, const struct next_hop *hop);

/* Ends with the first that is damaged. Errors: receive's, CORRUPT, UNSUPPORTED, UNMAPPED, ABSENT. */
enum kioku_status next_hop_each(struct kioku_kernel *kernel, const struct next_hops *hops,
				next_hop_fn *receive, void *user);

#endif
