/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check/module_sightings.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/growing.h"
#include "kernel/list.h"
#include "kernel/module_scan.h"
#include "kernel/rbtree.h"

/* More modules than any machine has. */
#define SIGHTING_LIMIT 8192

void module_sightings_release(struct module_sightings *sightings)
{
	free(sightings->found);
	*sightings = (struct module_sightings){ 0 };
}

static const char *const names[MODULE_VIEWS] = {
	[MODULE_VIEW_LIST] = "list of modules",
	[MODULE_VIEW_SYSFS] = "sysfs",
	[MODULE_VIEW_TREE] = "tree of addresses",
	[MODULE_VIEW_CARVED] = "carved from memory",
};

const struct ways module_ways = { "modules", names, MODULE_VIEWS };

/* --- one view after the other */

struct asking {
	struct module_sightings *sightings;
	enum module_view view;
};

static enum kioku_status note(void *user, const struct module *module)
{
	const struct asking *asking = user;
	struct module_sightings *sightings = asking->sightings;
	unsigned view = 1u << asking->view;

	for (size_t i = 0; i < sightings->count; i++)
		if (sightings->found[i].module.address == module->address) {
			sightings->found[i].views |= view;
			return KIOKU_OK;
		}
	if (sightings->count == SIGHTING_LIMIT)
		return KIOKU_ERROR_LIMIT;
	if (!GROW(sightings->found, sightings->count, sightings->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	sightings->found[sightings->count++] = (struct module_sighting){ *module, view };
	return KIOKU_OK;
}

/* What a view leads to need not be a module, where it is damaged. */
static enum kioku_status note_at(struct asking *asking, uint64_t address)
{
	struct kioku_kernel *kernel = asking->sightings->kernel;
	struct module module;
	const char *flaw = kernel_is_pointer(kernel, address)
				   ? module_read(kernel, address, &module)
				   : "that is no pointer";

	if (!flaw)
		return note(asking, &module);
	diagnose(&kernel->diagnostics, KIOKU_GAP, "%s: no module is at 0x%llx: %s",
		 names[asking->view], (unsigned long long)address, flaw);
	return KIOKU_OK;
}

static enum kioku_status ask_list(void *user, struct kioku_error *error)
{
	struct asking *asking = user;

	return module_each(asking->sightings->kernel, note, asking, error);
}

struct kset {
	uint64_t first;
};

static const struct member kset_members[] = { MEMBER(struct kset, first, "list.next") };
static const struct record kset_record = RECORD(struct kset, "kset", kset_members);

struct folder {
	uint64_t next;
	uint64_t module; /* 0: it is built in */
};

static const struct member folder_members[] = {
	MEMBER(struct folder, next, "kobj.entry.next"),
	MEMBER(struct folder, module, "mod"),
};
static const struct record folder_record = RECORD(struct folder, "module_kobject", folder_members);

static enum kioku_status ask_sysfs(void *user, struct kioku_error *error)
{
	struct asking *asking = user;
	struct kioku_kernel *kernel = asking->sightings->kernel;
	AUTO_LIST_WALK struct list_walk walk = { 0 };
	const struct binding *kset, *binding;
	uint64_t variable = kernel_symbol(kernel, "module_kset"), head, node;

	TRY(record_bind(kernel, &kset_record, &kset, error));
	TRY(record_bind(kernel, &folder_record, &binding, error));
	TRY(address_read_u64(&kernel->space, variable, &head, error));
	if (!kernel_is_pointer(kernel, head))
		return error_set(error, KIOKU_ERROR_CORRUPT, "module_kset is no pointer");
	list_begin(&walk, kernel, head + BINDING_OFFSET(kset, struct kset, first),
		   "folders of modules");
	while (list_next(&walk, &node)) {
		struct folder folder;
		enum kioku_status status =
			record_read(kernel, binding,
				    node - BINDING_OFFSET(binding, struct folder, next), &folder,
				    NULL);
		if (status != KIOKU_OK)
			list_reject(&walk, kioku_status_name(status));
		else if (folder.module)
			TRY(note_at(asking, folder.module));
	}
	return KIOKU_OK;
}

struct tree {
	uint8_t first[8]; /* the root of the first of two trees that are alike, a pointer */
};

static const struct member tree_members[] = { MEMBER(struct tree, first, "root.tree") };
static const struct record tree_record = RECORD(struct tree, "mod_tree_root", tree_members);

struct tree_node {
	uint64_t module;
	uint8_t links[8]; /* in the first tree */
};

static const struct member tree_node_members[] = {
	MEMBER(struct tree_node, module, "mod"),
	MEMBER(struct tree_node, links, "node.node"),
};
static const struct record tree_node_record =
	RECORD(struct tree_node, "mod_tree_node", tree_node_members);

static enum kioku_status ask_tree(void *user, struct kioku_error *error)
{
	struct asking *asking = user;
	struct kioku_kernel *kernel = asking->sightings->kernel;
	AUTO_RB_WALK struct rb_walk walk = { 0 };
	const struct binding *root, *binding;
	struct tree_node found;
	struct tree tree;
	uint64_t node;

	TRY(record_bind(kernel, &tree_record, &root, error));
	TRY(record_bind(kernel, &tree_node_record, &binding, error));
	TRY(record_read(kernel, root, kernel_symbol(kernel, "mod_tree"), &tree, error));
	rb_begin(&walk, kernel, load_le64(tree.first), "tree of modules");
	while (rb_next(&walk, &node)) {
		uint64_t start = node - BINDING_OFFSET(binding, struct tree_node, links);
		if (record_read(kernel, binding, start, &found, NULL) == KIOKU_OK)
			TRY(note_at(asking, found.module));
		else
			diagnose(&kernel->diagnostics, KIOKU_GAP,
				 "tree of modules: 0x%llx cannot be read",
				 (unsigned long long)start);
	}
	return KIOKU_OK;
}

static enum kioku_status ask_memory(void *user, struct kioku_error *error)
{
	struct asking *asking = user;

	return module_scan(asking->sightings->kernel, note, asking, error);
}

/* --- all */

static const struct source {
	const char *variable; /* a kernel without it does not have this view; NULL: all have it */
	way_fn *ask;
} sources[MODULE_VIEWS] = {
	[MODULE_VIEW_LIST] = { "modules", ask_list },
	[MODULE_VIEW_SYSFS] = { "module_kset", ask_sysfs },
	[MODULE_VIEW_TREE] = { "mod_tree", ask_tree },
	[MODULE_VIEW_CARVED] = { NULL, ask_memory },
};

enum kioku_status module_sightings_read(struct kioku_kernel *kernel, struct module_sightings *out,
					struct kioku_error *error)
{
	*out = (struct module_sightings){ .kernel = kernel };
	for (unsigned view = 0; view < MODULE_VIEWS; view++) {
		const char *variable = sources[view].variable;
		if (variable && !kernel_symbol(kernel, variable))
			continue;
		out->asked |= 1u << view;
		struct asking asking = { out, view };
		if (ways_ask(kernel, &module_ways, 1u << view, sources[view].ask, &asking,
			     &out->damaged) != KIOKU_OK)
			return error_no_memory(error);
	}
	return KIOKU_OK;
}
