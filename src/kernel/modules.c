/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/modules.h"

#include <elf.h>
#include <string.h>

#include "base/growing.h"
#include "kernel/list.h"
#include "kernel/module_types.h"

enum { MODULE_LIMIT = 16384, SYMBOL_LIMIT = 1 << 20 };

struct module_head {
	char name[64];
	uint64_t next;
	uint64_t base; /* until v6.4 */
	uint32_t text_size;
	uint8_t memory[8]; /* since v6.4 an array, of which only the place matters */
	uint64_t symbols;
	uint64_t orc_addresses, orc_rules;
	uint32_t orc_count;
};

static const struct member module_members[] = {
	MEMBER(struct module_head, name, "name"),
	MEMBER(struct module_head, next, "list.next"),
	OPTIONAL(struct module_head, base, "core_layout.base"),
	OPTIONAL(struct module_head, text_size, "core_layout.text_size"),
	OPTIONAL(struct module_head, memory, "mem"),
	OPTIONAL(struct module_head, symbols, "kallsyms"), /* CONFIG_KALLSYMS */
	OPTIONAL(struct module_head, orc_addresses, "arch.orc_unwind_ip"),
	OPTIONAL(struct module_head, orc_rules, "arch.orc_unwind"),
	OPTIONAL(struct module_head, orc_count, "arch.num_orcs"),
};
static const struct record module_record = RECORD(struct module_head, "module", module_members);

struct memory {
	uint64_t base;
	uint32_t size;
};

static const struct member memory_members[] = {
	MEMBER(struct memory, base, "base"),
	MEMBER(struct memory, size, "size"),
};
static const struct record memory_record = RECORD(struct memory, "module_memory", memory_members);

struct symbols {
	uint64_t table, strings;
	uint32_t count;
};

static const struct member symbols_members[] = {
	MEMBER(struct symbols, table, "symtab"),
	MEMBER(struct symbols, strings, "strtab"),
	MEMBER(struct symbols, count, "num_symtab"),
};
static const struct record symbols_record = RECORD(struct symbols, "mod_kallsyms", symbols_members);

/* --- the list */

static enum kioku_status read_text(struct kioku_kernel *kernel, const struct binding *binding,
				   uint64_t address, const struct module_head *head,
				   struct module *out)
{
	const struct binding *memory_binding;
	struct memory memory;
	uint64_t index, size;
	uint32_t type;

	out->text = head->base;
	out->text_size = head->text_size;
	if (!BINDING_HAS(binding, struct module_head, memory))
		return KIOKU_OK;
	TRY(record_bind(kernel, &memory_record, &memory_binding, NULL));
	TRY(kioku_types_find(kernel->types, "struct module_memory", &type, NULL));
	if (!enum_value(kernel->types, "mod_mem_type", "MOD_TEXT", &index) || index > 16)
		return KIOKU_ERROR_UNSUPPORTED;
	size = kioku_type_size(kernel->types, type);
	address += BINDING_OFFSET(binding, struct module_head, memory) + index * size;
	TRY(record_read(kernel, memory_binding, address, &memory, NULL));
	out->text = memory.base;
	out->text_size = memory.size;
	return KIOKU_OK;
}

static enum kioku_status read_module(struct kioku_kernel *kernel, const struct binding *binding,
				     uint64_t address, struct module *out)
{
	struct module_head head;

	TRY(record_read(kernel, binding, address, &head, NULL));
	if (!memchr(head.name, 0, sizeof(head.name)) || !head.name[0])
		return KIOKU_ERROR_CORRUPT;
	*out = (struct module){ .symbols = head.symbols };
	memcpy(out->name, head.name, sizeof(out->name));
	out->orc.addresses = head.orc_addresses;
	out->orc.rules = head.orc_rules;
	out->orc.count = head.orc_addresses && head.orc_rules ? head.orc_count : 0;
	TRY(read_text(kernel, binding, address, &head, out));
	return kernel_is_pointer(kernel, out->text) && out->text_size <= UINT32_MAX
		       ? KIOKU_OK
		       : KIOKU_ERROR_CORRUPT;
}

bool modules_read(struct kioku_kernel *kernel, struct modules *out)
{
	AUTO_LIST_WALK struct list_walk walk = { 0 };
	const struct binding *binding;
	uint64_t head = kernel_symbol(kernel, "modules"), node;

	if (!head || record_bind(kernel, &module_record, &binding, NULL) != KIOKU_OK)
		return true;
	list_begin(&walk, kernel, head, "list of modules");
	for (size_t i = 0; i < MODULE_LIMIT && list_next(&walk, &node); i++) {
		uint64_t address = node - BINDING_OFFSET(binding, struct module_head, next);
		struct module module;
		if (read_module(kernel, binding, address, &module) != KIOKU_OK) {
			list_reject(&walk, "what it leads to is no module");
			continue;
		}
		if (!GROW(out->list, out->count, out->capacity))
			return false;
		out->list[out->count++] = module;
	}
	return true;
}

void modules_release(struct modules *modules)
{
	free(modules->list);
	*modules = (struct modules){ 0 };
}

const struct module *modules_at(const struct modules *modules, uint64_t address)
{
	for (size_t i = 0; i < modules->count; i++)
		if (address - modules->list[i].text < modules->list[i].text_size)
			return &modules->list[i];
	return NULL;
}

/* --- symbols */

/* The symbol nearest below an address, and where the next one starts. */
struct nearest {
	uint64_t address, end;
	uint32_t name; /* its offset among the strings; 0: none was found */
};

static bool is_name(struct kioku_kernel *kernel, uint64_t text)
{
	char first[1];

	/* Empty ones, and marks in code such as "$x" and ".L1" (include/linux/module_symbol.h). */
	return kernel_read(kernel, text, first, 1, NULL) == KIOKU_OK && first[0] &&
	       first[0] != '$' && first[0] != '.';
}

static void consider(struct kioku_kernel *kernel, const struct symbols *symbols, const uint8_t *raw,
		     uint64_t address, struct nearest *nearest)
{
	uint32_t name = load_le32(raw);
	uint16_t section = load_le16(raw + 6);
	uint64_t value = load_le64(raw + 8);
	bool is_nearer = value <= address && value > nearest->address;
	bool is_next = value > address && value < nearest->end;

	if (section == SHN_UNDEF || !(is_nearer || is_next) ||
	    !is_name(kernel, symbols->strings + name))
		return;
	if (is_next) {
		nearest->end = value;
		return;
	}
	nearest->address = value;
	nearest->name = name;
}

enum kioku_status module_function(struct kioku_kernel *kernel, const struct module *module,
				  uint64_t address, struct code_name *out)
{
	enum { SIZE = sizeof(Elf64_Sym), AT_ONCE = 128 };
	struct nearest nearest = { .address = module->text - 1,
				   .end = module->text + module->text_size };
	struct symbols symbols;
	uint8_t raw[SIZE * AT_ONCE];
	size_t size;

	TRY(record_read_at(kernel, &symbols_record, module->symbols, &symbols));
	if (symbols.count > SYMBOL_LIMIT)
		return KIOKU_ERROR_CORRUPT;
	for (uint32_t i = 0; i < symbols.count; i += AT_ONCE) {
		uint32_t count = symbols.count - i < AT_ONCE ? symbols.count - i : AT_ONCE;
		TRY(kernel_read(kernel, symbols.table + (uint64_t)i * SIZE, raw, count * SIZE,
				NULL));
		for (uint32_t j = 0; j < count; j++)
			consider(kernel, &symbols, raw + j * SIZE, address, &nearest);
	}
	if (!nearest.name)
		return KIOKU_ERROR_NOT_FOUND;
	out->address = nearest.address;
	out->size = nearest.end - nearest.address;
	return kernel_read_string(kernel, symbols.strings + nearest.name, out->name,
				  sizeof(out->name), &size);
}
