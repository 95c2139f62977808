/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/xarray.h"

#include "base/address_set.h"
#include "kernel/record.h"

#define NODE_SLOTS 64 /* XA_CHUNK_SIZE; 16 with CONFIG_BASE_SMALL */
#define NODE_LIMIT (1u << 22)

enum {
	ROOT_SHIFT = 64,        /* more than any node has */
	SHIFT_LIMIT = 60,       /* of what may have more, slots cannot be counted in 64 bits */
	NODE_SIZE_LIMIT = 1024, /* bytes */
};

struct root {
	uint64_t head;
};

static const struct member xarray_members[] = { MEMBER(struct root, head, "xa_head") };
static const struct record xarray_record = RECORD(struct root, "xarray", xarray_members);

static const struct member radix_members[] = { MEMBER(struct root, head, "rnode") };
static const struct record radix_record = RECORD(struct root, "radix_tree_root", radix_members);

struct node {
	uint8_t shift, offset;
	uint64_t parent;
	uint64_t slots[NODE_SLOTS];
};

#define NODE_MEMBERS                                                                \
	MEMBER(struct node, shift, "shift"), MEMBER(struct node, offset, "offset"), \
		MEMBER(struct node, parent, "parent"), MEMBER(struct node, slots, "slots")

static const struct member node_members[] = { NODE_MEMBERS };
static const struct record node_record = RECORD(struct node, "xa_node", node_members);
static const struct record old_node_record = RECORD(struct node, "radix_tree_node", node_members);

/* How pointers are told from the rest by their lowest bits: include/linux/xarray.h, radix-tree.h. */
struct form {
	uint64_t internal; /* of the lowest two bits: a node, if it is more than reserved */
	uint64_t value;    /* the bit of an integer */
	unsigned value_shift;
};

static const struct form xarray_form = { .internal = 2, .value = 1, .value_shift = 1 };
static const struct form radix_form = { .internal = 1, .value = 2, .value_shift = 2 };

/* Internal entries up to here are none: siblings, XA_RETRY_ENTRY, XA_ZERO_ENTRY, errors. */
static const uint64_t reserved = 4096;

struct walk {
	struct kioku_kernel *kernel;
	const struct form *form;
	const struct binding *node;
	unsigned chunk_shift;
	uint64_t first, last;
	const char *what; /* NULL: damage is an error */
	bool tells_losses;
	xarray_fn *receive;
	void *user;
	struct address_set seen;
	struct kioku_error *error;
};

static void walk_release(struct walk *walk)
{
	address_set_release(&walk->seen);
}

enum kioku_status xarray_head_offset(struct kioku_kernel *kernel, uint64_t *out,
				     struct kioku_error *error)
{
	const struct binding *binding;

	if (record_bind(kernel, &xarray_record, &binding, NULL) != KIOKU_OK)
		TRY(record_bind(kernel, &radix_record, &binding, error));
	*out = BINDING_OFFSET(binding, struct root, head);
	return KIOKU_OK;
}

/* The struct's members, and its root's. */
static enum kioku_status begin(struct walk *walk, uint64_t xarray, uint64_t *head)
{
	struct kioku_kernel *kernel = walk->kernel;
	const struct binding *binding;
	struct root root;

	walk->form = &xarray_form;
	if (record_bind(kernel, &xarray_record, &binding, NULL) != KIOKU_OK ||
	    record_bind(kernel, &node_record, &walk->node, NULL) != KIOKU_OK) {
		walk->form = &radix_form;
		TRY(record_bind(kernel, &radix_record, &binding, walk->error));
		TRY(record_bind(kernel, &old_node_record, &walk->node, walk->error));
	}
	uint32_t slots =
		binding_member(walk->node, offsetof(struct node, slots))->size / sizeof(uint64_t);
	walk->chunk_shift = slots == NODE_SLOTS ? 6 : 4;
	if (slots != NODE_SLOTS && slots != 16)
		return error_set(walk->error, KIOKU_ERROR_UNSUPPORTED, "nodes of %u slots", slots);
	TRY(record_read(kernel, binding, xarray, &root, walk->error));
	*head = root.head;
	return KIOKU_OK;
}

static bool is_internal(const struct walk *walk, uint64_t entry)
{
	return (entry & 3) == walk->form->internal;
}

static bool is_node(const struct walk *walk, uint64_t entry)
{
	return is_internal(walk, entry) && entry > reserved;
}

/* What is wrong at an address, and the slots that cannot be known for it. */
static enum kioku_status damaged(struct walk *walk, uint64_t node, const char *why, uint64_t index,
				 uint64_t count)
{
	const struct xarray_entry lost = { .index = index, .count = count, .is_lost = true };

	if (!walk->what)
		return error_at(walk->error, KIOKU_ERROR_CORRUPT, node, "a node at 0x%llx: %s",
				(unsigned long long)node, why);
	diagnose(&walk->kernel->diagnostics, KIOKU_GAP, "%s: damaged at 0x%llx (%s)", walk->what,
		 (unsigned long long)node, why);
	return walk->tells_losses ? walk->receive(walk->user, &lost) : KIOKU_OK;
}

static enum kioku_status give(struct walk *walk, uint64_t entry, uint64_t index, uint64_t count)
{
	struct xarray_entry out = { .index = index, .count = count, .value = entry };

	out.is_value = entry & walk->form->value;
	if (out.is_value)
		out.value >>= walk->form->value_shift;
	if (index > walk->last || index + (count - 1) < walk->first)
		return KIOKU_OK;
	if (!out.is_value && !kernel_is_pointer(walk->kernel, entry))
		return damaged(walk, entry, "an entry that is no pointer", index, count);
	return walk->receive(walk->user, &out);
}

/* A node's place: what it must say of itself. */
struct place {
	uint64_t parent; /* 0: it is the root's */
	unsigned offset; /* in it */
	unsigned shift;  /* of the root's: ROOT_SHIFT, whatever it says */
	uint64_t base;   /* index of its first slot */
};

static enum kioku_status walk_node(struct walk *walk, uint64_t entry, const struct place *place);

/* Slots that repeat the one before them, so that all of it is found at any index. */
static bool is_sibling(const struct walk *walk, uint64_t entry, uint64_t node)
{
	if (!is_internal(walk, entry))
		return false;
	/* Before v4.20, pointers into the node itself. */
	return walk->form == &radix_form ? entry - node < NODE_SIZE_LIMIT
					 : entry >> 2 < 1u << walk->chunk_shift;
}

static enum kioku_status walk_slots(struct walk *walk, const struct node *node, uint64_t address,
				    uint64_t base)
{
	unsigned count = 1u << walk->chunk_shift;

	for (unsigned i = 0, next; i < count; i = next) {
		uint64_t slot = node->slots[i], index = base + ((uint64_t)i << node->shift);
		for (next = i + 1; next < count && is_sibling(walk, node->slots[next], address);)
			next++;
		uint64_t size = (uint64_t)(next - i) << node->shift;
		if (!slot || index > walk->last || index + (size - 1) < walk->first)
			continue;
		if (is_node(walk, slot)) {
			struct place place = { address, i, node->shift - walk->chunk_shift, index };
			TRY(node->shift == 0 ? damaged(walk, address, "a node below the last level",
						       index, size)
					     : walk_node(walk, slot, &place));
		} else if (!is_internal(walk, slot)) {
			TRY(give(walk, slot, index, size));
		}
	}
	return KIOKU_OK;
}

static enum kioku_status walk_node(struct walk *walk, uint64_t entry, const struct place *place)
{
	uint64_t address = entry & ~UINT64_C(3);
	unsigned shift = place->shift + walk->chunk_shift;
	uint64_t size = shift < 64 ? UINT64_C(1) << shift : UINT64_MAX;
	struct node node;

	if (!kernel_is_pointer(walk->kernel, address))
		return damaged(walk, address, "no pointer", place->base, size);
	switch (address_set_add(&walk->seen, address)) {
	case ADDRESS_NO_MEMORY: return error_no_memory(walk->error);
	case ADDRESS_KNOWN: return damaged(walk, address, "met before", place->base, size);
	case ADDRESS_ADDED: break;
	}
	if (walk->seen.count > NODE_LIMIT)
		return damaged(walk, address, "too many nodes", place->base, size);
	if (record_read(walk->kernel, walk->node, address, &node, NULL) != KIOKU_OK)
		return damaged(walk, address, "not in the image", place->base, size);
	bool is_root = place->shift == ROOT_SHIFT;
	if ((node.parent & ~UINT64_C(3)) != place->parent || node.shift % walk->chunk_shift != 0 ||
	    node.shift >= SHIFT_LIMIT ||
	    (!is_root && (node.shift != place->shift || node.offset != place->offset)))
		return damaged(walk, address, "not what leads to it says", place->base, size);
	return walk_slots(walk, &node, address, place->base);
}

static enum kioku_status walk_all(struct walk *walk, uint64_t xarray)
{
	const struct place root = { .shift = ROOT_SHIFT };
	uint64_t head = 0;

	TRY(begin(walk, xarray, &head));
	if (is_node(walk, head))
		return walk_node(walk, head, &root);
	return head && !is_internal(walk, head) ? give(walk, head, 0, 1) : KIOKU_OK;
}

static enum kioku_status each(struct kioku_kernel *kernel, uint64_t xarray, uint64_t first,
			      uint64_t last, const char *what, bool tells_losses,
			      xarray_fn *receive, void *user, struct kioku_error *error)
{
	CLEANUP(walk_release)
	struct walk walk = { .kernel = kernel,
			     .first = first,
			     .last = last,
			     .what = what,
			     .tells_losses = tells_losses,
			     .receive = receive,
			     .user = user,
			     .error = error };

	return walk_all(&walk, xarray);
}

enum kioku_status xarray_each(struct kioku_kernel *kernel, uint64_t xarray, uint64_t first,
			      uint64_t last, const char *what, xarray_fn *receive, void *user,
			      struct kioku_error *error)
{
	return each(kernel, xarray, first, last, what, false, receive, user, error);
}

enum kioku_status xarray_each_or_lost(struct kioku_kernel *kernel, uint64_t xarray, uint64_t first,
				      uint64_t last, const char *what, xarray_fn *receive,
				      void *user, struct kioku_error *error)
{
	return each(kernel, xarray, first, last, what, true, receive, user, error);
}

static enum kioku_status keep(void *user, const struct xarray_entry *entry)
{
	*(struct xarray_entry *)user = *entry;
	return KIOKU_OK;
}

enum kioku_status xarray_find(struct kioku_kernel *kernel, uint64_t xarray, uint64_t index,
			      struct xarray_entry *out, struct kioku_error *error)
{
	CLEANUP(walk_release)
	struct walk walk = { .kernel = kernel,
			     .first = index,
			     .last = index,
			     .receive = keep,
			     .user = out,
			     .error = error };

	out->count = 0;
	TRY(walk_all(&walk, xarray));
	return out->count > 0 ? KIOKU_OK
			      : error_set(error, KIOKU_ERROR_NOT_FOUND, "nothing at index %llu",
					  (unsigned long long)index);
}
