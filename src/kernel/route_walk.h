/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the walks through routing tables of both families share. */
#ifndef KERNEL_ROUTE_WALK_H
#define KERNEL_ROUTE_WALK_H

#include "base/address_set.h"
#include "kernel/route.h"

struct route_walk {
	struct kioku_kernel *kernel;
	const struct net_namespace *namespace;
	uint64_t null_entry; /* of IPv6: the struct fib6_info that stands where there is no route */
	route_fn *receive;
	void *user;
	struct address_set seen; /* tables, tries and struct fib6_info */
};

/* Gives a route for each of its hops. */
enum kioku_status route_give(struct route_walk *walk, struct route *route,
			     const struct next_hops *hops);

/* Reports that a part of a table is lost. */
void route_cut(const struct route_walk *walk, int family, uint64_t at, const char *why);

/* Routes of a struct fib_table. Errors: receive's, NO_MEMORY, and those of a record that is read. */
enum kioku_status route_trie_walk(struct route_walk *walk, uint64_t table);

/* Of a struct fib6_table. Errors: likewise. */
enum kioku_status route_tree_walk(struct route_walk *walk, uint64_t table);

#endif
