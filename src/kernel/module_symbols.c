/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/live_symbols.h"
#include "kernel/module_symbols.h"

enum { SYMBOL_LIMIT = 1 << 20 };

static const struct member table_members[] = {
	MEMBER(struct module_symbols, symbols, "symtab"),
	MEMBER(struct module_symbols, strings, "strtab"),
	MEMBER(struct module_symbols, count, "num_symtab"),
	OPTIONAL(struct module_symbols, types, "typetab"),
};
static const struct record table_record =
	RECORD(struct module_symbols, "mod_kallsyms", table_members);

enum kioku_status module_symbols_read(struct kioku_kernel *kernel, const struct module *module,
				      struct module_symbols *out)
{
	TRY(record_read_at(kernel, &table_record, module->symbols, out));
	return out->count <= SYMBOL_LIMIT ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}

/* What a module exports: an array of struct kernel_symbol. Until 7.0 those for GPL modules have another one. */
struct exports {
	uint64_t symbols;
	uint32_t count;
};

static const struct member exports_members[] = {
	MEMBER(struct exports, symbols, "syms"),
	MEMBER(struct exports, count, "num_syms"),
};
static const struct record exports_record = RECORD(struct exports, "module", exports_members);

/* CONFIG_HAVE_ARCH_PREL32_RELOCATIONS: each is relative to where it lies. */
struct export
{
	int32_t value, name;
};

static const struct member export_members[] = {
	MEMBER(struct export, value, "value_offset"),
	MEMBER(struct export, name, "name_offset"),
};
static const struct record export_record = RECORD(struct export, "kernel_symbol", export_members);

struct walk {
	struct kioku_kernel *kernel;
	const struct module *module;
	struct module_symbols table;
	struct exports exports;
	const struct binding *export;
	uint32_t export_size;
	char name[SYMBOL_NAME_ROOM];
	live_symbol_fn *receive;
	void *user;
};

/* --- what is exported has a capital letter */

static bool is_named(const struct walk *walk, uint64_t at)
{
	char name[SYMBOL_NAME_ROOM];
	size_t size;

	return kernel_read_string(walk->kernel, at, name, sizeof(name), &size) == KIOKU_OK &&
	       strcmp(name, walk->name) == 0;
}

/* is_exported(), kernel/module/kallsyms.c: by the first array alone. */
static bool is_exported(const struct walk *walk, uint64_t address)
{
	if (!walk->export)
		return false;
	uint64_t value_at = BINDING_OFFSET(walk->export, struct export, value);
	uint64_t name_at = BINDING_OFFSET(walk->export, struct export, name);

	for (uint32_t i = 0; i < walk->exports.count; i++) {
		uint64_t at = walk->exports.symbols + (uint64_t)i * walk->export_size;
		struct export found;
		if (record_read(walk->kernel, walk->export, at, &found, NULL) != KIOKU_OK)
			return false;
		if (at + value_at + (uint64_t)(int64_t)found.value == address &&
		    is_named(walk, at + name_at + (uint64_t)(int64_t)found.name))
			return true;
	}
	return false;
}

static void find_exports(struct walk *walk)
{
	const struct binding *binding;
	uint32_t id;

	if (record_bind(walk->kernel, &exports_record, &binding, NULL) != KIOKU_OK ||
	    record_read(walk->kernel, binding, walk->module->address, &walk->exports, NULL) !=
		    KIOKU_OK ||
	    walk->exports.count > SYMBOL_LIMIT ||
	    kioku_types_find(walk->kernel->types, "struct kernel_symbol", &id, NULL) != KIOKU_OK ||
	    record_bind(walk->kernel, &export_record, &walk->export, NULL) != KIOKU_OK) {
		walk->export = NULL;
		return;
	}
	walk->export_size = (uint32_t)kioku_type_size(walk->kernel->types, id);
}

/* --- symbols */

static enum kioku_status give_symbol(struct walk *walk, uint32_t index)
{
	struct kioku_kernel *kernel = walk->kernel;
	uint8_t raw[sizeof(Elf64_Sym)];
	uint8_t type;
	size_t size;

	TRY(kernel_read(kernel, walk->table.symbols + (uint64_t)index * sizeof(raw), raw,
			sizeof(raw), NULL));
	type = raw[4];
	if (walk->table.types)
		TRY(kernel_read(kernel, walk->table.types + index, &type, 1, NULL));
	TRY(kernel_read_string(kernel, walk->table.strings + load_le32(raw), walk->name,
			       sizeof(walk->name), &size));
	/* The first is empty, and /proc/kallsyms does not show such. */
	if (size == 0)
		return KIOKU_OK;
	if (!isalpha(type))
		return KIOKU_ERROR_CORRUPT;
	uint64_t address = load_le64(raw + 8);
	char letter = (char)(is_exported(walk, address) ? toupper(type) : tolower(type));
	return walk->receive(walk->user, &(struct live_symbol){ address, letter, walk->name,
								walk->module->name });
}

enum kioku_status module_each_symbol(struct kioku_kernel *kernel, const struct module *module,
				     live_symbol_fn *receive, void *user)
{
	AUTO_FREE struct walk *walk = calloc(1, sizeof(*walk));

	if (!walk)
		return KIOKU_ERROR_NO_MEMORY;
	walk->kernel = kernel;
	walk->module = module;
	walk->receive = receive;
	walk->user = user;
	TRY(module_symbols_read(kernel, module, &walk->table));
	find_exports(walk);
	for (uint32_t i = 0; i < walk->table.count; i++)
		TRY(give_symbol(walk, i));
	return KIOKU_OK;
}
