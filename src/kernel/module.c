/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/module.h"

#include <stdio.h>
#include <string.h>

#include "kernel/list.h"
#include "type/types.h"

static const struct member module_members[] = {
	MEMBER(struct module, name, "name"),
	MEMBER(struct module, state, "state"),
	MEMBER(struct module, list_next, "list.next"),
	MEMBER(struct module, list_previous, "list.prev"),
	OPTIONAL(struct module, references, "refcnt"),
	OPTIONAL(struct module, users_next, "source_list.next"),
	OPTIONAL(struct module, taints, "taints"),
	OPTIONAL(struct module, version, "version"),
	OPTIONAL(struct module, source_version, "srcversion"),
	OPTIONAL(struct module, arguments, "args"),
	OPTIONAL(struct module, parameters, "kp"),
	OPTIONAL(struct module, parameter_count, "num_kp"),
	OPTIONAL(struct module, sections, "sect_attrs"),
	OPTIONAL(struct module, symbols, "kallsyms"), /* CONFIG_KALLSYMS */
	OPTIONAL(struct module, orc_addresses, "arch.orc_unwind_ip"),
	OPTIONAL(struct module, orc_rules, "arch.orc_unwind"),
	OPTIONAL(struct module, orc_count, "arch.num_orcs"),
	OPTIONAL(struct module, core_base, "core_layout.base"),
	OPTIONAL(struct module, core_size, "core_layout.size"),
	OPTIONAL(struct module, core_text_size, "core_layout.text_size"),
	OPTIONAL(struct module, init_base, "init_layout.base"),
	OPTIONAL(struct module, init_size, "init_layout.size"),
	OPTIONAL(struct module, data_base, "data_layout.base"),
	OPTIONAL(struct module, data_size, "data_layout.size"),
	OPTIONAL(struct module, memory_mark, "mem"),
};
const struct record module_record = RECORD(struct module, "module", module_members);

static const struct member part_members[] = {
	MEMBER(struct module_part, base, "base"),
	MEMBER(struct module_part, size, "size"),
};
static const struct record part_record = RECORD(struct module_part, "module_memory", part_members);

/* One module that uses another. */
struct use {
	uint64_t next, user;
};

static const struct member use_members[] = {
	MEMBER(struct use, next, "source_list.next"),
	MEMBER(struct use, user, "source"),
};
static const struct record use_record = RECORD(struct use, "module_use", use_members);

static void add_part(struct module *module, uint64_t base, uint32_t size)
{
	if (size > 0)
		module->parts[module->part_count++] = (struct module_part){ base, size };
}

/* enum mod_mem_type, 6.4: text is 0; what is left of the initial parts has no size. */
static enum kioku_status read_memory(struct kioku_kernel *kernel, const struct binding *binding,
				     struct module *module)
{
	uint64_t start = module->address + BINDING_OFFSET(binding, struct module, memory_mark);
	const struct binding *part;
	uint64_t count;
	uint32_t id;

	TRY(record_bind(kernel, &part_record, &part, NULL));
	TRY(kioku_types_find(kernel->types, "struct module_memory", &id, NULL));
	if (!types_enum_value(kernel->types, "mod_mem_type", "MOD_MEM_NUM_TYPES", &count) ||
	    count > MODULE_PARTS)
		return KIOKU_ERROR_UNSUPPORTED;
	for (uint64_t i = 0; i < count; i++) {
		struct module_part found;
		TRY(record_read(kernel, part, start + i * kioku_type_size(kernel->types, id),
				&found, NULL));
		add_part(module, found.base, found.size);
	}
	module->text_size = module->part_count ? module->parts[0].size : 0;
	return KIOKU_OK;
}

static enum kioku_status read_parts(struct kioku_kernel *kernel, const struct binding *binding,
				    struct module *module)
{
	module->part_count = 0;
	if (BINDING_HAS(binding, struct module, memory_mark))
		return read_memory(kernel, binding, module);
	add_part(module, module->core_base, module->core_size);
	module->text_size = module->core_text_size;
	add_part(module, module->init_base, module->init_size);
	add_part(module, module->data_base, module->data_size);
	return KIOKU_OK;
}

/* include/linux/module.h: a name is never empty, and what follows it are zeros. */
static bool has_name(const struct module *module)
{
	size_t size = strnlen(module->name, sizeof(module->name));

	if (size == 0 || size == sizeof(module->name))
		return false;
	for (size_t i = 0; i < size; i++)
		if (module->name[i] <= ' ' || module->name[i] > '~')
			return false;
	return true;
}

const char *module_read(struct kioku_kernel *kernel, uint64_t address, struct module *out)
{
	const struct binding *binding;
	enum kioku_status status = record_bind(kernel, &module_record, &binding, NULL);

	*out = (struct module){ 0 };
	if (status == KIOKU_OK)
		status = record_read(kernel, binding, address, out, NULL);
	out->address = address;
	if (status != KIOKU_OK)
		return kioku_status_name(status);
	if (!has_name(out))
		return "it has no name";
	status = read_parts(kernel, binding, out);
	if (status != KIOKU_OK)
		diagnose(&kernel->diagnostics, KIOKU_GAP, "module %s: where its memory is: %s",
			 out->name, kioku_status_name(status));
	return NULL;
}

uint64_t module_list(const struct kioku_kernel *kernel)
{
	uint64_t symbol = kernel_symbol(kernel, "modules");

	return symbol ? symbol : kernel->module_list;
}

enum kioku_status module_each(struct kioku_kernel *kernel, module_fn *receive, void *user,
			      struct kioku_error *error)
{
	AUTO_LIST_WALK struct list_walk walk = { 0 };
	uint64_t head = module_list(kernel), node;
	const struct binding *binding;

	if (!head)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 kernel->symbols ? "this kernel has no list of modules"
						 : "this image has no symbols (kallsyms), and "
						   "no list of modules was found");
	TRY(record_bind(kernel, &module_record, &binding, error));
	uint64_t offset = BINDING_OFFSET(binding, struct module, list_next);
	list_begin(&walk, kernel, head, "list of modules");
	while (list_next(&walk, &node)) {
		struct module module;
		const char *flaw = module_read(kernel, node - offset, &module);
		if (flaw)
			list_reject(&walk, flaw);
		else
			TRY(receive(user, &module));
	}
	return KIOKU_OK;
}

uint64_t module_size(const struct module *module)
{
	uint64_t size = 0;

	for (size_t i = 0; i < module->part_count; i++)
		size += module->parts[i].size;
	return size;
}

enum kioku_status module_each_user(struct kioku_kernel *kernel, const struct module *module,
				   module_user_fn *receive, void *user)
{
	AUTO_LIST_WALK struct list_walk walk = { 0 };
	const struct binding *binding, *own;
	char what[MODULE_NAME_ROOM + 16];
	uint64_t node;

	TRY(record_bind(kernel, &use_record, &binding, NULL));
	TRY(record_bind(kernel, &module_record, &own, NULL));
	if (!BINDING_HAS(own, struct module, users_next)) /* without CONFIG_MODULE_UNLOAD */
		return KIOKU_ERROR_UNSUPPORTED;
	snprintf(what, sizeof(what), "users of module %s", module->name);
	list_begin(&walk, kernel, module->address + BINDING_OFFSET(own, struct module, users_next),
		   what);
	while (list_next(&walk, &node)) {
		struct module other;
		struct use use;
		enum kioku_status status =
			record_read(kernel, binding,
				    node - BINDING_OFFSET(binding, struct use, next), &use, NULL);
		if (status == KIOKU_OK)
			status = record_read(kernel, own, use.user, &other, NULL);
		if (status != KIOKU_OK || !has_name(&other))
			list_reject(&walk, status != KIOKU_OK ? kioku_status_name(status)
							      : "it has no name");
		else
			TRY(receive(user, other.name));
	}
	return KIOKU_OK;
}

const char *module_state(const struct kioku_kernel *kernel, const struct module *module)
{
	/* As kernel/module/procfs.c has them; one that is not formed yet is not shown there. */
	static const struct {
		const char *member, *name;
	} states[] = {
		{ "MODULE_STATE_LIVE", "Live" },
		{ "MODULE_STATE_COMING", "Loading" },
		{ "MODULE_STATE_GOING", "Unloading" },
		{ "MODULE_STATE_UNFORMED", "Unformed" },
	};
	uint64_t value;

	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		if (types_enum_value(kernel->types, "module_state", states[i].member, &value) &&
		    value == module->state)
			return states[i].name;
	return NULL;
}

struct taint {
	uint8_t letter;
	bool is_of_modules;
};

static const struct member taint_members[] = {
	MEMBER(struct taint, letter, "c_true"),
	MEMBER(struct taint, is_of_modules, "module"),
};
static const struct record taint_record = RECORD(struct taint, "taint_flag", taint_members);

enum kioku_status module_taints(struct kioku_kernel *kernel, const struct module *module,
				char out[MODULE_TAINT_ROOM])
{
	uint64_t table = kernel_symbol(kernel, "taint_flags");
	const struct binding *binding;
	uint32_t id;
	size_t size = 0;

	out[0] = '\0';
	if (module->taints == 0)
		return KIOKU_OK;
	TRY(record_bind(kernel, &taint_record, &binding, NULL));
	TRY(kioku_types_find(kernel->types, "struct taint_flag", &id, NULL));
	for (unsigned i = 0; i < 64 && module->taints >> i; i++) {
		struct taint taint;
		if (!(module->taints >> i & 1))
			continue;
		TRY(record_read(kernel, binding, table + i * kioku_type_size(kernel->types, id),
				&taint, NULL));
		if (taint.letter < 'A' || taint.letter > 'Z')
			return KIOKU_ERROR_CORRUPT;
		if (taint.is_of_modules)
			out[size++] = (char)taint.letter;
	}
	out[size] = '\0';
	return KIOKU_OK;
}

/* --- sections */

struct section {
	uint64_t name, address;
};

static const struct member old_section_members[] = {
	MEMBER(struct section, name, "battr.attr.name", "mattr.attr.name"),
	MEMBER(struct section, address, "address"),
};
static const struct record old_section_record =
	RECORD(struct section, "module_sect_attr", old_section_members);

static const struct member section_members[] = {
	MEMBER(struct section, name, "attr.name"),
	MEMBER(struct section, address, "private"),
};
static const struct record section_record =
	RECORD(struct section, "bin_attribute", section_members);

struct sections {
	uint32_t count;
	uint8_t first;
};

static const struct member sections_members[] = {
	OPTIONAL(struct sections, count, "nsections"), /* until 6.14 */
	MEMBER(struct sections, first, "attrs"),
};
static const struct record sections_record =
	RECORD(struct sections, "module_sect_attrs", sections_members);

enum { SECTION_LIMIT = 4096, SECTION_NAME = 256 };

static enum kioku_status read_section(struct kioku_kernel *kernel, const struct binding *binding,
				      uint64_t at, char name[SECTION_NAME], uint64_t *address)
{
	struct section section;
	size_t size;

	TRY(record_read(kernel, binding, at, &section, NULL));
	*address = section.address;
	if (section.name == 0)
		return KIOKU_ERROR_NOT_FOUND;
	return kernel_read_string(kernel, section.name, name, SECTION_NAME, &size);
}

enum kioku_status module_each_section(struct kioku_kernel *kernel, const struct module *module,
				      module_section_fn *receive, void *user)
{
	const struct binding *binding, *all;
	bool is_old = record_bind(kernel, &old_section_record, &binding, NULL) == KIOKU_OK;
	struct sections sections;
	char name[SECTION_NAME];
	uint64_t address;
	uint32_t id;

	if (!module->sections)
		return KIOKU_ERROR_NOT_FOUND;
	if (!is_old)
		TRY(record_bind(kernel, &section_record, &binding, NULL));
	TRY(record_bind(kernel, &sections_record, &all, NULL));
	TRY(record_read(kernel, all, module->sections, &sections, NULL));
	TRY(kioku_types_find(kernel->types,
			     is_old ? "struct module_sect_attr" : "struct bin_attribute", &id,
			     NULL));
	bool is_counted = BINDING_HAS(all, struct sections, count);
	uint32_t count = is_counted ? sections.count : SECTION_LIMIT;
	if (count > SECTION_LIMIT)
		return KIOKU_ERROR_CORRUPT;
	uint64_t at = module->sections + BINDING_OFFSET(all, struct sections, first);
	for (uint32_t i = 0; i < count; i++, at += kioku_type_size(kernel->types, id)) {
		enum kioku_status status = read_section(kernel, binding, at, name, &address);
		/* Without a count, one without a name is the end. */
		if (status == KIOKU_ERROR_NOT_FOUND && !is_counted)
			return KIOKU_OK;
		TRY(status);
		TRY(receive(user, name, address));
	}
	return is_counted ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}
