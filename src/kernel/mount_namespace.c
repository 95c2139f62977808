/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "kernel/list.h"
#include "kernel/mount_namespace.h"
#include "kernel/rbtree.h"

struct proxy {
	uint64_t mounts;
};

static const struct member proxy_members[] = { MEMBER(struct proxy, mounts, "mnt_ns") };
static const struct record proxy_record = RECORD(struct proxy, "nsproxy", proxy_members);

static const struct member namespace_members[] = {
	MEMBER(struct mount_namespace, root, "root"),
	MEMBER(struct mount_namespace, inode, "ns.inum"),
	OPTIONAL(struct mount_namespace, list_next, "list.next"),
	OPTIONAL(struct mount_namespace, tree, "mounts.rb_node"), /* 2eea9ce4310d, v6.8 */
	OPTIONAL(struct mount_namespace, count, "nr_mounts", "mounts"),
};
const struct record mount_namespace_record =
	RECORD(struct mount_namespace, "mnt_namespace", namespace_members);

/* Where in a struct mount its links are. */
struct mount_links {
	uint64_t list_next, tree;
};

static const struct member links_members[] = {
	OPTIONAL(struct mount_links, list_next, "mnt_list.next"),
	OPTIONAL(struct mount_links, tree, "mnt_node.__rb_parent_color"),
};
static const struct record links_record = RECORD(struct mount_links, "mount", links_members);

static const struct member tmpfs_members[] = {
	MEMBER(struct tmpfs_options, blocks, "max_blocks"),
	MEMBER(struct tmpfs_options, inodes, "max_inodes"),
	MEMBER(struct tmpfs_options, uid, "uid"),
	MEMBER(struct tmpfs_options, gid, "gid"),
	MEMBER(struct tmpfs_options, mode, "mode"),
	OPTIONAL(struct tmpfs_options, huge, "huge"),
	OPTIONAL(struct tmpfs_options, inodes_are_64, "full_inums"),
	OPTIONAL(struct tmpfs_options, noswap, "noswap"),
};
static const struct record tmpfs_record =
	RECORD(struct tmpfs_options, "shmem_sb_info", tmpfs_members);

enum kioku_status mount_namespace_of(struct kioku_kernel *kernel, uint64_t proxy,
				     struct mount_namespace *out)
{
	struct proxy namespaces;

	TRY(record_read_at(kernel, &proxy_record, proxy, &namespaces));
	TRY(record_read_at(kernel, &mount_namespace_record, namespaces.mounts, out));
	out->address = namespaces.mounts;
	return KIOKU_OK;
}

/* --- all mounts */

struct mount_walk {
	struct kioku_kernel *kernel;
	const struct mount_namespace *namespace;
	mount_fn *receive;
	void *user;
	uint32_t count;
};

/* Whether there is a mount of this namespace; if not, why. */
static const char *check_mount(const struct mount_walk *walk, uint64_t address, struct mount *out)
{
	enum kioku_status status = mount_read(walk->kernel, address, out);

	if (status != KIOKU_OK)
		return kioku_status_name(status);
	return out->namespace == walk->namespace->address ? NULL : "of another namespace";
}

static enum kioku_status give_mount(struct mount_walk *walk, const struct mount *mount)
{
	walk->count++;
	return walk->receive(walk->user, mount);
}

static enum kioku_status walk_list(struct mount_walk *walk, uint64_t head, uint64_t offset,
				   const char *what)
{
	/* A reader's place in the list (MNT_CURSOR, v5.8 to v6.7), which is no mount. */
	const uint32_t cursor = 0x10000000;
	const struct binding *binding;
	AUTO_LIST_WALK struct list_walk list = { 0 };
	struct mount mount;
	uint64_t node;

	TRY(record_bind(walk->kernel, &mount_record, &binding, NULL));
	list_begin(&list, walk->kernel, head, what);
	while (list_next(&list, &node)) {
		const char *flaw = check_mount(walk, node - offset, &mount);
		if (mount.flags & cursor && !mount.root)
			continue;
		if (flaw)
			list_reject(&list, flaw);
		else
			TRY(give_mount(walk, &mount));
	}
	return KIOKU_OK;
}

static enum kioku_status walk_tree(struct mount_walk *walk, uint64_t offset, const char *what)
{
	AUTO_RB_WALK struct rb_walk tree;
	struct mount mount;
	uint64_t node;

	rb_begin(&tree, walk->kernel, walk->namespace->tree, what);
	while (rb_next(&tree, &node)) {
		const char *flaw = check_mount(walk, node - offset, &mount);
		if (flaw)
			diagnose(&walk->kernel->diagnostics, KIOKU_GAP, "%s: 0x%llx: %s", what,
				 (unsigned long long)node, flaw);
		else
			TRY(give_mount(walk, &mount));
	}
	return KIOKU_OK;
}

enum kioku_status mount_namespace_each(struct kioku_kernel *kernel,
				       const struct mount_namespace *namespace, mount_fn *receive,
				       void *user, struct kioku_error *error)
{
	struct mount_walk walk = {
		.kernel = kernel, .namespace = namespace, .receive = receive, .user = user
	};
	const struct binding *binding, *links;
	char what[64];

	snprintf(what, sizeof(what), "mounts of namespace %u", namespace->inode);
	TRY(record_bind(kernel, &mount_namespace_record, &binding, error));
	TRY(record_bind(kernel, &links_record, &links, error));
	if (BINDING_HAS(binding, struct mount_namespace, tree) &&
	    BINDING_HAS(links, struct mount_links, tree))
		TRY(walk_tree(&walk, BINDING_OFFSET(links, struct mount_links, tree), what));
	else if (BINDING_HAS(binding, struct mount_namespace, list_next) &&
		 BINDING_HAS(links, struct mount_links, list_next))
		TRY(walk_list(&walk,
			      namespace->address +
				      BINDING_OFFSET(binding, struct mount_namespace, list_next),
			      BINDING_OFFSET(links, struct mount_links, list_next), what));
	else
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "struct mnt_namespace has no mounts that can be read");
	if (BINDING_HAS(binding, struct mount_namespace, count) && walk.count != namespace->count)
		diagnose(&kernel->diagnostics, KIOKU_GAP, "%s: %u found, but it counts %u", what,
			 walk.count, namespace->count);
	return KIOKU_OK;
}

/* --- file systems */

/* shmem_default_max_blocks() of mm/shmem.c, v4.18 to v7.0; without highmem they are the same. */
static void set_defaults(struct kioku_kernel *kernel, struct tmpfs_options *out)
{
	uint64_t total = kernel_symbol(kernel, "_totalram_pages"), pages; /* v5.0 on */
	uint8_t raw[8];

	out->default_blocks = out->default_inodes = 0;
	if (!total || kernel_read(kernel, total, raw, sizeof(raw), NULL) != KIOKU_OK)
		return;
	pages = load_le64(raw);
	out->default_blocks = out->default_inodes = pages / 2;
}

enum kioku_status tmpfs_read(struct kioku_kernel *kernel, const struct superblock *superblock,
			     struct tmpfs_options *out)
{
	const uint64_t magic = 0x01021994; /* TMPFS_MAGIC, include/uapi/linux/magic.h */

	if (superblock->magic != magic)
		return KIOKU_ERROR_NOT_FOUND;
	TRY(record_read_at(kernel, &tmpfs_record, superblock->private, out));
	set_defaults(kernel, out);
	return KIOKU_OK;
}
