/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check/memory_owners.h"

#include "base/address_set.h"
#include "kernel/inode.h"
#include "kernel/rbtree.h"

struct mapped_file {
	uint64_t first; /* struct rb_node */
};

static const struct member file_members[] = {
	MEMBER(struct mapped_file, first, "i_mmap.rb_root.rb_node"),
};
static const struct record file_record = RECORD(struct mapped_file, "address_space", file_members);

struct mapping_of_file {
	uint64_t space;
	uint8_t node; /* where it is matters only */
};

static const struct member mapping_members[] = {
	MEMBER(struct mapping_of_file, space, "vm_mm"),
	OPTIONAL(struct mapping_of_file, node, "shared.rb"),
};
static const struct record mapping_record =
	RECORD(struct mapping_of_file, "vm_area_struct", mapping_members);

struct space {
	uint64_t owner;
};

static const struct member space_members[] = { OPTIONAL(struct space, owner, "owner") };
static const struct record space_record = RECORD(struct space, "mm_struct", space_members);

struct walk {
	struct kioku_kernel *kernel;
	const struct binding *file, *mapping, *space;
	struct address_set seen; /* address spaces */
	memory_owner_fn *receive;
	void *user;
};

static void walk_release(struct walk *walk)
{
	address_set_release(&walk->seen);
}

static enum kioku_status look_at_mapping(struct walk *walk, uint64_t address)
{
	struct mapping_of_file mapping;
	struct space space;

	if (record_read(walk->kernel, walk->mapping, address, &mapping, NULL) != KIOKU_OK ||
	    !kernel_is_pointer(walk->kernel, mapping.space))
		return KIOKU_OK;
	switch (address_set_add(&walk->seen, mapping.space)) {
	case ADDRESS_NO_MEMORY: return KIOKU_ERROR_NO_MEMORY;
	case ADDRESS_KNOWN: return KIOKU_OK;
	case ADDRESS_ADDED: break;
	}
	if (record_read(walk->kernel, walk->space, mapping.space, &space, NULL) != KIOKU_OK ||
	    !kernel_is_pointer(walk->kernel, space.owner))
		return KIOKU_OK;
	return walk->receive(walk->user, space.owner);
}

static enum kioku_status look_at_inode(void *user, const struct inode *inode)
{
	struct walk *walk = user;
	AUTO_RB_WALK struct rb_walk tree = { 0 };
	struct mapped_file file;
	uint64_t node;

	if (!kernel_is_pointer(walk->kernel, inode->mapping) ||
	    record_read(walk->kernel, walk->file, inode->mapping, &file, NULL) != KIOKU_OK ||
	    file.first == 0)
		return KIOKU_OK;
	rb_begin(&tree, walk->kernel, file.first, "tree of mappings of a file");
	while (rb_next(&tree, &node))
		TRY(look_at_mapping(walk, node - BINDING_OFFSET(walk->mapping,
								struct mapping_of_file, node)));
	return KIOKU_OK;
}

static enum kioku_status look_at_superblock(void *user, const struct superblock *superblock)
{
	struct walk *walk = user;

	return inode_each(walk->kernel, superblock, look_at_inode, walk, NULL);
}

enum kioku_status memory_owners_each(struct kioku_kernel *kernel, memory_owner_fn *receive,
				     void *user, struct kioku_error *error)
{
	CLEANUP(walk_release)
	struct walk walk = { .kernel = kernel, .receive = receive, .user = user };

	TRY(record_bind(kernel, &file_record, &walk.file, error));
	TRY(record_bind(kernel, &mapping_record, &walk.mapping, error));
	TRY(record_bind(kernel, &space_record, &walk.space, error));
	if (!BINDING_HAS(walk.space, struct space, owner))
		return KIOKU_OK;
	return superblock_each(kernel, look_at_superblock, &walk, error);
}
