/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/cgroup_path.h"

#include <stdio.h>
#include <string.h>

#include "base/growing.h"

enum {
	HIERARCHY_LIMIT = 64,
	LINK_LIMIT = 256,
	DEPTH_LIMIT = 256,
	NAME_ROOM = 256, /* NAME_MAX */
	PATH_LIMIT = 4096,
	SUBSYSTEMS = 32, /* bits of subsys_mask, at most */
	EXITING = 4,     /* PF_EXITING, include/linux/sched.h */
	CSS_ONLINE = 2,  /* include/linux/cgroup-defs.h */
};

struct membership {
	uint64_t set;
};

static const struct member membership_members[] = { MEMBER(struct membership, set, "cgroups") };
static const struct record membership_record =
	RECORD(struct membership, "task_struct", membership_members);

struct set {
	uint64_t default_cgroup, links_next;
};

static const struct member set_members[] = {
	MEMBER(struct set, default_cgroup, "dfl_cgrp"),
	MEMBER(struct set, links_next, "cgrp_links.next"),
};
static const struct record set_record = RECORD(struct set, "css_set", set_members);

struct link {
	uint64_t cgroup, set, next;
};

static const struct member link_members[] = {
	MEMBER(struct link, cgroup, "cgrp"),
	MEMBER(struct link, set, "cset"),
	MEMBER(struct link, next, "cgrp_link.next"),
};
static const struct record link_record = RECORD(struct link, "cgrp_cset_link", link_members);

struct root {
	uint64_t next;
	uint32_t subsystems;
	int32_t number;
	char name[64];
};

static const struct member root_members[] = {
	MEMBER(struct root, next, "root_list.next"),
	MEMBER(struct root, subsystems, "subsys_mask"),
	MEMBER(struct root, number, "hierarchy_id"),
	MEMBER(struct root, name, "name"),
};
static const struct record root_record = RECORD(struct root, "cgroup_root", root_members);

struct cgroup {
	uint64_t root, node;
	uint32_t flags;
};

static const struct member cgroup_members[] = {
	MEMBER(struct cgroup, root, "root"),
	MEMBER(struct cgroup, node, "kn"),
	MEMBER(struct cgroup, flags, "self.flags"),
};
static const struct record cgroup_record = RECORD(struct cgroup, "cgroup", cgroup_members);

struct node {
	uint64_t parent, name;
};

static const struct member node_members[] = {
	MEMBER(struct node, parent, "__parent", "parent"), /* v6.15 */
	MEMBER(struct node, name, "name"),
};
static const struct record node_record = RECORD(struct node, "kernfs_node", node_members);

struct subsystem {
	uint64_t name;
};

static const struct member subsystem_members[] = {
	MEMBER(struct subsystem, name, "legacy_name", "name"),
};
static const struct record subsystem_record =
	RECORD(struct subsystem, "cgroup_subsys", subsystem_members);

/* --- hierarchies */

static enum kioku_status subsystem_name(struct kioku_kernel *kernel, unsigned number, char *out,
					size_t room)
{
	uint64_t table = kernel_symbol(kernel, "cgroup_subsys"), address;
	struct subsystem subsystem;
	size_t size;

	if (!table)
		return KIOKU_ERROR_UNSUPPORTED;
	TRY(address_read_u64(&kernel->space, table + 8ull * number, &address, NULL));
	TRY(record_read_at(kernel, &subsystem_record, address, &subsystem));
	return kernel_read_string(kernel, subsystem.name, out, room, &size);
}

static void append(struct cgroup_hierarchy *hierarchy, const char *first, const char *second)
{
	size_t used = strlen(hierarchy->title);

	snprintf(hierarchy->title + used, sizeof(hierarchy->title) - used, "%s%s", first, second);
}

/* proc_cgroup_show(), kernel/cgroup/cgroup.c, v4.18 to v7.0. */
static enum kioku_status make_title(struct kioku_kernel *kernel, const struct root *root,
				    struct cgroup_hierarchy *hierarchy)
{
	char name[64];
	const char *comma = "";

	snprintf(hierarchy->title, sizeof(hierarchy->title), "%d:", root->number);
	for (unsigned i = 0; i < SUBSYSTEMS && !hierarchy->is_default; i++) {
		if (!(root->subsystems >> i & 1))
			continue;
		TRY(subsystem_name(kernel, i, name, sizeof(name)));
		append(hierarchy, comma, name);
		comma = ",";
	}
	if (root->name[0]) {
		append(hierarchy, comma, "name=");
		append(hierarchy, root->name, "");
	}
	append(hierarchy, ":", "");
	return KIOKU_OK;
}

/* Version 2 is always there, and shown once somebody has mounted it. */
static bool is_visible(struct kioku_kernel *kernel, const struct cgroup_hierarchy *hierarchy)
{
	uint64_t address = kernel_symbol(kernel, "cgrp_dfl_visible");
	uint8_t visible;

	return !hierarchy->is_default || !address ||
	       kernel_read(kernel, address, &visible, 1, NULL) != KIOKU_OK || visible;
}

static enum kioku_status read_hierarchy(struct kioku_kernel *kernel, uint64_t address,
					struct cgroup_hierarchy *out)
{
	struct kioku_member top;
	struct root root;
	uint32_t id;

	TRY(record_read_at(kernel, &root_record, address, &root));
	if (!memchr(root.name, 0, sizeof(root.name)))
		return KIOKU_ERROR_CORRUPT;
	TRY(kioku_types_find(kernel->types, "struct cgroup_root", &id, NULL));
	TRY(kioku_type_member(kernel->types, id, "cgrp", &top, NULL));
	*out = (struct cgroup_hierarchy){
		.root = address,
		.top = address + top.bit_offset / 8,
		.is_default = address == kernel_symbol(kernel, "cgrp_dfl_root"),
	};
	return make_title(kernel, &root, out);
}

static enum kioku_status read_hierarchies(struct kioku_kernel *kernel, struct cgroups *out)
{
	AUTO_LIST_WALK struct list_walk walk = { 0 };
	const struct binding *binding;
	uint64_t head = kernel_symbol(kernel, "cgroup_roots"), node;

	if (!head)
		return KIOKU_ERROR_UNSUPPORTED;
	TRY(record_bind(kernel, &root_record, &binding, NULL));
	list_begin(&walk, kernel, head, "list of cgroup hierarchies");
	for (size_t i = 0; i < HIERARCHY_LIMIT && list_next(&walk, &node); i++) {
		struct cgroup_hierarchy hierarchy;
		uint64_t address = node - BINDING_OFFSET(binding, struct root, next);
		if (read_hierarchy(kernel, address, &hierarchy) != KIOKU_OK) {
			list_reject(&walk, "what it leads to is no hierarchy");
			continue;
		}
		if (!is_visible(kernel, &hierarchy))
			continue;
		if (!GROW(out->list, out->count, out->capacity))
			return KIOKU_ERROR_NO_MEMORY;
		out->list[out->count++] = hierarchy;
	}
	return KIOKU_OK;
}

enum kioku_status cgroups_open(struct kioku_kernel *kernel, struct cgroups **out)
{
	CLEANUP(cleanup_cgroups) struct cgroups *cgroups = calloc(1, sizeof(*cgroups));

	if (!cgroups)
		return KIOKU_ERROR_NO_MEMORY;
	TRY(read_hierarchies(kernel, cgroups));
	*out = TAKE(cgroups);
	return KIOKU_OK;
}

void cgroups_free(struct cgroups *cgroups)
{
	if (cgroups)
		free(cgroups->list);
	free(cgroups);
}

/* --- a thread's */

/* The cgroup of a set of them that is in a hierarchy: cset_cgroup_from_root(). */
static enum kioku_status find_cgroup(struct kioku_kernel *kernel, uint64_t set,
				     const struct cgroup_hierarchy *hierarchy, uint64_t *out)
{
	const struct binding *set_binding, *link_binding;
	struct set members;
	struct cgroup cgroup;
	struct link link;

	*out = hierarchy->top;
	if (set == kernel_symbol(kernel, "init_css_set"))
		return KIOKU_OK;
	TRY(record_bind(kernel, &set_record, &set_binding, NULL));
	TRY(record_bind(kernel, &link_record, &link_binding, NULL));
	TRY(record_read_at(kernel, &set_record, set, &members));
	*out = members.default_cgroup;
	if (hierarchy->is_default)
		return KIOKU_OK;
	uint64_t head = set + BINDING_OFFSET(set_binding, struct set, links_next);
	uint64_t place = BINDING_OFFSET(link_binding, struct link, next);
	uint64_t node = members.links_next;
	for (size_t i = 0; i < LINK_LIMIT && node != head; i++, node = link.next) {
		TRY(record_read_at(kernel, &link_record, node - place, &link));
		if (link.set != set)
			return KIOKU_ERROR_CORRUPT;
		*out = link.cgroup;
		TRY(record_read_at(kernel, &cgroup_record, link.cgroup, &cgroup));
		if (cgroup.root == hierarchy->root)
			return KIOKU_OK;
	}
	return KIOKU_ERROR_CORRUPT;
}

/* Names from the inside out, put together at the end of the room. */
static enum kioku_status make_path(struct kioku_kernel *kernel, uint64_t node_address,
				   char out[PATH_LIMIT], size_t *start)
{
	struct node node;
	char name[NAME_ROOM];
	size_t size;

	*start = PATH_LIMIT - 1;
	out[*start] = 0;
	for (size_t i = 0; i < DEPTH_LIMIT; i++) {
		TRY(record_read_at(kernel, &node_record, node_address, &node));
		if (!node.parent)
			return KIOKU_OK;
		TRY(kernel_read_string(kernel, node.name, name, sizeof(name), &size));
		size = strlen(name);
		if (size == 0 || strchr(name, '/'))
			return KIOKU_ERROR_CORRUPT;
		if (size + 1 > *start)
			return KIOKU_ERROR_LIMIT;
		*start -= size;
		memcpy(out + *start, name, size);
		out[--*start] = '/';
		node_address = node.parent;
	}
	return KIOKU_ERROR_CORRUPT;
}

enum kioku_status cgroup_path(struct kioku_kernel *kernel, uint64_t address, char *out, size_t room)
{
	char path[PATH_LIMIT];
	struct cgroup cgroup;
	size_t start;

	TRY(record_read_at(kernel, &cgroup_record, address, &cgroup));
	TRY(make_path(kernel, cgroup.node, path, &start));
	snprintf(out, room, "%s", path[start] ? path + start : "/");
	return KIOKU_OK;
}

static enum kioku_status add_line(struct kioku_kernel *kernel, struct cgroups *cgroups,
				  const struct cgroup_hierarchy *hierarchy)
{
	size_t room = sizeof(cgroups->text) - cgroups->size, start;
	char path[PATH_LIMIT];
	const char *text = "/", *deleted = "";
	struct cgroup cgroup;
	uint64_t address;

	TRY(find_cgroup(kernel, cgroups->last, hierarchy, &address));
	TRY(record_read_at(kernel, &cgroup_record, address, &cgroup));
	if (cgroup.root != hierarchy->root)
		return KIOKU_ERROR_CORRUPT;
	if (hierarchy->is_default || !cgroups->last_exiting) {
		TRY(make_path(kernel, cgroup.node, path, &start));
		text = path[start] ? path + start : "/";
		if (hierarchy->is_default && !(cgroup.flags & CSS_ONLINE))
			deleted = " (deleted)";
	}
	int length = snprintf(cgroups->text + cgroups->size, room, "%s%s%s", hierarchy->title, text,
			      deleted);
	if ((size_t)length >= room)
		return KIOKU_ERROR_LIMIT;
	cgroups->size += (size_t)length + 1;
	return KIOKU_OK;
}

enum kioku_status cgroups_of(struct kioku_kernel *kernel, struct cgroups *cgroups,
			     const struct task *task, const char **text, size_t *size)
{
	bool is_exiting = task->flags & EXITING;
	const struct binding *binding;
	struct membership membership;

	TRY(record_bind(kernel, &membership_record, &binding, NULL));
	TRY(record_read(kernel, binding, task->address, &membership, NULL));
	/* Most threads share one. */
	if (membership.set != cgroups->last || is_exiting != cgroups->last_exiting) {
		cgroups->last = membership.set;
		cgroups->last_exiting = is_exiting;
		cgroups->status = KIOKU_OK;
		cgroups->size = 0;
		for (size_t i = 0; i < cgroups->count && cgroups->status == KIOKU_OK; i++)
			cgroups->status = add_line(kernel, cgroups, &cgroups->list[i]);
	}
	*text = cgroups->text;
	*size = cgroups->size;
	return cgroups->status;
}
