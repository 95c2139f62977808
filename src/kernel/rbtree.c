/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/rbtree.h"

/* More nodes than any tree that a view walks. */
#define NODE_LIMIT (1u << 23)

struct links {
	uint64_t parent; /* with the colour in its lowest bits (include/linux/rbtree_types.h) */
	uint64_t right, left;
};

static const struct member links_members[] = {
	MEMBER(struct links, parent, "__rb_parent_color"),
	MEMBER(struct links, right, "rb_right"),
	MEMBER(struct links, left, "rb_left"),
};
static const struct record links_record = RECORD(struct links, "rb_node", links_members);

static bool read_links(struct rb_walk *walk, uint64_t node, struct links *out)
{
	const struct binding *binding;

	if (record_bind(walk->kernel, &links_record, &binding, NULL) != KIOKU_OK || node % 8 ||
	    !kernel_is_pointer(walk->kernel, node) ||
	    record_read(walk->kernel, binding, node, out, NULL) != KIOKU_OK)
		return false;
	out->parent &= ~(uint64_t)3;
	return true;
}

static void cut(const struct rb_walk *walk, uint64_t node, const char *why)
{
	diagnose(&walk->kernel->diagnostics, KIOKU_GAP,
		 "%s: damaged at 0x%llx (%s), what is below it is lost", walk->what,
		 (unsigned long long)node, why);
}

/* Puts a node and all that is to its left on the stack, as far as it is sound. */
static void push_left(struct rb_walk *walk, uint64_t node, uint64_t parent)
{
	struct links links;

	for (; node; parent = node, node = links.left) {
		if (!read_links(walk, node, &links))
			return cut(walk, node, "unreadable");
		if (links.parent != parent)
			return cut(walk, node, "it has another parent");
		if (walk->depth == RB_HEIGHT || walk->seen.count == NODE_LIMIT)
			return cut(walk, node, "it does not end");
		if (address_set_add(&walk->seen, node) != ADDRESS_ADDED)
			return cut(walk, node, "it runs in a circle");
		walk->stack[walk->depth++] = node;
	}
}

void rb_begin(struct rb_walk *walk, struct kioku_kernel *kernel, uint64_t first, const char *what)
{
	*walk = (struct rb_walk){ .kernel = kernel, .what = what };
	push_left(walk, first, 0);
}

bool rb_next(struct rb_walk *walk, uint64_t *node)
{
	struct links links;

	if (walk->depth == 0)
		return false;
	*node = walk->stack[--walk->depth];
	if (read_links(walk, *node, &links))
		push_left(walk, links.right, *node);
	return true;
}

void rb_end(struct rb_walk *walk)
{
	address_set_release(&walk->seen);
}
