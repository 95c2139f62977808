/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Functions that are called for packets: include/linux/netfilter.h, net/netfilter/core.c, 4.18 to 7.0. */
#ifndef KERNEL_NETFILTER_H
#define KERNEL_NETFILTER_H

#include "kernel/net_device.h"

struct netfilter_hook {
	const char
		*family;   /* of the packets: "IPv4", "IPv6", "ARP", "bridge", "DECnet", "netdev" */
	const char *point; /* where they are: "PRE_ROUTING", "LOCAL_IN", ... */
	const struct net_device *device; /* of "netdev"; NULL: for all */
	unsigned position;         /* among those of its point, in the order they are called in */
	uint64_t handler, private; /* the function, and what it gets */
	uint64_t ops;              /* struct nf_hook_ops that it was registered with */
	enum kioku_status
		ops_status; /* not OK: what is in ops is not known, the priority above all */
	int32_t priority;
};

/* Not OK: the walk stops with this status. */
typedef enum kioku_status netfilter_hook_fn(void *user, const struct netfilter_hook *hook);

/*
 * Every hook of a namespace, and of its interfaces; what is damaged is reported as a gap.
 * Errors: receive's, UNSUPPORTED.
 */
enum kioku_status netfilter_each(struct kioku_kernel *kernel, const struct net_namespace *namespace,
				 netfilter_hook_fn *receive, void *user, struct kioku_error *error);

#endif
