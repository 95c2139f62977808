/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Chains of the kernel's hash tables, assuming the worst: struct hlist_head and hlist_nulls_head, whose nodes
 * say who points to them, and struct rhash_head, whose nodes do not (include/linux/list.h, list_nulls.h,
 * rhashtable-types.h, 4.18 to 7.0). No node comes twice, and what is damaged ends its chain.
 */
#ifndef KERNEL_HASH_CHAIN_H
#define KERNEL_HASH_CHAIN_H

#include "base/address_set.h"
#include "kernel/record.h"

/* Not OK: the walk stops with this status. */
typedef enum kioku_status hash_node_fn(void *user, uint64_t node);

struct hash_walk {
	struct kioku_kernel *kernel;
	const char *what; /* for diagnostics: "TCP sockets" */
	hash_node_fn *receive;
	void *user;
	struct address_set seen; /* by all chains */
};

/* The chain that the head at an address is of. */
enum kioku_status hash_chain_walk(struct hash_walk *walk, uint64_t head);

/* The chains of a table: count heads, stride bytes apart, each offset bytes into its place. */
enum kioku_status hash_table_walk(struct hash_walk *walk, uint64_t start, uint64_t count,
				  uint64_t stride, uint64_t offset);

/* The same with heads in a row whose nodes only say what is next, in their first member. */
enum kioku_status hash_plain_walk(struct hash_walk *walk, uint64_t start, uint64_t count);

/* A struct rhashtable, also while it is being made larger. Errors: receive's, UNSUPPORTED, ... */
enum kioku_status hash_resizable_walk(struct hash_walk *walk, uint64_t table);

void hash_walk_release(struct hash_walk *walk);
#define AUTO_HASH_WALK CLEANUP(hash_walk_release)

#endif
