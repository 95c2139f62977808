/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/module_scan.h"

#include "base/bytes.h"
#include "type/types.h"

enum { ALIGNMENT = 64 }; /* ____cacheline_aligned, include/linux/module.h */

/* include/linux/poison.h, with CONFIG_ILLEGAL_POINTER_VALUE of x86-64. */
#define LIST_POISON1 0xdead000000000100ull
#define LIST_POISON2 0xdead000000000122ull

struct scan {
	struct kioku_kernel *kernel;
	uint64_t name, size; /* of struct module: where its name is, and its bytes */
	module_fn *receive;
	void *user;
	uint64_t absent; /* pages */
};

bool module_has(const struct module *module, uint64_t address)
{
	for (size_t i = 0; i < module->part_count; i++)
		if (address - module->parts[i].base < module->parts[i].size)
			return true;
	return false;
}

static bool is_link(const struct kioku_kernel *kernel, uint64_t link)
{
	return kernel_is_pointer(kernel, link) || link == LIST_POISON1 || link == LIST_POISON2;
}

/* What is not mapped any more was given back. */
static bool has_memory(struct kioku_kernel *kernel, const struct module_part *part)
{
	uint8_t byte;

	return part->base % PAGE_SIZE == 0 && part->base >= MODULES_FIRST &&
	       part->base <= MODULES_LAST && part->size <= MODULES_LAST - part->base &&
	       kernel_read(kernel, part->base, &byte, 1, NULL) != KIOKU_ERROR_UNMAPPED;
}

static bool is_plausible(struct kioku_kernel *kernel, const struct module *module)
{
	if (!module_state(kernel, module) || !is_link(kernel, module->list_next) ||
	    !is_link(kernel, module->list_previous) || !module_has(module, module->address))
		return false;
	for (size_t i = 0; i < module->part_count; i++)
		if (!has_memory(kernel, &module->parts[i]))
			return false;
	return true;
}

/* Most of what is there is told from a module by the first letter of the name. */
static bool may_be(const struct scan *scan, const uint8_t page[PAGE_SIZE], size_t offset)
{
	uint64_t name = offset + scan->name;

	return name >= PAGE_SIZE || (page[name] > ' ' && page[name] <= '~');
}

static enum kioku_status look_at(struct scan *scan, uint64_t address)
{
	struct module module;
	uint8_t last;

	if (kernel_read(scan->kernel, address + scan->size - 1, &last, 1, NULL) != KIOKU_OK ||
	    module_read(scan->kernel, address, &module) || !is_plausible(scan->kernel, &module))
		return KIOKU_OK;
	return scan->receive(scan->user, &module);
}

static enum kioku_status scan_mapping(void *user, const struct mapping *mapping)
{
	struct scan *scan = user;
	uint8_t page[PAGE_SIZE];

	for (uint64_t at = 0; at < mapping->size; at += PAGE_SIZE) {
		uint64_t virtual = mapping->virtual + at;
		if (kernel_read(scan->kernel, virtual, page, sizeof(page), NULL) != KIOKU_OK) {
			scan->absent++;
			continue;
		}
		for (size_t offset = 0; offset < PAGE_SIZE; offset += ALIGNMENT)
			if (may_be(scan, page, offset))
				TRY(look_at(scan, virtual + offset));
	}
	return KIOKU_OK;
}

enum kioku_status module_scan(struct kioku_kernel *kernel, module_fn *receive, void *user,
			      struct kioku_error *error)
{
	const struct binding *binding;

	TRY(record_bind(kernel, &module_record, &binding, error));
	struct scan scan = { .kernel = kernel,
			     .name = BINDING_OFFSET(binding, struct module, name),
			     .size = types_size_of(kernel->types, "struct module"),
			     .receive = receive,
			     .user = user };
	struct address_walk walk = {
		.first = MODULES_FIRST, .last = MODULES_LAST, .receive = scan_mapping, .user = &scan
	};
	TRY(address_space_walk(&kernel->space, &walk));
	if (walk.losses.tables || walk.losses.repeated || scan.absent)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "memory of modules: %llu pages and %llu page tables are lost",
			 (unsigned long long)scan.absent,
			 (unsigned long long)(walk.losses.tables + walk.losses.repeated));
	return KIOKU_OK;
}
