/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/maple.h"

#include "base/address_set.h"
#include "kernel/record.h"

enum {
	SLOTS = 32,       /* MAPLE_NODE_SLOTS is 31, without 64-bit pivots 63 */
	DEPTH_LIMIT = 31, /* MAPLE_HEIGHT_MAX */
	NODE_LIMIT = 1 << 22,
	LARGEST_RESERVED = 4096, /* internal entries up to here are no nodes (xa_is_node()) */
};

/* include/linux/maple_tree.h, enum maple_type; nodes are aligned to 256 bytes, what is below is the kind. */
enum { DENSE, LEAF_64, RANGE_64, ARANGE_64 };
static const uint64_t node_mask = 255;
static const unsigned type_shift = 3, type_mask = 15;

struct tree {
	uint64_t root;
};

static const struct member tree_members[] = { MEMBER(struct tree, root, "ma_root") };
static const struct record tree_record = RECORD(struct tree, "maple_tree", tree_members);

struct node {
	uint64_t parent;
	uint64_t pivots[SLOTS];
	uint64_t slots[SLOTS];
};

/* clang-format off */
#define NODE_MEMBERS \
	MEMBER(struct node, parent, "parent"), MEMBER(struct node, pivots, "pivot"), \
	MEMBER(struct node, slots, "slot")
/* clang-format on */

static const struct member node_members[] = { NODE_MEMBERS };
static const struct record range_record = RECORD(struct node, "maple_range_64", node_members);
static const struct record arange_record = RECORD(struct node, "maple_arange_64", node_members);

struct walk {
	struct kioku_kernel *kernel;
	const struct binding *range, *arange;
	const char *what;
	maple_fn *receive;
	void *user;
	struct address_set seen;
	struct kioku_error *error;
};

static void walk_release(struct walk *walk)
{
	address_set_release(&walk->seen);
}

static bool is_internal(uint64_t entry)
{
	return (entry & 3) == 2;
}

/* Of a tree's root; those of nodes always lead to nodes. */
static bool is_node(uint64_t entry)
{
	return is_internal(entry) && entry > LARGEST_RESERVED;
}

static enum kioku_status damaged(struct walk *walk, uint64_t node, const char *why)
{
	diagnose(&walk->kernel->diagnostics, KIOKU_GAP, "%s: damaged at 0x%llx (%s)", walk->what,
		 (unsigned long long)node, why);
	return KIOKU_OK;
}

static enum kioku_status give(struct walk *walk, uint64_t first, uint64_t last, uint64_t entry)
{
	/* Nothing, or what only writers of the tree put there (XA_ZERO_ENTRY). */
	if (!entry || is_internal(entry))
		return KIOKU_OK;
	if (!kernel_is_pointer(walk->kernel, entry))
		return damaged(walk, entry, "an entry that is no pointer");
	return walk->receive(walk->user, first, last, entry);
}

/* What a node covers, and who leads to it. */
struct place {
	uint64_t parent; /* the node's address, or the tree's with the lowest bit set */
	uint64_t first, last;
	unsigned depth;
};

static enum kioku_status walk_node(struct walk *walk, uint64_t entry, const struct place *place);

static enum kioku_status walk_slots(struct walk *walk, const struct node *node, uint64_t address,
				    const struct binding *binding, bool is_leaf,
				    const struct place *place)
{
	unsigned pivots = binding_member(binding, offsetof(struct node, pivots))->size / 8;
	unsigned slots = binding_member(binding, offsetof(struct node, slots))->size / 8;
	uint64_t first = place->first;

	for (unsigned i = 0; i < slots; i++) {
		/* A pivot of 0 behind the first means that nothing follows (ma_data_end()). */
		uint64_t last = i < pivots ? node->pivots[i] : place->last;
		if (i > 0 && last == 0)
			last = place->last;
		if (last < first || last > place->last)
			return damaged(walk, address, "its ranges are in disorder");
		const struct place child = { address, first, last, place->depth + 1 };
		if (is_leaf)
			TRY(give(walk, first, last, node->slots[i]));
		else
			TRY(walk_node(walk, node->slots[i], &child));
		if (last == place->last)
			return KIOKU_OK;
		first = last + 1;
	}
	return damaged(walk, address, "its ranges do not reach its end");
}

static bool is_child(const struct node *node, const struct place *place)
{
	return place->depth == 0 ? node->parent == place->parent
				 : (node->parent & ~node_mask) == place->parent;
}

static enum kioku_status walk_node(struct walk *walk, uint64_t entry, const struct place *place)
{
	uint64_t address = entry & ~node_mask;
	unsigned type = entry >> type_shift & type_mask;
	const struct binding *binding = type == ARANGE_64 ? walk->arange : walk->range;
	struct node node;

	if (type != LEAF_64 && type != RANGE_64 && type != ARANGE_64)
		return damaged(walk, address, "a node of an unknown type");
	if (place->depth > DEPTH_LIMIT || walk->seen.count > NODE_LIMIT)
		return damaged(walk, address, "too many nodes");
	if (!kernel_is_pointer(walk->kernel, address))
		return damaged(walk, address, "no pointer");
	switch (address_set_add(&walk->seen, address)) {
	case ADDRESS_NO_MEMORY: return error_no_memory(walk->error);
	case ADDRESS_KNOWN: return damaged(walk, address, "met before");
	case ADDRESS_ADDED: break;
	}
	if (record_read(walk->kernel, binding, address, &node, NULL) != KIOKU_OK)
		return damaged(walk, address, "not in the image");
	if (!is_child(&node, place))
		return damaged(walk, address, "not what leads to it says");
	return walk_slots(walk, &node, address, binding, type == LEAF_64, place);
}

bool maple_is_known(struct kioku_kernel *kernel)
{
	const struct binding *binding;

	return record_bind(kernel, &tree_record, &binding, NULL) == KIOKU_OK;
}

uint64_t maple_root_offset(struct kioku_kernel *kernel)
{
	const struct binding *binding;

	return record_bind(kernel, &tree_record, &binding, NULL) == KIOKU_OK
		       ? BINDING_OFFSET(binding, struct tree, root)
		       : 0;
}

enum kioku_status maple_each(struct kioku_kernel *kernel, uint64_t tree, const char *what,
			     maple_fn *receive, void *user, struct kioku_error *error)
{
	CLEANUP(walk_release)
	struct walk walk = {
		.kernel = kernel, .what = what, .receive = receive, .user = user, .error = error
	};
	const struct place root = { .parent = tree | 1, .last = UINT64_MAX }; /* MA_ROOT_PARENT */
	const struct binding *binding;
	struct tree head;

	TRY(record_bind(kernel, &tree_record, &binding, error));
	TRY(record_bind(kernel, &range_record, &walk.range, error));
	TRY(record_bind(kernel, &arange_record, &walk.arange, error));
	TRY(record_read(kernel, binding, tree, &head, error));
	return is_node(head.root) ? walk_node(&walk, head.root, &root)
				  : give(&walk, 0, 0, head.root);
}
