/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* iomem: what physical addresses are used for, as the kernel's resource tree says. */
#include <string.h>

#include "base/address_set.h"
#include "view/view.h"

enum { RESOURCE_LIMIT = 65536, DEPTH_LIMIT = 64, NAME_ROOM = 256 };

struct resource {
	uint64_t first, last, name, flags, parent, sibling, child;
};

static const struct member resource_members[] = {
	MEMBER(struct resource, first, "start"),   MEMBER(struct resource, last, "end"),
	MEMBER(struct resource, name, "name"),     MEMBER(struct resource, flags, "flags"),
	MEMBER(struct resource, parent, "parent"), MEMBER(struct resource, sibling, "sibling"),
	MEMBER(struct resource, child, "child"),
};
static const struct record resource_record = RECORD(struct resource, "resource", resource_members);
static const struct record *const records[] = { &resource_record, NULL };

static const struct kioku_column columns[] = {
	{ "depth", KIOKU_KIND_UNSIGNED, "how many ranges it is within", 1 },
	{ "start", KIOKU_KIND_ADDRESS, "first physical address", 0 },
	{ "end", KIOKU_KIND_ADDRESS, "last physical address", 0 },
	{ "name", KIOKU_KIND_TEXT, "what it is", 0 },
	{ "flags", KIOKU_KIND_ADDRESS, "as struct resource has them", 1 },
};

struct walk {
	struct view_run *run;
	const struct binding *binding;
	struct address_set seen;
	uint64_t parents[DEPTH_LIMIT], siblings[DEPTH_LIMIT];
};

static void walk_release(struct walk *walk)
{
	address_set_release(&walk->seen);
}

static void cut(const struct walk *walk, uint64_t address, const char *why)
{
	diagnose(&walk->run->kernel->diagnostics, KIOKU_GAP,
		 "resources: damaged at 0x%llx (%s), what is there and behind it is lost",
		 (unsigned long long)address, why);
}

/* NULL, or why it is no resource of that parent. */
static const char *read_resource(struct walk *walk, uint64_t address, uint64_t parent,
				 struct resource *out)
{
	struct kioku_kernel *kernel = walk->run->kernel;

	if (!kernel_is_pointer(kernel, address))
		return "that is no pointer";
	if (walk->seen.count == RESOURCE_LIMIT)
		return "there are too many";
	if (address_set_add(&walk->seen, address) != ADDRESS_ADDED)
		return "they run in a circle";
	enum kioku_status status = record_read(kernel, walk->binding, address, out, NULL);
	if (status != KIOKU_OK)
		return kioku_status_name(status);
	return out->parent == parent ? NULL : "it has another parent";
}

static enum kioku_status give(struct walk *walk, const struct resource *resource, size_t depth)
{
	struct kioku_kernel *kernel = walk->run->kernel;
	char name[NAME_ROOM];
	size_t size;
	enum kioku_status status =
		kernel_read_string(kernel, resource->name, name, sizeof(name), &size);

	if (status != KIOKU_OK && resource->name)
		diagnose(&kernel->diagnostics, KIOKU_GAP, "resource 0x%llx: its name: %s",
			 (unsigned long long)resource->first, kioku_status_name(status));
	const struct kioku_cell cells[] = {
		cell_number(depth),
		cell_number(resource->first),
		cell_number(resource->last),
		status == KIOKU_OK ? cell_text(name, size)
				   : cell_absent(resource->name ? presence_of(status)
								: KIOKU_CELL_NOT_APPLICABLE),
		cell_number(resource->flags),
	};
	return view_row(walk->run, cells);
}

/* Depth first, children before the next of a row: as /proc/iomem is ordered. */
static enum kioku_status walk_tree(struct walk *walk, uint64_t root, uint64_t first)
{
	size_t depth = 0;

	walk->parents[0] = root;
	walk->siblings[0] = first;
	for (;;) {
		struct resource resource;
		uint64_t at = walk->siblings[depth];
		if (at == 0) {
			if (depth-- == 0)
				return KIOKU_OK;
			continue;
		}
		const char *flaw = read_resource(walk, at, walk->parents[depth], &resource);
		walk->siblings[depth] = flaw ? 0 : resource.sibling;
		if (flaw) {
			cut(walk, at, flaw);
			continue;
		}
		TRY(give(walk, &resource, depth));
		if (!resource.child)
			continue;
		if (depth + 1 == DEPTH_LIMIT) {
			cut(walk, resource.child, "it is too deep");
			continue;
		}
		walk->parents[++depth] = at;
		walk->siblings[depth] = resource.child;
	}
}

static enum kioku_status run_iomem(struct view_run *run, struct kioku_error *error)
{
	CLEANUP(walk_release) struct walk walk = { .run = run };
	uint64_t root = kernel_symbol(run->kernel, "iomem_resource");
	struct resource whole;

	TRY(record_bind(run->kernel, &resource_record, &walk.binding, error));
	TRY(record_read(run->kernel, walk.binding, root, &whole, error));
	return walk_tree(&walk, root, whole.child);
}

const struct kioku_view iomem_view = {
	.name = "iomem",
	.help = "what physical addresses are used for",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_TREE,
	.needs_symbols = true,
	.records = records,
	.run = run_iomem,
};
