/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* IPv4: a trie of nodes with 2^bits children each, whose leaves have lists of routes. */
#include <endian.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel/hash_chain.h"
#include "kernel/route_walk.h"

enum {
	KEY_BITS = 32,
	CHILDREN = 64,         /* that are read at once */
	CHILD_LIMIT = 1 << 24, /* of all nodes of a trie */
};

struct table {
	uint64_t trie;
};

static const struct member table_members[] = { MEMBER(struct table, trie, "tb_data") };
static const struct record table_record = RECORD(struct table, "fib_table", table_members);

/* Its first member is a node without a key, whose only child is the root. */
struct root {
	uint8_t vector; /* of this only the place matters */
};

static const struct member root_members[] = { MEMBER(struct root, vector, "kv") };
static const struct record root_record = RECORD(struct root, "trie", root_members);

/* What a node is part of. */
struct frame {
	uint64_t parent;
	uint8_t vector; /* likewise */
};

static const struct member frame_members[] = {
	MEMBER(struct frame, parent, "parent"),
	MEMBER(struct frame, vector, "kv"),
};
static const struct record frame_record = RECORD(struct frame, "tnode", frame_members);

struct node {
	uint64_t address;  /* not a member of it */
	uint32_t key;      /* that all below it begin with, lower bits zero */
	uint8_t pos, bits; /* its children differ in bits pos to pos + bits; a leaf: 0, 0 */
	uint64_t content;  /* the first route of a leaf, or the first child */
};

static const struct member node_members[] = {
	MEMBER(struct node, key, "key"),
	MEMBER(struct node, pos, "pos"),
	MEMBER(struct node, bits, "bits"),
	MEMBER(struct node, content, "leaf.first"),
};
static const struct record node_record = RECORD(struct node, "key_vector", node_members);

struct alias {
	uint64_t node, info;
	uint32_t table;
	uint8_t tos, type, suffix; /* suffix: bits that are not of the prefix */
};

static const struct member alias_members[] = {
	MEMBER(struct alias, node, "fa_list.next"),
	MEMBER(struct alias, info, "fa_info"),
	MEMBER(struct alias, table, "tb_id"),
	MEMBER(struct alias, tos, "fa_dscp", "fa_tos"), /* v5.18 */
	MEMBER(struct alias, type, "fa_type"),
	MEMBER(struct alias, suffix, "fa_slen"),
};
static const struct record alias_record = RECORD(struct alias, "fib_alias", alias_members);

struct info {
	uint64_t namespace, object;
	uint32_t source; /* as it is */
	uint32_t metric, hop_count;
	uint8_t protocol, scope;
	uint8_t hops; /* of this only the place matters */
};

static const struct member info_members[] = {
	MEMBER(struct info, namespace, "fib_net"),
	MEMBER(struct info, source, "fib_prefsrc"),
	MEMBER(struct info, metric, "fib_priority"),
	MEMBER(struct info, hop_count, "fib_nhs"),
	MEMBER(struct info, protocol, "fib_protocol"),
	MEMBER(struct info, scope, "fib_scope"),
	MEMBER(struct info, hops, "fib_nh"),
	OPTIONAL(struct info, object, "nh"), /* v5.3 */
};
static const struct record info_record = RECORD(struct info, "fib_info", info_members);

struct trie {
	struct route_walk *walk;
	const struct binding *node, *frame, *alias, *info;
	struct hash_walk *aliases;
	uint32_t key;      /* of the leaf whose routes are walked */
	uint64_t children; /* that were looked at, empty ones too */
};

static enum kioku_status bind_types(struct trie *trie)
{
	struct kioku_kernel *kernel = trie->walk->kernel;

	TRY(record_bind(kernel, &node_record, &trie->node, NULL));
	TRY(record_bind(kernel, &frame_record, &trie->frame, NULL));
	TRY(record_bind(kernel, &alias_record, &trie->alias, NULL));
	return record_bind(kernel, &info_record, &trie->info, NULL);
}

/* --- routes */

static enum kioku_status read_alias(struct trie *trie, uint64_t node, struct alias *alias,
				    struct info *info)
{
	struct kioku_kernel *kernel = trie->walk->kernel;
	uint64_t address = node - BINDING_OFFSET(trie->alias, struct alias, node);

	TRY(record_read(kernel, trie->alias, address, alias, NULL));
	if (alias->suffix > KEY_BITS || (trie->key & ((UINT64_C(1) << alias->suffix) - 1)))
		return KIOKU_ERROR_CORRUPT;
	TRY(record_read_at(kernel, &info_record, alias->info, info));
	return info->namespace == trie->walk->namespace->address ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}

static enum kioku_status give_alias(void *user, uint64_t node)
{
	struct trie *trie = user;
	struct alias alias;
	struct info info;
	enum kioku_status status = read_alias(trie, node, &alias, &info);

	if (status != KIOKU_OK) {
		diagnose(&trie->walk->kernel->diagnostics, KIOKU_GAP, "route 0x%llx: %s",
			 (unsigned long long)node, kioku_status_name(status));
		return KIOKU_OK;
	}
	struct route route = { .address = alias.info,
			       .family = AF_INET,
			       .table = alias.table,
			       .prefix = KEY_BITS - alias.suffix,
			       .type = alias.type,
			       .protocol = info.protocol,
			       .scope = info.scope,
			       .tos = alias.tos,
			       .metric = info.metric };
	uint32_t destination = htobe32(trie->key);
	memcpy(route.destination, &destination, sizeof(destination));
	memcpy(route.source, &info.source, sizeof(info.source));
	const struct next_hops hops = { AF_INET,
					alias.info + BINDING_OFFSET(trie->info, struct info, hops),
					info.hop_count, info.object };
	return route_give(trie->walk, &route, &hops);
}

/* --- nodes */

static void cut(const struct trie *trie, uint64_t at, const char *why)
{
	route_cut(trie->walk, AF_INET, at, why);
}

/*
 * NULL, or why there is no node. One that is not below its parent's number, or that names another parent,
 * belongs elsewhere: so none is visited twice, and the way down ends after 32 steps.
 */
static const char *read_node(const struct trie *trie, uint64_t address, const struct node *parent,
			     uint64_t index, struct node *out)
{
	struct kioku_kernel *kernel = trie->walk->kernel;
	uint64_t start = address - BINDING_OFFSET(trie->frame, struct frame, vector);
	struct frame frame;

	if (!kernel_is_pointer(kernel, address) ||
	    record_read(kernel, trie->frame, start, &frame, NULL) != KIOKU_OK ||
	    record_read(kernel, trie->node, address, out, NULL) != KIOKU_OK)
		return "no node is there";
	out->address = address;
	if (frame.parent != parent->address ||
	    (uint64_t)(out->key ^ parent->key) >> parent->pos != index)
		return "it belongs elsewhere";
	return out->pos + out->bits <= parent->pos && (out->bits || out->pos == 0)
		       ? NULL
		       : "its bits are impossible";
}

static enum kioku_status walk_node(struct trie *trie, uint64_t address, const struct node *parent,
				   uint64_t index);

static enum kioku_status walk_children(struct trie *trie, const struct node *node)
{
	uint64_t start = node->address + BINDING_OFFSET(trie->node, struct node, content);
	uint64_t count = UINT64_C(1) << node->bits, some;

	for (uint64_t done = 0; done < count; done += some) {
		uint8_t raw[CHILDREN * 8];
		some = count - done < CHILDREN ? count - done : CHILDREN;
		trie->children += some;
		if (trie->children > CHILD_LIMIT ||
		    kernel_read(trie->walk->kernel, start + done * 8, raw, some * 8, NULL) !=
			    KIOKU_OK) {
			cut(trie, start + done * 8, "its children");
			return KIOKU_OK;
		}
		for (uint64_t i = 0; i < some; i++) {
			uint64_t child = load_le64(raw + i * 8);
			if (child)
				TRY(walk_node(trie, child, node, done + i));
		}
	}
	return KIOKU_OK;
}

static enum kioku_status walk_node(struct trie *trie, uint64_t address, const struct node *parent,
				   uint64_t index)
{
	struct node node;
	const char *flaw = read_node(trie, address, parent, index, &node);

	if (flaw) {
		cut(trie, address, flaw);
		return KIOKU_OK;
	}
	if (node.bits)
		return walk_children(trie, &node);
	trie->key = node.key;
	return hash_chain_walk(trie->aliases,
			       address + BINDING_OFFSET(trie->node, struct node, content));
}

enum kioku_status route_trie_walk(struct route_walk *walk, uint64_t address)
{
	struct trie trie = { .walk = walk };
	AUTO_HASH_WALK struct hash_walk aliases = { .kernel = walk->kernel,
						    .what = "routes (IPv4)",
						    .receive = give_alias,
						    .user = &trie };
	struct node top = { .pos = KEY_BITS };
	const struct binding *root;
	struct table table;
	uint8_t raw[8];

	trie.aliases = &aliases;
	TRY(bind_types(&trie));
	TRY(record_bind(walk->kernel, &root_record, &root, NULL));
	TRY(record_read_at(walk->kernel, &table_record, address, &table));
	/* Without rules, the tables main and local have one trie. */
	switch (address_set_add(&walk->seen, table.trie)) {
	case ADDRESS_KNOWN: return KIOKU_OK;
	case ADDRESS_NO_MEMORY: return KIOKU_ERROR_NO_MEMORY;
	case ADDRESS_ADDED: break;
	}
	if (!kernel_is_pointer(walk->kernel, table.trie))
		return KIOKU_ERROR_CORRUPT;
	top.address = table.trie + BINDING_OFFSET(root, struct root, vector);
	TRY(kernel_read(walk->kernel, top.address + BINDING_OFFSET(trie.node, struct node, content),
			raw, sizeof(raw), NULL));
	return load_le64(raw) ? walk_node(&trie, load_le64(raw), &top, 0) : KIOKU_OK;
}
