/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network namespaces: include/net/net_namespace.h, 4.18 to 7.0. */
#ifndef KERNEL_NET_NAMESPACE_H
#define KERNEL_NET_NAMESPACE_H

#include "kernel/record.h"

struct net_namespace {
	uint64_t address; /* of the struct net; not a member of it */
	uint64_t list_next;
	uint32_t inode; /* its number, as in /proc/PID/ns/net */
	/* Its own tables of sockets, where there are such. */
	uint64_t tcp, udp;    /* struct inet_hashinfo, udp_table */
	uint64_t unix_chains; /* the first of its hash chains */
	uint64_t packet;      /* of this only the place matters */
};

extern const struct record net_namespace_record;

/* Not OK: the walk stops with this status. */
typedef enum kioku_status net_namespace_fn(void *user, const struct net_namespace *namespace);

/* Every one that is in use. Errors: receive's, UNSUPPORTED. */
enum kioku_status net_namespace_each(struct kioku_kernel *kernel, net_namespace_fn *receive,
				     void *user, struct kioku_error *error);

#endif
