/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/address_set.h"
#include "kernel/ram.h"
#include "kernel/record.h"
#include "source/source.h"

#define RESOURCE_LIMIT 65536u
/* include/linux/ioport.h, since v4.6; before, only the name tells. */
#define IORESOURCE_SYSRAM 0x01000000u
#define RAM_NAME          "System RAM"

/* arch/x86/include/uapi/asm/bootparam.h: packed, and the same since there are x86-64 kernels. */
#define E820_ENTRY_SIZE    20u
#define E820_LIMIT         4096u
#define E820_RAM           1u
#define E820_RESERVED_KERN 128u /* RAM, too: what the boot loader left for the kernel */

struct resource {
	uint64_t first, last, name, flags, sibling, child;
};

static const struct member resource_members[] = {
	MEMBER(struct resource, first, "start"),     MEMBER(struct resource, last, "end"),
	MEMBER(struct resource, name, "name"),       MEMBER(struct resource, flags, "flags"),
	MEMBER(struct resource, sibling, "sibling"), MEMBER(struct resource, child, "child"),
};
static const struct record resource_record = RECORD(struct resource, "resource", resource_members);

/*
 * The kernel's own data lie in RAM, and where it maps them in a row, the page tables say so twice. What
 * it maps elsewhere may be a device.
 */
static bool admit(struct kioku_kernel *kernel, uint64_t virtual, uint64_t size)
{
	struct kioku_translation translation;
	uint64_t page = virtual & ~(uint64_t)(PAGE_SIZE - 1);

	if (image_contains(&kernel->image, virtual))
		return true;
	for (; kernel->direct_map && page < virtual + size; page += PAGE_SIZE)
		if (kioku_translate(&kernel->space, page, &translation, NULL) != KIOKU_OK ||
		    translation.physical != page - kernel->direct_map ||
		    !source_admit(kernel->source, translation.physical, PAGE_SIZE))
			return false;
	return kernel->direct_map != 0;
}

static bool is_named_ram(struct kioku_kernel *kernel, const struct resource *resource)
{
	char name[sizeof(RAM_NAME) - 1];

	return kernel_is_pointer(kernel, resource->name) &&
	       admit(kernel, resource->name, sizeof(name)) &&
	       kernel_read(kernel, resource->name, name, sizeof(name), NULL) == KIOKU_OK &&
	       memcmp(name, RAM_NAME, sizeof(name)) == 0;
}

struct tree {
	struct kioku_kernel *kernel;
	struct range_map *ram;
	bool by_name;
	struct address_set seen;
	uint64_t *stack; /* resources to look at */
	size_t count;
	bool is_damaged;
};

static void tree_release(struct tree *tree)
{
	address_set_release(&tree->seen);
	free(tree->stack);
}

static void push(struct tree *tree, uint64_t resource)
{
	if (!resource)
		return;
	if (!kernel_is_pointer(tree->kernel, resource) || tree->count == RESOURCE_LIMIT ||
	    address_set_add(&tree->seen, resource) != ADDRESS_ADDED)
		tree->is_damaged = true;
	else
		tree->stack[tree->count++] = resource;
}

static bool add_range(struct range_map *ram, uint64_t first, uint64_t last)
{
	struct extent extent = { first, last - first + 1, first, KIOKU_RANGE_PRESENT };

	return last >= first && last - first < UINT64_MAX && range_map_add(ram, extent);
}

static bool look_at(struct tree *tree, const struct binding *binding, uint64_t address)
{
	struct kioku_kernel *kernel = tree->kernel;
	struct resource resource;
	uint32_t id;

	if (kioku_types_find(kernel->types, "struct resource", &id, NULL) != KIOKU_OK ||
	    !admit(kernel, address, kioku_type_size(kernel->types, id)) ||
	    record_read(kernel, binding, address, &resource, NULL) != KIOKU_OK)
		return false;
	push(tree, resource.sibling);
	bool is_ram = tree->by_name ? is_named_ram(kernel, &resource)
				    : resource.flags & IORESOURCE_SYSRAM;
	if (is_ram)
		return add_range(tree->ram, resource.first, resource.last);
	push(tree, resource.child);
	return true;
}

/* Whether the whole tree could be walked, and has RAM. */
static bool walk_resources(struct kioku_kernel *kernel, struct range_map *ram, bool by_name)
{
	CLEANUP(tree_release)
	struct tree tree = { .kernel = kernel, .ram = ram, .by_name = by_name };
	uint64_t root = kernel_symbol(kernel, "iomem_resource");
	const struct binding *binding;

	tree.stack = malloc(RESOURCE_LIMIT * sizeof(*tree.stack));
	if (!root || !tree.stack ||
	    record_bind(kernel, &resource_record, &binding, NULL) != KIOKU_OK)
		return false;
	push(&tree, root);
	while (tree.count > 0)
		if (!look_at(&tree, binding, tree.stack[--tree.count]))
			return false;
	return !tree.is_damaged && ram->count > 0;
}

/* e820_table is a pointer to the table (v4.12). */
static bool read_e820(struct kioku_kernel *kernel, struct range_map *ram)
{
	uint64_t variable = kernel_symbol(kernel, "e820_table"), table;
	uint8_t raw[E820_ENTRY_SIZE];

	if (!variable || address_read_u64(&kernel->space, variable, &table, NULL) != KIOKU_OK ||
	    !kernel_is_pointer(kernel, table) || !admit(kernel, table, 4) ||
	    kernel_read(kernel, table, raw, 4, NULL) != KIOKU_OK)
		return false;
	uint32_t count = load_le32(raw);
	if (count > E820_LIMIT || !admit(kernel, table, 4 + (uint64_t)count * E820_ENTRY_SIZE))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t at = table + 4 + (uint64_t)i * E820_ENTRY_SIZE;
		if (kernel_read(kernel, at, raw, sizeof(raw), NULL) != KIOKU_OK)
			return false;
		uint64_t start = load_le64(raw), size = load_le64(raw + 8);
		uint32_t type = load_le32(raw + 16);
		if ((type == E820_RAM || type == E820_RESERVED_KERN) && size > 0 &&
		    !add_range(ram, start, start + size - 1))
			return false;
	}
	return ram->count > 0;
}

void ram_learn(struct kioku_kernel *kernel)
{
	CLEANUP(range_map_release) struct range_map tree = { 0 };
	CLEANUP(range_map_release) struct range_map named = { 0 };
	CLEANUP(range_map_release) struct range_map firmware = { 0 };
	struct range_map *ram = NULL;

	if (!kioku_source_lacks_ranges(kernel->source))
		return;
	if (walk_resources(kernel, &tree, false))
		ram = &tree;
	else if (walk_resources(kernel, &named, true))
		ram = &named;
	else if (read_e820(kernel, &firmware))
		ram = &firmware;
	if (ram == &firmware)
		diagnose(&kernel->diagnostics, KIOKU_WARNING,
			 "where RAM is, is known from what the firmware said (e820): memory that "
			 "was "
			 "added later is left out");
	if (!ram || source_learn_ranges(kernel->source, ram, NULL) != KIOKU_OK)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "the kernel does not say where RAM is, so that little of it can be read: "
			 "say "
			 "it with ranges=FILE");
}
