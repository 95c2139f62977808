/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pages that zswap has compressed in memory: mm/zswap.c, v4.18 to v7.0. */
#include <string.h>

#include "kernel/record.h"
#include "kernel/swap_area.h"
#include "kernel/xarray.h"
#include "kernel/zpool.h"

enum {
	TREE_SHIFT = 14, /* SWAP_ADDRESS_SPACE_SHIFT: slots of a tree, where an area has many */
	DEPTH_LIMIT = 128,
	HEADER_SIZE = 8, /* struct zswap_header, in pools that are "evictable" (until v6.5) */
	TFM_NAME = 128,
};

struct zswap_tree {
	uint64_t root;
};

static const struct member tree_members[] = { MEMBER(struct zswap_tree, root, "rbroot.rb_node") };
static const struct record tree_record = RECORD(struct zswap_tree, "zswap_tree", tree_members);

struct zswap_node {
	uint64_t left, right;
	uint64_t offset;
	uint64_t entry; /* since v6.7, instead of offset */
};

static const struct member node_members[] = {
	MEMBER(struct zswap_node, left, "rbnode.rb_left"),
	MEMBER(struct zswap_node, right, "rbnode.rb_right"),
	OPTIONAL(struct zswap_node, offset, "offset"),
	OPTIONAL(struct zswap_node, entry, "swpentry"),
};
static const struct record node_record = RECORD(struct zswap_node, "zswap_entry", node_members);

struct zswap_entry {
	uint64_t offset, entry;
	uint32_t length; /* 0: all words are value */
	uint64_t pool, handle, value;
};

static const struct member entry_members[] = {
	OPTIONAL(struct zswap_entry, offset, "offset"), /* until v6.6 */
	OPTIONAL(struct zswap_entry, entry, "swpentry"),
	MEMBER(struct zswap_entry, length, "length"),
	MEMBER(struct zswap_entry, pool, "pool"),
	MEMBER(struct zswap_entry, handle, "handle"),
	OPTIONAL(struct zswap_entry, value, "value"), /* until v6.11 */
};
static const struct record entry_record = RECORD(struct zswap_entry, "zswap_entry", entry_members);

struct zswap_pool {
	uint64_t zpool, zs_pool;
	char tfm_name[TFM_NAME];
};

static const struct member pool_members[] = {
	OPTIONAL(struct zswap_pool, zpool, "zpool"),
	OPTIONAL(struct zswap_pool, zs_pool, "zs_pool"), /* since v6.18 */
	MEMBER(struct zswap_pool, tfm_name, "tfm_name"),
};
static const struct record pool_record = RECORD(struct zswap_pool, "zswap_pool", pool_members);

static enum kioku_status no_entry(struct kioku_error *error)
{
	return error_set(error, KIOKU_ERROR_NOT_FOUND, "zswap does not have it");
}

/* --- a red-black tree for each area, or each 2^14 slots (v6.9) */

static enum kioku_status find_in_tree(struct kioku_kernel *kernel, uint64_t tree_address,
				      struct swap_slot slot, uint64_t *out,
				      struct kioku_error *error)
{
	const struct binding *trees, *nodes;
	struct zswap_tree tree;

	TRY(record_bind(kernel, &tree_record, &trees, error));
	TRY(record_bind(kernel, &node_record, &nodes, error));
	TRY(record_read(kernel, trees, tree_address, &tree, error));
	uint64_t at = tree.root;
	/* The node is the entry's first member (v4.18 to v6.9). */
	for (unsigned depth = 0; at; depth++) {
		struct zswap_node node;
		if (depth == DEPTH_LIMIT || !kernel_is_pointer(kernel, at))
			return error_at(error, KIOKU_ERROR_CORRUPT, at, "zswap's tree is damaged");
		TRY(record_read(kernel, nodes, at, &node, error));
		uint64_t offset = BINDING_HAS(nodes, struct zswap_node, entry)
					  ? node.entry & ((UINT64_C(1) << 58) - 1)
					  : node.offset;
		if (offset == slot.offset) {
			*out = at;
			return KIOKU_OK;
		}
		at = slot.offset < offset ? node.left : node.right;
	}
	return no_entry(error);
}

static enum kioku_status find_entry(struct kioku_kernel *kernel, struct swap_slot slot,
				    uint64_t *out, struct kioku_error *error)
{
	uint64_t trees = kernel_symbol(kernel, "zswap_trees"), tree;
	uint32_t type;

	if (!trees)
		return no_entry(error);
	TRY(address_read_u64(&kernel->space, trees + 8ull * slot.type, &tree, error));
	if (!tree)
		return no_entry(error);
	if (!kernel_is_pointer(kernel, tree))
		return error_set(error, KIOKU_ERROR_CORRUPT, "zswap's trees are damaged");
	bool is_many = kernel_symbol(kernel, "nr_zswap_trees") != 0;
	uint64_t index = is_many ? slot.offset >> TREE_SHIFT : 0;
	const char *element =
		kioku_types_find(kernel->types, "struct zswap_tree", &type, NULL) == KIOKU_OK
			? "struct zswap_tree"
			: "struct xarray";
	TRY(kioku_types_find(kernel->types, element, &type, error));
	tree += index * kioku_type_size(kernel->types, type);
	if (strcmp(element, "struct xarray") != 0)
		return find_in_tree(kernel, tree, slot, out, error);
	struct xarray_entry entry;
	TRY(xarray_find(kernel, tree, slot.offset, &entry, error));
	if (entry.is_value)
		return error_set(error, KIOKU_ERROR_CORRUPT, "zswap's tree is damaged");
	*out = entry.value;
	return KIOKU_OK;
}

static enum kioku_status read_pool(struct kioku_kernel *kernel, const struct zswap_pool *pool,
				   uint64_t handle, void *out, size_t size,
				   struct kioku_error *error)
{
	return pool->zs_pool ? zsmalloc_read(kernel, pool->zs_pool, handle, out, size, error)
			     : zpool_read(kernel, pool->zpool, handle, out, size, error);
}

static enum kioku_status read_entry(struct kioku_kernel *kernel, const struct zswap_entry *entry,
				    struct swap_slot slot, void *page, struct kioku_error *error)
{
	const struct binding *binding;
	uint8_t data[PAGE_SIZE + HEADER_SIZE], start[HEADER_SIZE];
	struct zswap_pool pool;

	if (entry->length > PAGE_SIZE)
		return error_set(error, KIOKU_ERROR_CORRUPT, "a page of %u compressed bytes",
				 entry->length);
	TRY(record_bind(kernel, &pool_record, &binding, error));
	TRY(record_read(kernel, binding, entry->pool, &pool, error));
	pool.tfm_name[TFM_NAME - 1] = '\0';
	size_t skip = 0;
	if (entry->length >= HEADER_SIZE || entry->length == 0) {
		TRY(read_pool(kernel, &pool, entry->handle, start, sizeof(start), error));
		if (load_le64(start) == swap_slot_value(slot))
			skip = HEADER_SIZE;
	}
	TRY(read_pool(kernel, &pool, entry->handle, data, entry->length + skip, error));
	if (entry->length == PAGE_SIZE) { /* it could not be made smaller */
		memcpy(page, data + skip, PAGE_SIZE);
		return KIOKU_OK;
	}
	return swap_decompress(pool.tfm_name, data + skip, entry->length, page, error);
}

static enum kioku_status read_slot(struct kioku_kernel *kernel, struct swap_slot slot, void *page,
				   struct kioku_error *error)
{
	const struct binding *binding;
	struct zswap_entry entry;
	uint64_t address = 0;

	TRY(find_entry(kernel, slot, &address, error));
	TRY(record_bind(kernel, &entry_record, &binding, error));
	TRY(record_read(kernel, binding, address, &entry, error));
	if (BINDING_HAS(binding, struct zswap_entry, entry) ? entry.entry != swap_slot_value(slot)
							    : entry.offset != slot.offset)
		return error_at(error, KIOKU_ERROR_CORRUPT, address,
				"zswap's entry is of another slot");
	if (entry.length == 0 && BINDING_HAS(binding, struct zswap_entry, value)) {
		swap_fill(page, entry.value);
		return KIOKU_OK;
	}
	return read_entry(kernel, &entry, slot, page, error);
}

enum kioku_status zswap_read(struct kioku_kernel *kernel, struct swap_slot slot, void *page,
			     struct kioku_error *error)
{
	struct kioku_error inner = { 0 };

	if (!kernel->types)
		return no_entry(error);
	enum kioku_status status = read_slot(kernel, slot, page, &inner);
	if (status == KIOKU_OK || status == KIOKU_ERROR_NOT_FOUND ||
	    status == KIOKU_ERROR_NO_MEMORY)
		return status == KIOKU_OK ? status : error_set(error, status, "%s", inner.message);
	return error_set(error, KIOKU_ERROR_PAGED_OUT, "zswap has it compressed in memory, but: %s",
			 inner.message);
}
