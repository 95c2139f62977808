/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/namesake.h"

#include <string.h>

#include "kernel/list.h"

/* da549bdd15c2, v6.8: a list with one end. */
struct family {
	uint64_t first_child, sibling;
	uint64_t back; /* to what points to it: no chain comes to a dentry twice */
};

static const struct member family_members[] = {
	MEMBER(struct family, first_child, "d_children.first"),
	MEMBER(struct family, sibling, "d_sib.next"),
	MEMBER(struct family, back, "d_sib.pprev"),
};
static const struct record family_record = RECORD(struct family, "dentry", family_members);

static const struct member old_family_members[] = {
	MEMBER(struct family, first_child, "d_subdirs.next"),
	MEMBER(struct family, sibling, "d_child.next"),
};
static const struct record old_family_record = RECORD(struct family, "dentry", old_family_members);

struct name {
	size_t size;
	char data[NAME_LIMIT];
};

struct search {
	struct kioku_kernel *kernel;
	uint64_t folder, not_of; /* dentry; an inode that is not looked for */
	struct name name;
	enum namesake found;
	struct dentry child;
};

/* False: the search ends with it. */
static bool look_at(struct search *search, uint64_t address)
{
	struct dentry *child = &search->child;
	struct name name;

	if (dentry_read(search->kernel, address, child) != KIOKU_OK ||
	    child->parent != search->folder) {
		search->found = NAMESAKE_UNKNOWN;
		return false;
	}
	if (!child->inode || child->inode == search->not_of || dentry_is_deleted(child) ||
	    child->name_size != search->name.size ||
	    dentry_name(search->kernel, child, name.data, &name.size) != KIOKU_OK ||
	    name.size != search->name.size || memcmp(name.data, search->name.data, name.size) != 0)
		return true;
	search->found = NAMESAKE_THERE;
	return false;
}

static void walk_chain(struct search *search, const struct binding *binding)
{
	uint64_t back = search->folder + BINDING_OFFSET(binding, struct family, first_child);
	struct family family;

	search->found = NAMESAKE_UNKNOWN;
	if (record_read(search->kernel, binding, search->folder, &family, NULL) != KIOKU_OK)
		return;
	for (uint64_t link = family.first_child; link; link = family.sibling) {
		uint64_t child = link - BINDING_OFFSET(binding, struct family, sibling);
		if (!kernel_is_pointer(search->kernel, link) ||
		    record_read(search->kernel, binding, child, &family, NULL) != KIOKU_OK ||
		    family.back != back || !look_at(search, child))
			return;
		back = link; /* next is the first member of a hlist_node */
	}
	search->found = NAMESAKE_NONE;
}

static void walk_ring(struct search *search, const struct binding *binding)
{
	AUTO_LIST_WALK struct list_walk list;
	uint64_t node;

	list_begin(&list, search->kernel,
		   search->folder + BINDING_OFFSET(binding, struct family, first_child),
		   "entries of a folder");
	while (list_next(&list, &node))
		if (!look_at(search, node - BINDING_OFFSET(binding, struct family, sibling)))
			return;
	search->found = list.damaged ? NAMESAKE_UNKNOWN : NAMESAKE_NONE;
}

static enum namesake walk(struct search *search)
{
	const struct binding *binding;

	if (!kernel_is_pointer(search->kernel, search->folder))
		return NAMESAKE_UNKNOWN;
	if (record_bind(search->kernel, &family_record, &binding, NULL) == KIOKU_OK)
		walk_chain(search, binding);
	else if (record_bind(search->kernel, &old_family_record, &binding, NULL) == KIOKU_OK)
		walk_ring(search, binding);
	return search->found;
}

enum namesake namesake_in(struct kioku_kernel *kernel, uint64_t folder, const char *name,
			  struct dentry *out)
{
	struct search search = { .kernel = kernel, .folder = folder };

	search.name.size = strnlen(name, sizeof(search.name.data));
	memcpy(search.name.data, name, search.name.size);
	enum namesake found = walk(&search);
	if (found == NAMESAKE_THERE && out)
		*out = search.child;
	return found;
}

enum namesake namesake_find(struct kioku_kernel *kernel, const struct dentry *dentry)
{
	struct search search = { .kernel = kernel,
				 .folder = dentry->parent,
				 .not_of = dentry->inode };

	if (dentry_name(kernel, dentry, search.name.data, &search.name.size) != KIOKU_OK)
		return NAMESAKE_UNKNOWN;
	return walk(&search);
}
