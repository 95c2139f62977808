/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/superblock.h"

#include <stdio.h>
#include <string.h>

#include "kernel/path.h"

static const struct member superblock_members[] = {
	MEMBER(struct superblock, list_next, "s_list.next"),
	MEMBER(struct superblock, inodes_next, "s_inodes.next"),
	MEMBER(struct superblock, device, "s_dev"),
	MEMBER(struct superblock, type, "s_type"),
	MEMBER(struct superblock, root, "s_root"),
	MEMBER(struct superblock, id, "s_id"),
	MEMBER(struct superblock, private, "s_fs_info"),
	MEMBER(struct superblock, flags, "s_flags"),
	MEMBER(struct superblock, magic, "s_magic"),
	OPTIONAL(struct superblock, subtype, "s_subtype"),
	/* A list of its own since v6.18. */
	OPTIONAL(struct superblock, mount, "s_mounts"),
	OPTIONAL(struct superblock, mounts_first, "s_mounts.next"),
};
const struct record superblock_record =
	RECORD(struct superblock, "super_block", superblock_members);

struct filesystem_type {
	uint64_t name;
};

static const struct member type_members[] = { MEMBER(struct filesystem_type, name, "name") };
static const struct record type_record =
	RECORD(struct filesystem_type, "file_system_type", type_members);

/* Where in a struct mount the link to the next one of its superblock is. */
struct mount_link {
	uint64_t list_next, next;
};

static const struct member link_members[] = {
	OPTIONAL(struct mount_link, list_next, "mnt_instance.next"),
	OPTIONAL(struct mount_link, next, "mnt_next_for_sb"),
};
static const struct record link_record = RECORD(struct mount_link, "mount", link_members);

/* A name that the kernel's own code chose: short, and printable. */
static enum kioku_status read_name(struct kioku_kernel *kernel, uint64_t address, char *out,
				   size_t room)
{
	size_t size;

	TRY(kernel_read_string(kernel, address, out, room, &size));
	for (size_t i = 0; i < size; i++)
		if (out[i] <= ' ' || out[i] > '~' || out[i] == '/')
			return KIOKU_ERROR_CORRUPT;
	return size > 0 ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}

static enum kioku_status read_fstype(struct kioku_kernel *kernel, struct superblock *superblock)
{
	const struct binding *binding;
	struct filesystem_type type;
	char name[FSTYPE_ROOM / 2], subtype[FSTYPE_ROOM / 2];

	TRY(record_bind(kernel, &type_record, &binding, NULL));
	if (!kernel_is_pointer(kernel, superblock->type))
		return KIOKU_ERROR_CORRUPT;
	TRY(record_read(kernel, binding, superblock->type, &type, NULL));
	TRY(read_name(kernel, type.name, name, sizeof(name)));
	bool has_subtype = superblock->subtype && read_name(kernel, superblock->subtype, subtype,
							    sizeof(subtype)) == KIOKU_OK;
	snprintf(superblock->fstype, FSTYPE_ROOM, "%s%s%s", name, has_subtype ? "." : "",
		 has_subtype ? subtype : "");
	return KIOKU_OK;
}

enum kioku_status superblock_read(struct kioku_kernel *kernel, uint64_t address,
				  struct superblock *out)
{
	const struct binding *binding;

	TRY(record_bind(kernel, &superblock_record, &binding, NULL));
	if (address % 8 || !kernel_is_pointer(kernel, address))
		return KIOKU_ERROR_CORRUPT;
	TRY(record_read(kernel, binding, address, out, NULL));
	out->address = address;
	out->id[sizeof(out->id) - 1] = '\0';
	return read_fstype(kernel, out);
}

enum kioku_status superblock_each(struct kioku_kernel *kernel, superblock_fn *receive, void *user,
				  struct kioku_error *error)
{
	AUTO_LIST_WALK struct list_walk walk = { 0 };
	const struct binding *binding;
	uint64_t node, head = kernel_symbol(kernel, "super_blocks");

	TRY(record_bind(kernel, &superblock_record, &binding, error));
	if (!head)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "the symbol super_blocks is not known");
	list_begin(&walk, kernel, head, "list of file systems");
	while (list_next(&walk, &node)) {
		struct superblock superblock;
		uint64_t address = node - BINDING_OFFSET(binding, struct superblock, list_next);
		if (superblock_read(kernel, address, &superblock) != KIOKU_OK)
			list_reject(&walk, "no struct super_block");
		else
			TRY(receive(user, &superblock));
	}
	return KIOKU_OK;
}

/* The path of one mount, if anybody can see it. */
static enum kioku_status mountpoint_of(struct kioku_kernel *kernel, uint64_t address,
				       const struct superblock *superblock, struct path_text *out)
{
	struct mount mount;

	TRY(mount_read(kernel, address, &mount));
	if (mount.superblock != superblock->address)
		return KIOKU_ERROR_CORRUPT;
	if (!kernel_is_pointer(kernel, mount.namespace))
		return KIOKU_ERROR_NOT_FOUND;
	const struct path path = { .mount = mount.vfsmount, .dentry = mount.root };
	TRY(path_of(kernel, &path, NULL, out));
	return out->is_whole ? KIOKU_OK : KIOKU_ERROR_NOT_FOUND;
}

/* More than anybody looks at: each container may have its own mount of one file system. */
#define MOUNT_LIMIT 256

static enum kioku_status first_of_list(struct kioku_kernel *kernel,
				       const struct superblock *superblock, uint64_t head,
				       uint64_t offset, struct path_text *out)
{
	AUTO_LIST_WALK struct list_walk walk;
	uint64_t node;

	list_begin(&walk, kernel, head, "mounts of a file system");
	for (unsigned i = 0; i < MOUNT_LIMIT && list_next(&walk, &node); i++)
		if (mountpoint_of(kernel, node - offset, superblock, out) == KIOKU_OK)
			return KIOKU_OK;
	return KIOKU_ERROR_NOT_FOUND;
}

enum kioku_status superblock_mountpoint(struct kioku_kernel *kernel,
					const struct superblock *superblock, struct path_text *out)
{
	const struct binding *binding, *link;
	uint64_t mount = superblock->mount;

	TRY(record_bind(kernel, &superblock_record, &binding, NULL));
	TRY(record_bind(kernel, &link_record, &link, NULL));
	if (BINDING_HAS(binding, struct superblock, mounts_first) &&
	    BINDING_HAS(link, struct mount_link, list_next))
		return first_of_list(kernel, superblock,
				     superblock->address + BINDING_OFFSET(binding,
									  struct superblock,
									  mounts_first),
				     BINDING_OFFSET(link, struct mount_link, list_next), out);
	for (unsigned i = 0; i < MOUNT_LIMIT && kernel_is_pointer(kernel, mount); i++) {
		struct mount_link next;
		if (mountpoint_of(kernel, mount, superblock, out) == KIOKU_OK)
			return KIOKU_OK;
		TRY(record_read(kernel, link, mount, &next, NULL));
		mount = next.next;
	}
	return KIOKU_ERROR_NOT_FOUND;
}
