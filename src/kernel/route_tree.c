/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* IPv6: a binary tree by bits of the destination; a node may have another one by bits of the source. */
#include <string.h>
#include <sys/socket.h>

#include "kernel/route_walk.h"

enum { KEY_BITS = 128, ROUTE_LIMIT = 1 << 22 };

struct table {
	uint64_t root_leaf; /* of this only the place matters */
	uint32_t id;
};

static const struct member table_members[] = {
	MEMBER(struct table, root_leaf, "tb6_root.leaf"),
	MEMBER(struct table, id, "tb6_id"),
};
static const struct record table_record = RECORD(struct table, "fib6_table", table_members);

struct node {
	uint64_t parent, left, right, subtree, leaf;
	uint16_t bit;   /* in which what is below it differs */
	uint16_t flags; /* include/net/ip6_fib.h */
};

static const struct member node_members[] = {
	MEMBER(struct node, parent, "parent"),     MEMBER(struct node, left, "left"),
	MEMBER(struct node, right, "right"),       MEMBER(struct node, leaf, "leaf"),
	MEMBER(struct node, bit, "fn_bit"),        MEMBER(struct node, flags, "fn_flags"),
	OPTIONAL(struct node, subtree, "subtree"),
};
static const struct record node_record = RECORD(struct node, "fib6_node", node_members);

struct info {
	uint64_t table, node, next, object;
	uint8_t destination[16], from[16], source[16];
	uint32_t prefix, from_prefix, source_prefix, flags, metric;
	uint8_t type, protocol;
	uint8_t hops;    /* of this only the place matters */
	uint64_t device; /* likewise */
};

static const struct member info_members[] = {
	MEMBER(struct info, table, "fib6_table"),
	MEMBER(struct info, node, "fib6_node"),
	MEMBER(struct info, next, "fib6_next"),
	MEMBER(struct info, destination, "fib6_dst.addr.in6_u.u6_addr8"),
	MEMBER(struct info, prefix, "fib6_dst.plen"),
	OPTIONAL(struct info, from, "fib6_src.addr.in6_u.u6_addr8"),
	OPTIONAL(struct info, from_prefix, "fib6_src.plen"),
	MEMBER(struct info, source, "fib6_prefsrc.addr.in6_u.u6_addr8"),
	MEMBER(struct info, source_prefix, "fib6_prefsrc.plen"),
	MEMBER(struct info, flags, "fib6_flags"),
	MEMBER(struct info, metric, "fib6_metric"),
	MEMBER(struct info, type, "fib6_type"),
	MEMBER(struct info, protocol, "fib6_protocol"),
	OPTIONAL(struct info, object, "nh"), /* v5.3, as the next one */
	OPTIONAL(struct info, hops, "fib6_nh"),
	OPTIONAL(struct info, device, "fib6_nh.nh_common.nhc_dev", "fib6_nh.nh_dev"),
};
static const struct record info_record = RECORD(struct info, "fib6_info", info_members);

/* Where in a struct fib6_nh its device is. */
struct hop {
	uint64_t device;
};

static const struct member hop_members[] = {
	MEMBER(struct hop, device, "nh_common.nhc_dev", "nh_dev"),
};
static const struct record hop_record = RECORD(struct hop, "fib6_nh", hop_members);

struct tree {
	struct route_walk *walk;
	const struct binding *node, *info;
	uint64_t table, hops; /* hops: offset in a struct fib6_info */
	uint32_t id;
	size_t routes;
};

static void cut(const struct tree *tree, uint64_t at, const char *why)
{
	route_cut(tree->walk, AF_INET6, at, why);
}

/* --- routes */

static enum kioku_status give_route(struct tree *tree, uint64_t address, const struct info *info)
{
	struct route route = { .address = address,
			       .family = AF_INET6,
			       .table = tree->id,
			       .prefix = info->prefix,
			       .from_prefix = info->from_prefix,
			       .type = info->type,
			       .protocol = info->protocol,
			       .metric = info->metric,
			       .flags = info->flags };
	const struct next_hops hops = { AF_INET6, address + tree->hops, 1, info->object };

	memcpy(route.destination, info->destination, 16);
	memcpy(route.from, info->from, 16);
	if (info->source_prefix)
		memcpy(route.source, info->source, 16);
	return route_give(tree->walk, &route, &hops);
}

/* NULL, or why there is no route of this node. */
static const char *read_route(struct tree *tree, uint64_t node, uint64_t address, struct info *out)
{
	enum kioku_status status = record_read_at(tree->walk->kernel, &info_record, address, out);

	if (status != KIOKU_OK)
		return kioku_status_name(status);
	if (tree->routes++ == ROUTE_LIMIT)
		return "it does not end";
	if (address_set_add(&tree->walk->seen, address) != ADDRESS_ADDED)
		return "it runs in a circle";
	if (out->node != node || out->table != tree->table)
		return "it belongs elsewhere";
	return out->prefix <= KEY_BITS && out->from_prefix <= KEY_BITS ? NULL
								       : "its prefix is impossible";
}

/* Those of several next hops are several in a row. */
static enum kioku_status walk_routes(struct tree *tree, uint64_t node, uint64_t first)
{
	struct info info;

	for (uint64_t at = first; at && at != tree->walk->null_entry; at = info.next) {
		const char *flaw = read_route(tree, node, at, &info);
		if (flaw) {
			cut(tree, at, flaw);
			return KIOKU_OK;
		}
		TRY(give_route(tree, at, &info));
	}
	return KIOKU_OK;
}

/* --- nodes */

enum { NODE_ROUTES = 4 }; /* RTN_RTINFO */

/* least: the lowest bit that a node here can be about. So the way down ends. */
static enum kioku_status walk_node(struct tree *tree, uint64_t address, uint64_t parent,
				   unsigned least, bool is_subtree)
{
	struct node node;
	enum kioku_status status = record_read_at(tree->walk->kernel, &node_record, address, &node);
	const char *flaw = status != KIOKU_OK                        ? kioku_status_name(status)
			   : node.parent != parent                   ? "it belongs elsewhere"
			   : node.bit < least || node.bit > KEY_BITS ? "its bit is impossible"
			   : node.left && node.left == node.right    ? "both sides are one"
								     : NULL;
	if (flaw) {
		cut(tree, address, flaw);
		return KIOKU_OK;
	}
	if (node.flags & NODE_ROUTES)
		TRY(walk_routes(tree, address, node.leaf));
	if (node.left)
		TRY(walk_node(tree, node.left, address, node.bit + 1u, is_subtree));
	if (node.right)
		TRY(walk_node(tree, node.right, address, node.bit + 1u, is_subtree));
	if (node.subtree && !is_subtree)
		return walk_node(tree, node.subtree, address, 0, true);
	return KIOKU_OK;
}

/* Before v5.3 a route has its only hop in its middle, now at its end. */
static enum kioku_status find_hops(struct tree *tree)
{
	const struct binding *hop;

	TRY(record_bind(tree->walk->kernel, &hop_record, &hop, NULL));
	if (BINDING_HAS(tree->info, struct info, hops))
		tree->hops = BINDING_OFFSET(tree->info, struct info, hops);
	else if (BINDING_HAS(tree->info, struct info, device))
		tree->hops = BINDING_OFFSET(tree->info, struct info, device) -
			     BINDING_OFFSET(hop, struct hop, device);
	else
		return KIOKU_ERROR_UNSUPPORTED;
	return KIOKU_OK;
}

enum kioku_status route_tree_walk(struct route_walk *walk, uint64_t address)
{
	struct tree tree = { .walk = walk, .table = address };
	const struct binding *binding;
	struct table table;

	TRY(record_bind(walk->kernel, &table_record, &binding, NULL));
	TRY(record_bind(walk->kernel, &node_record, &tree.node, NULL));
	TRY(record_bind(walk->kernel, &info_record, &tree.info, NULL));
	TRY(find_hops(&tree));
	TRY(record_read_at(walk->kernel, &table_record, address, &table));
	tree.id = table.id;
	uint64_t root = address + BINDING_OFFSET(binding, struct table, root_leaf) -
			BINDING_OFFSET(tree.node, struct node, leaf);
	return walk_node(&tree, root, 0, 0, false);
}
