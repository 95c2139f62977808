/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/route.h"

#include <sys/socket.h>

#include "kernel/hash_chain.h"
#include "kernel/route_walk.h"

struct tables {
	uint64_t hash4, main4, default4;
	uint64_t hash6, main6, local6;
	uint64_t null_entry;
	uint64_t rules4, rules6; /* where there are rules, there are many tables */
};

static const struct member tables_members[] = {
	OPTIONAL(struct tables, hash4, "ipv4.fib_table_hash"),
	OPTIONAL(struct tables, main4, "ipv4.fib_main"),
	OPTIONAL(struct tables, default4, "ipv4.fib_default"),
	OPTIONAL(struct tables, rules4, "ipv4.rules_ops"),
	OPTIONAL(struct tables, hash6, "ipv6.fib_table_hash"),
	OPTIONAL(struct tables, main6, "ipv6.fib6_main_tbl"),
	OPTIONAL(struct tables, local6, "ipv6.fib6_local_tbl"),
	OPTIONAL(struct tables, null_entry, "ipv6.fib6_null_entry"),
	OPTIONAL(struct tables, rules6, "ipv6.fib6_rules_ops"),
};
static const struct record tables_record = RECORD(struct tables, "net", tables_members);

/* By which a table is in its chain. */
struct links {
	uint64_t node;
};

static const struct member links4_members[] = { MEMBER(struct links, node, "tb_hlist.next") };
static const struct record links4_record = RECORD(struct links, "fib_table", links4_members);

static const struct member links6_members[] = { MEMBER(struct links, node, "tb6_hlist.next") };
static const struct record links6_record = RECORD(struct links, "fib6_table", links6_members);

struct family {
	struct route_walk *walk;
	int number; /* AF_INET, AF_INET6 */
	const struct record *links;
	enum kioku_status (*walk_table)(struct route_walk *walk, uint64_t table);
	uint64_t hash, chains;
	uint64_t known[2]; /* tables that are pointed to from elsewhere as well */
};

/* --- routes */

struct giving {
	struct route_walk *walk;
	struct route *route;
	unsigned given;
	enum kioku_status stopped; /* by the receiver */
};

static enum kioku_status give_hop(void *user, const struct next_hop *hop)
{
	const uint8_t blackhole = 6; /* RTN_BLACKHOLE */
	struct giving *giving = user;
	struct route route = *giving->route;

	route.hop = *hop;
	if (hop->is_blackhole)
		route.type = blackhole;
	giving->given++;
	giving->stopped = giving->walk->receive(giving->walk->user, &route);
	return giving->stopped;
}

enum kioku_status route_give(struct route_walk *walk, struct route *route,
			     const struct next_hops *hops)
{
	struct giving giving = { .walk = walk, .route = route };
	enum kioku_status status = next_hop_each(walk->kernel, hops, give_hop, &giving);

	TRY(giving.stopped);
	if (status == KIOKU_OK && giving.given > 0)
		return KIOKU_OK;
	if (status != KIOKU_OK)
		route_cut(walk, route->family, route->address, "its next hops");
	route->hop_status = status;
	return walk->receive(walk->user, route);
}

void route_cut(const struct route_walk *walk, int family, uint64_t at, const char *why)
{
	diagnose(&walk->kernel->diagnostics, KIOKU_GAP,
		 "routes (%s) of namespace %u: damaged at 0x%llx (%s), what is behind it is lost",
		 family == AF_INET ? "IPv4" : "IPv6", walk->namespace->inode,
		 (unsigned long long)at, why);
}

/* --- tables */

static enum kioku_status walk_table(const struct family *family, uint64_t table)
{
	switch (address_set_add(&family->walk->seen, table)) {
	case ADDRESS_KNOWN: return KIOKU_OK;
	case ADDRESS_NO_MEMORY: return KIOKU_ERROR_NO_MEMORY;
	case ADDRESS_ADDED: break;
	}
	enum kioku_status status = family->walk_table(family->walk, table);
	if (status != KIOKU_ERROR_UNSUPPORTED && status != KIOKU_ERROR_CORRUPT &&
	    status != KIOKU_ERROR_ABSENT && status != KIOKU_ERROR_UNMAPPED)
		return status;
	route_cut(family->walk, family->number, table, kioku_status_name(status));
	return KIOKU_OK;
}

static enum kioku_status take_table(void *user, uint64_t node)
{
	const struct family *family = user;
	const struct binding *binding;

	TRY(record_bind(family->walk->kernel, family->links, &binding, NULL));
	return walk_table(family, node - BINDING_OFFSET(binding, struct links, node));
}

static enum kioku_status walk_family(struct family *family)
{
	struct kioku_kernel *kernel = family->walk->kernel;
	AUTO_HASH_WALK struct hash_walk hash = {
		.kernel = kernel, .what = "routing tables", .receive = take_table, .user = family
	};
	const struct binding *binding;

	/* Built without it, or switched off when it booted. */
	if (!family->hash)
		return KIOKU_OK;
	if (record_bind(kernel, family->links, &binding, NULL) != KIOKU_OK) {
		route_cut(family->walk, family->number, family->hash, "its types are not known");
		return KIOKU_OK;
	}
	TRY(hash_table_walk(&hash, family->hash, family->chains, 8, 0));
	for (size_t i = 0; i < sizeof(family->known) / sizeof(*family->known); i++)
		if (family->known[i])
			TRY(walk_table(family, family->known[i]));
	return KIOKU_OK;
}

static void release(struct route_walk *walk)
{
	address_set_release(&walk->seen);
}

enum kioku_status route_each(struct kioku_kernel *kernel, const struct net_namespace *namespace,
			     route_fn *receive, void *user)
{
	CLEANUP(release)
	struct route_walk walk = {
		.kernel = kernel, .namespace = namespace, .receive = receive, .user = user
	};
	const struct binding *binding;
	struct tables tables;

	TRY(record_bind(kernel, &tables_record, &binding, NULL));
	TRY(record_read(kernel, binding, namespace->address, &tables, NULL));
	walk.null_entry = tables.null_entry;
	/* FIB_TABLE_HASHSZ and FIB6_TABLE_HASHSZ, include/net/ip_fib.h, ip6_fib.h. */
	struct family families[] = {
		{ &walk,
		  AF_INET,
		  &links4_record,
		  route_trie_walk,
		  tables.hash4,
		  BINDING_HAS(binding, struct tables, rules4) ? 256 : 2,
		  { tables.main4, tables.default4 } },
		{ &walk,
		  AF_INET6,
		  &links6_record,
		  route_tree_walk,
		  tables.hash6,
		  BINDING_HAS(binding, struct tables, rules6) ? 256 : 1,
		  { tables.main6, tables.local6 } },
	};
	TRY(walk_family(&families[0]));
	return walk_family(&families[1]);
}
