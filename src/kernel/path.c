/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "kernel/dynamic_name.h"
#include "kernel/path.h"

static const struct member path_members[] = {
	MEMBER(struct path, mount, "mnt"),
	MEMBER(struct path, dentry, "dentry"),
};
const struct record path_record = RECORD(struct path, "path", path_members);

static const struct member dentry_members[] = {
	MEMBER(struct dentry, parent, "d_parent"),
	MEMBER(struct dentry, inode, "d_inode"),
	MEMBER(struct dentry, operations, "d_op"),
	MEMBER(struct dentry, superblock, "d_sb"),
	MEMBER(struct dentry, private, "d_fsdata"),
	MEMBER(struct dentry, hash_link, "d_hash.pprev"),
	MEMBER(struct dentry, name, "d_name.name"),
	MEMBER(struct dentry, name_size, "d_name.len"),
	/* 58cf9c383c5c, v6.15 */
	MEMBER(struct dentry, inline_name, "d_shortname.string", "d_iname"),
};
const struct record dentry_record = RECORD(struct dentry, "dentry", dentry_members);

static const struct member mount_members[] = {
	MEMBER(struct mount, root, "mnt.mnt_root"),
	MEMBER(struct mount, superblock, "mnt.mnt_sb"),
	MEMBER(struct mount, flags, "mnt.mnt_flags"),
	MEMBER(struct mount, parent, "mnt_parent"),
	MEMBER(struct mount, mountpoint, "mnt_mountpoint"),
	MEMBER(struct mount, namespace, "mnt_ns"),
	MEMBER(struct mount, device_name, "mnt_devname"),
	MEMBER(struct mount, id, "mnt_id"),
	OPTIONAL(struct mount, master, "mnt_master"),
	OPTIONAL(struct mount, propagation, "mnt_t_flags"),
	OPTIONAL(struct mount, group, "mnt_group_id"),
};
const struct record mount_record = RECORD(struct mount, "mount", mount_members);

/* What paths need of one. */
static const struct member mount_place_members[] = {
	MEMBER(struct mount, root, "mnt.mnt_root"),
	MEMBER(struct mount, superblock, "mnt.mnt_sb"),
	MEMBER(struct mount, parent, "mnt_parent"),
	MEMBER(struct mount, mountpoint, "mnt_mountpoint"),
	MEMBER(struct mount, namespace, "mnt_ns"),
};
static const struct record mount_place_record = RECORD(struct mount, "mount", mount_place_members);

/* Where in a struct vfsmount its root is: what tells where in a struct mount the vfsmount is. */
struct vfsmount {
	uint64_t root;
};

static const struct member vfsmount_members[] = { MEMBER(struct vfsmount, root, "mnt_root") };
static const struct record vfsmount_record = RECORD(struct vfsmount, "vfsmount", vfsmount_members);

struct superblock_root {
	uint64_t root;
};

static const struct member superblock_members[] = {
	MEMBER(struct superblock_root, root, "s_root"),
};
static const struct record superblock_record =
	RECORD(struct superblock_root, "super_block", superblock_members);

enum kioku_status path_read(struct kioku_kernel *kernel, uint64_t address, struct path *out)
{
	return record_read_at(kernel, &path_record, address, out);
}

enum kioku_status dentry_read(struct kioku_kernel *kernel, uint64_t address, struct dentry *out)
{
	TRY(record_read_at(kernel, &dentry_record, address, out));
	out->address = address;
	return kernel_is_pointer(kernel, out->parent) && kernel_is_pointer(kernel, out->superblock)
		       ? KIOKU_OK
		       : KIOKU_ERROR_CORRUPT;
}

/* How far into a struct mount its struct vfsmount lies. */
static enum kioku_status vfsmount_offset(struct kioku_kernel *kernel, uint64_t *out)
{
	const struct binding *mount, *vfsmount;

	TRY(record_bind(kernel, &mount_place_record, &mount, NULL));
	TRY(record_bind(kernel, &vfsmount_record, &vfsmount, NULL));
	*out = BINDING_OFFSET(mount, struct mount, root) -
	       BINDING_OFFSET(vfsmount, struct vfsmount, root);
	return KIOKU_OK;
}

static enum kioku_status read_mount(struct kioku_kernel *kernel, const struct record *record,
				    uint64_t address, struct mount *out)
{
	uint64_t offset;

	TRY(vfsmount_offset(kernel, &offset));
	TRY(record_read_at(kernel, record, address, out));
	out->address = address;
	out->vfsmount = address + offset;
	return kernel_is_pointer(kernel, out->root) && kernel_is_pointer(kernel, out->parent) &&
			       kernel_is_pointer(kernel, out->superblock)
		       ? KIOKU_OK
		       : KIOKU_ERROR_CORRUPT;
}

enum kioku_status mount_read(struct kioku_kernel *kernel, uint64_t address, struct mount *out)
{
	/* T_UNBINDABLE of fs/mount.h, v6.17; before, MNT_UNBINDABLE of include/linux/mount.h. */
	const uint32_t unbindable = 2, older_unbindable = 0x2000;
	const struct binding *binding;

	TRY(record_bind(kernel, &mount_record, &binding, NULL));
	TRY(read_mount(kernel, &mount_record, address, out));
	out->is_unbindable = BINDING_HAS(binding, struct mount, propagation)
				     ? out->propagation & unbindable
				     : out->flags & older_unbindable;
	return KIOKU_OK;
}

enum kioku_status mount_of_vfsmount(struct kioku_kernel *kernel, uint64_t vfsmount,
				    struct mount *out)
{
	uint64_t offset;

	TRY(vfsmount_offset(kernel, &offset));
	return mount_read(kernel, vfsmount - offset, out);
}

/* --- names */

/* The bytes of a name, with the NUL that is always behind them. */
static enum kioku_status read_name(struct kioku_kernel *kernel, const struct dentry *dentry,
				   char *out)
{
	const struct binding *binding;
	size_t size = dentry->name_size;

	TRY(record_bind(kernel, &dentry_record, &binding, NULL));
	const struct bound_member *place =
		binding_member(binding, offsetof(struct dentry, inline_name));
	if (size == 0 || size > NAME_LIMIT)
		return KIOKU_ERROR_CORRUPT;
	if (dentry->name == dentry->address + place->offset) {
		if (size >= place->size)
			return KIOKU_ERROR_CORRUPT;
		memcpy(out, dentry->inline_name, size + 1);
		return KIOKU_OK;
	}
	if (!kernel_is_pointer(kernel, dentry->name))
		return KIOKU_ERROR_CORRUPT;
	return kernel_read(kernel, dentry->name, out, size + 1, NULL);
}

static enum kioku_status name_of(struct kioku_kernel *kernel, const struct dentry *dentry,
				 bool may_have_slashes, char *out, size_t *size)
{
	char name[NAME_LIMIT + 1];

	TRY(read_name(kernel, dentry, name));
	*size = dentry->name_size;
	if (memchr(name, 0, *size + 1) != name + *size ||
	    (!may_have_slashes && memchr(name, '/', *size)))
		return KIOKU_ERROR_CORRUPT;
	memcpy(out, name, *size);
	return KIOKU_OK;
}

enum kioku_status dentry_name(struct kioku_kernel *kernel, const struct dentry *dentry, char *out,
			      size_t *size)
{
	return name_of(kernel, dentry, false, out, size);
}

enum kioku_status dentry_label(struct kioku_kernel *kernel, const struct dentry *dentry, char *out,
			       size_t *size)
{
	return name_of(kernel, dentry, true, out, size);
}

/* --- paths */

/* A text that grows in front: it is built at the end of its room, and moved when it is whole. */
struct climb {
	struct kioku_kernel *kernel;
	struct path_text *out;
	unsigned steps;
	uint64_t mark; /* a dentry that was passed: whoever comes by it again goes round */
};

static enum kioku_status prepend(struct path_text *out, const char *text, size_t size)
{
	if (size > PATH_ROOM - out->size)
		return KIOKU_ERROR_LIMIT;
	out->size += size;
	memcpy(out->data + PATH_ROOM - out->size, text, size);
	return KIOKU_OK;
}

static enum kioku_status finish(struct path_text *out)
{
	if (out->size == 0)
		TRY(prepend(out, "/", 1));
	memmove(out->data, out->data + PATH_ROOM - out->size, out->size);
	return KIOKU_OK;
}

/* From a dentry to the one above it. */
static enum kioku_status step_up(struct climb *climb, struct dentry *at)
{
	char name[NAME_LIMIT];
	size_t size;
	uint64_t superblock = at->superblock;

	if (climb->steps++ == PATH_STEPS)
		return KIOKU_ERROR_CORRUPT;
	/* Brent's algorithm: a set of all of them, as lists have, would be one for each path. */
	if ((climb->steps & (climb->steps - 1)) == 0)
		climb->mark = at->address;
	TRY(dentry_name(climb->kernel, at, name, &size));
	TRY(prepend(climb->out, name, size));
	TRY(prepend(climb->out, "/", 1));
	TRY(dentry_read(climb->kernel, at->parent, at));
	return at->superblock == superblock && at->address != climb->mark ? KIOKU_OK
									  : KIOKU_ERROR_CORRUPT;
}

static bool is_filesystem_root(struct kioku_kernel *kernel, const struct dentry *dentry)
{
	struct superblock_root superblock;

	return record_read_at(kernel, &superblock_record, dentry->superblock, &superblock) ==
		       KIOKU_OK &&
	       superblock.root == dentry->address;
}

static enum kioku_status climb_dentry(struct climb *climb, uint64_t address)
{
	struct kioku_kernel *kernel = climb->kernel;
	struct path_text *out = climb->out;
	struct dentry at;

	TRY(dentry_read(kernel, address, &at));
	if (at.parent == at.address && !is_filesystem_root(kernel, &at)) {
		bool has_one;
		TRY(dynamic_name(kernel, &at, out, &has_one));
		if (has_one)
			return KIOKU_OK;
	}
	out->deleted = dentry_is_deleted(&at);
	while (at.parent != at.address)
		TRY(step_up(climb, &at));
	out->is_whole = is_filesystem_root(kernel, &at);
	return finish(out);
}

static enum kioku_status emptied_unless(enum kioku_status status, struct path_text *out)
{
	if (status != KIOKU_OK)
		out->size = 0;
	return status;
}

static void begin(struct path_text *out)
{
	out->size = 0;
	out->kind = NAME_PATH;
	out->deleted = out->is_whole = false;
}

enum kioku_status path_of_dentry(struct kioku_kernel *kernel, uint64_t dentry,
				 struct path_text *out)
{
	struct climb climb = { .kernel = kernel, .out = out };

	begin(out);
	return emptied_unless(climb_dentry(&climb, dentry), out);
}

/* From the root of a mount to where it is mounted. False: nothing is above. */
static enum kioku_status step_out(struct climb *climb, struct mount *mount, struct dentry *at,
				  bool *is_top)
{
	uint64_t mountpoint = mount->mountpoint;

	if (climb->steps++ == PATH_STEPS)
		return KIOKU_ERROR_CORRUPT;
	*is_top = mount->parent == mount->address;
	if (*is_top)
		return KIOKU_OK;
	/* Mounts may well be at what they show. */
	climb->mark = 0;
	TRY(read_mount(climb->kernel, &mount_place_record, mount->parent, mount));
	TRY(dentry_read(climb->kernel, mountpoint, at));
	return at->superblock == mount->superblock ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}

/* As prepend_path() of fs/d_path.c. */
static enum kioku_status climb_mounts(struct climb *climb, struct mount *mount, struct dentry *at,
				      const struct path *root)
{
	bool is_top = false;

	while (!root || at->address != root->dentry || mount->vfsmount != root->mount) {
		if (at->address == mount->root) {
			TRY(step_out(climb, mount, at, &is_top));
			if (!is_top)
				continue;
			/* A mount that was detached is in no namespace. */
			climb->out->is_whole =
				!root && kernel_is_pointer(climb->kernel, mount->namespace);
			return finish(climb->out);
		}
		if (at->parent == at->address) {
			/* Moved out of what the mount shows, or opened without a name. */
			climb->out->size = 0;
			return finish(climb->out);
		}
		TRY(step_up(climb, at));
	}
	climb->out->is_whole = true;
	return finish(climb->out);
}

static enum kioku_status start_climb(struct climb *climb, const struct path *path,
				     const struct path *root)
{
	struct mount mount;
	struct dentry at;
	uint64_t offset;

	TRY(vfsmount_offset(climb->kernel, &offset));
	TRY(dentry_read(climb->kernel, path->dentry, &at));
	TRY(read_mount(climb->kernel, &mount_place_record, path->mount - offset, &mount));
	if (at.superblock != mount.superblock)
		return KIOKU_ERROR_CORRUPT;
	/* Such names are of dentries that hang in no tree (d_alloc_pseudo(), d_alloc_anon(), fs/dcache.c). */
	if (at.parent == at.address && at.address != mount.root) {
		bool has_one;
		TRY(dynamic_name(climb->kernel, &at, climb->out, &has_one));
		if (has_one)
			return KIOKU_OK;
	}
	climb->out->deleted = dentry_is_deleted(&at);
	return climb_mounts(climb, &mount, &at, root);
}

enum kioku_status path_of(struct kioku_kernel *kernel, const struct path *path,
			  const struct path *root, struct path_text *out)
{
	struct climb climb = { .kernel = kernel, .out = out };

	begin(out);
	return emptied_unless(start_climb(&climb, path, root), out);
}

void path_mark_deleted(struct path_text *text)
{
	static const char mark[] = " (deleted)";

	if (!text->deleted || sizeof(mark) - 1 > PATH_ROOM - text->size)
		return;
	memcpy(text->data + text->size, mark, sizeof(mark) - 1);
	text->size += sizeof(mark) - 1;
}
