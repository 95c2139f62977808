/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rest of struct module: who uses it, what it was started with, where its tables are. Members are declared in
 * one order in all kernels, of which configurations leave some out; each is told by what it leads to.
 */
#include <string.h>

#include "kernel/infer_modules.h"

enum {
	USERS_LIMIT = 65536,
	NAMES_LIMIT = 4096, /* bytes of a string */
	LIVE = 0,           /* MODULE_STATE_LIVE */
};

struct module_search {
	struct inference *inference;
	const struct module_rows *modules;
};

static void note(struct module_search *search, const char *name, size_t column, const char *of_type,
		 const char *evidence)
{
	infer_member(search->inference, "module", name, column - search->modules->start, of_type,
		     evidence);
}

static bool is_live(const struct module_rows *modules, size_t row)
{
	return sample_u32(&modules->rows, row, modules->start) == LIVE;
}

/* A module of the list, by its address. */
static bool is_module(const struct module_rows *modules, uint64_t address)
{
	return samples_find(&modules->rows, address - modules->start) < modules->rows.count;
}

/* Text that ends, of which nothing need be there. */
static bool is_text(const struct module_search *search, uint64_t address)
{
	char text[NAMES_LIMIT];
	size_t size;

	if (kernel_read_string(search->inference->kernel, address, text, sizeof(text), &size) !=
	    KIOKU_OK)
		return false;
	for (size_t i = 0; i < size; i++)
		if ((text[i] < ' ' || text[i] > '~') && text[i] != '\n' && text[i] != '\t')
			return false;
	return true;
}

/* --- who uses it: source_list, target_list, exit and refcnt have followed each other in all kernels */

enum { TARGETS = 16, EXIT = 32, REFERENCES = 40, USE_MEMBERS = 44 };

/* struct module_use: a node in the list of who is used, one in that of who uses it, and both. */
enum { USE_SOURCE_LIST = 0, USE_TARGET_LIST = 16, USE_SOURCE = 32, USE_TARGET = 40 };

/* A list of such, through one of their nodes, in which one side is the module, and the other any. */
static bool are_uses(const struct module_search *search, size_t row, size_t column,
		     size_t node_place, size_t own, size_t other, uint32_t *count)
{
	uint64_t head = search->modules->rows.addresses[row] + column, node = head, owner, second;

	*count = 0;
	for (size_t i = 0; i < USERS_LIMIT; i++) {
		if (!infer_is_linked(search->inference, node, &node))
			return false;
		if (node == head)
			return true;
		uint64_t use = node - node_place;
		if (!infer_read(search->inference, use + own, &owner) ||
		    !infer_read(search->inference, use + other, &second) ||
		    owner != module_address(search->modules, row) ||
		    !is_module(search->modules, second))
			return false;
		(*count)++;
	}
	return false;
}

static bool are_users(const struct samples *rows, size_t column, void *user)
{
	const struct module_search *search = user;
	size_t exits = 0;

	if (column + USE_MEMBERS > rows->width)
		return false;
	for (size_t row = 0; row < rows->count; row++) {
		uint64_t leave = sample_u64(rows, row, column + EXIT);
		uint32_t users, used;
		if ((leave && !module_rows_own(search->modules, row, leave)) ||
		    !are_uses(search, row, column, USE_SOURCE_LIST, USE_TARGET, USE_SOURCE,
			      &users) ||
		    !are_uses(search, row, column + TARGETS, USE_TARGET_LIST, USE_SOURCE,
			      USE_TARGET, &used))
			return false;
		uint32_t references = sample_u32(rows, row, column + REFERENCES);
		/* One of its own, as long as it is not on its way out. */
		if (references > USERS_LIMIT || references < users ||
		    (is_live(search->modules, row) && references == users))
			return false;
		exits += leave != 0;
	}
	return exits > 0;
}

static void find_users(struct module_search *search)
{
	static const char *const evidence = "leads to who uses the module, and from there back";
	size_t column;

	if (!samples_only_column(&search->modules->rows, 8, are_users, search, &column))
		return;
	note(search, "source_list", column, "struct list_head", evidence);
	note(search, "refcnt", column + REFERENCES, "int", "more than those that use the module");
	infer_member(search->inference, "module_use", "source_list", USE_SOURCE_LIST,
		     "struct list_head", evidence);
	infer_member(search->inference, "module_use", "source", USE_SOURCE, "void *", evidence);
}

/* --- parameters: kp, then their number; struct kernel_param has the module, too */

enum {
	PARAMETER_COUNT = 8,
	PARAMETERS_LIMIT = 4096,
	PARAMETER_NAME = 0,
	PARAMETER_MODULE = 8,
	PARAMETER_OPERATIONS = 16,
	PARAMETER_ARGUMENT = 32,
	PARAMETER_SIZE = 40
};

static bool is_parameter(const struct module_search *search, size_t row, uint64_t address)
{
	uint64_t name, module;

	return module_rows_own(search->modules, row, address) &&
	       infer_read(search->inference, address + PARAMETER_NAME, &name) &&
	       infer_read(search->inference, address + PARAMETER_MODULE, &module) &&
	       module == module_address(search->modules, row) && is_text(search, name);
}

static bool are_parameters(const struct samples *rows, size_t column, void *user)
{
	const struct module_search *search = user;
	size_t found = 0;

	if (column + PARAMETER_COUNT + 4 > rows->width)
		return false;
	for (size_t row = 0; row < rows->count; row++) {
		uint64_t first = sample_u64(rows, row, column);
		uint32_t count = sample_u32(rows, row, column + PARAMETER_COUNT);
		if ((first == 0) != (count == 0) || count > PARAMETERS_LIMIT)
			return false;
		for (uint32_t i = 0; i < count; i++)
			if (!is_parameter(search, row, first + i * PARAMETER_SIZE))
				return false;
		found += count;
	}
	return found > 0;
}

/* What an array and a text of fixed size are made of has been the same since v2.6.36, include/linux/moduleparam.h. */
static void note_kinds_of_parameters(struct inference *inference)
{
	static const char *const evidence = "declaration";

	infer_member(inference, "kparam_array", "max", 0, "unsigned int", evidence);
	infer_member(inference, "kparam_array", "elemsize", 4, "unsigned int", evidence);
	infer_member(inference, "kparam_array", "num", 8, "void *", evidence);
	infer_member(inference, "kparam_array", "ops", 16, "void *", evidence);
	infer_member(inference, "kparam_array", "elem", 24, "void *", evidence);
	infer_member(inference, "kparam_string", "maxlen", 0, "unsigned int", evidence);
	infer_member(inference, "kparam_string", "string", 8, "void *", evidence);
}

static void find_parameters(struct module_search *search)
{
	static const char *const evidence = "each parameter has a name and leads to the module";
	struct inference *inference = search->inference;
	size_t column;

	if (!samples_only_column(&search->modules->rows, 8, are_parameters, search, &column))
		return;
	note(search, "kp", column, "void *", evidence);
	note(search, "num_kp", column + PARAMETER_COUNT, "unsigned int", evidence);
	infer_member(inference, "kernel_param", "name", PARAMETER_NAME, "void *", evidence);
	infer_member(inference, "kernel_param", "ops", PARAMETER_OPERATIONS, "void *", evidence);
	infer_member(inference, "kernel_param", "arg", PARAMETER_ARGUMENT, "void *", evidence);
	infer_size(inference, "kernel_param", PARAMETER_SIZE);
	note_kinds_of_parameters(inference);
}

/* --- versions: before holders_dir, which is called that */

static bool is_holders(const struct samples *rows, size_t column, void *user)
{
	const struct module_search *search = user;
	char name[8];
	uint64_t text;
	size_t size;

	for (size_t row = 0; row < rows->count; row++)
		if (!infer_read(search->inference, sample_u64(rows, row, column), &text) ||
		    kernel_read_string(search->inference->kernel, text, name, sizeof(name),
				       &size) != KIOKU_OK ||
		    strcmp(name, "holders") != 0)
			return false;
	return true;
}

/* modinfo_attrs: attributes that begin with their names, of the kernel's own. */
static bool is_attributes(const struct samples *rows, size_t column, void *user)
{
	const struct module_search *search = user;
	uint64_t name;

	for (size_t row = 0; row < rows->count; row++)
		if (!infer_read(search->inference, sample_u64(rows, row, column), &name) ||
		    !image_contains(&search->inference->kernel->image, name) ||
		    !is_text(search, name))
			return false;
	return true;
}

static bool is_text_or_none(const struct samples *rows, size_t column, void *user)
{
	const struct module_search *search = user;

	for (size_t row = 0; row < rows->count; row++) {
		uint64_t text = sample_u64(rows, row, column);
		if (text && !is_text(search, text))
			return false;
	}
	return true;
}

/* Both follow modinfo_attrs; behind them is nothing else, or (v6.16 on) one more text. */
static void find_versions(struct module_search *search)
{
	static const char *const evidence = "texts between attributes and holders";
	const struct samples *rows = &search->modules->rows;
	size_t holders;

	if (!samples_only_column(rows, 8, is_holders, search, &holders))
		return;
	for (size_t texts = 2; texts <= 3 && 8 * (texts + 1) <= holders; texts++) {
		size_t attributes = holders - 8 * (texts + 1);
		bool are_texts = is_attributes(rows, attributes, search);
		for (size_t i = 1; i <= texts; i++)
			are_texts = are_texts && is_text_or_none(rows, attributes + 8 * i, search);
		if (!are_texts)
			continue;
		note(search, "version", attributes + 8, "void *", evidence);
		note(search, "srcversion", attributes + 16, "void *", evidence);
		return;
	}
}

/* --- taints, a node in the list of those with BUG(), kallsyms, args, which follow each other */

/* Distances from bug_list (CONFIG_GENERIC_BUG). */
enum { BUG_TABLE = 16, AFTER_BUGS = 24, BUG_COUNT = 8, TAINTS = 16, BUGS_LIMIT = 1 << 20 };

/* Each leads to another module's, but for the last one, which leads to the head in the kernel's data. */
static bool is_bug_list(const struct samples *rows, size_t column, void *user)
{
	const struct module_search *search = user;
	size_t heads = 0;
	uint64_t next;

	if (column == MODULE_LEAD || column < search->modules->memory_end + TAINTS ||
	    column + AFTER_BUGS > rows->width)
		return false;
	for (size_t row = 0; row < rows->count; row++) {
		uint64_t table = sample_u64(rows, row, column + BUG_TABLE);
		if (!infer_is_linked(search->inference, rows->addresses[row] + column, &next))
			return false;
		bool is_head = image_contains(&search->inference->kernel->image, next);
		if ((!is_head && samples_find(rows, next - column) == rows->count) ||
		    (table && !module_rows_own(search->modules, row, table)) ||
		    sample_u32(rows, row, column - BUG_COUNT) > BUGS_LIMIT ||
		    sample_u64(rows, row, column - TAINTS) >> 32)
			return false;
		heads += is_head;
	}
	return heads == 1;
}

/* A pointer to what follows it, struct mod_kallsyms, of modules that have started. */
enum { SYMBOLS = 0, SYMBOL_COUNT = 8, SYMBOL_NAMES = 16, SYMBOL_TYPES = 24 };

static bool is_kallsyms(const struct samples *rows, size_t column, void *user)
{
	const struct module_search *search = user;
	const struct module_rows *modules = search->modules;
	size_t live = 0;

	if (column + 8 + SYMBOL_TYPES + 8 > rows->width)
		return false;
	for (size_t row = 0; row < rows->count; row++) {
		if (!is_live(modules, row))
			continue;
		size_t core = column + 8;
		if (sample_u64(rows, row, column) != rows->addresses[row] + core ||
		    !module_rows_own(modules, row, sample_u64(rows, row, core + SYMBOLS)) ||
		    !module_rows_own(modules, row, sample_u64(rows, row, core + SYMBOL_NAMES)))
			return false;
		live++;
	}
	return live > 0;
}

/* Letters of symbols are in a table of their own since v5.2 (1c7651f43777). */
static bool has_letters(const struct module_search *search, size_t column)
{
	const struct samples *rows = &search->modules->rows;

	for (size_t row = 0; row < rows->count; row++)
		if (is_live(search->modules, row) &&
		    !module_rows_own(search->modules, row,
				     sample_u64(rows, row, column + 8 + SYMBOL_TYPES)))
			return false;
	return true;
}

/* A text in every module, outside its memory: the command line was copied before there was any. */
static bool are_arguments(const struct module_search *search, size_t column)
{
	const struct samples *rows = &search->modules->rows;

	for (size_t row = 0; row < rows->count; row++) {
		uint64_t text = sample_u64(rows, row, column);
		if (module_rows_own(search->modules, row, text) || !is_text(search, text))
			return false;
	}
	return true;
}

static bool are_pointers(const struct module_search *search, size_t column)
{
	const struct samples *rows = &search->modules->rows;
	uint64_t word;

	for (size_t row = 0; row < rows->count; row++)
		if (!infer_read(search->inference, sample_u64(rows, row, column), &word))
			return false;
	return true;
}

/* kallsyms, what it leads to, sect_attrs and notes_attrs; the column behind them. */
static size_t find_kallsyms(struct module_search *search)
{
	static const char *const evidence = "leads to what follows it, tables in the module";
	struct inference *inference = search->inference;
	size_t column;

	if (!samples_only_column(&search->modules->rows, 8, is_kallsyms, search, &column))
		return NO_COLUMN;
	note(search, "kallsyms", column, "void *", evidence);
	infer_member(inference, "mod_kallsyms", "symtab", SYMBOLS, "void *", evidence);
	infer_member(inference, "mod_kallsyms", "num_symtab", SYMBOL_COUNT, "unsigned int",
		     evidence);
	infer_member(inference, "mod_kallsyms", "strtab", SYMBOL_NAMES, "void *", evidence);
	bool letters = has_letters(search, column);
	if (letters)
		infer_member(inference, "mod_kallsyms", "typetab", SYMBOL_TYPES, "void *",
			     evidence);
	size_t sections = column + 8 + (letters ? SYMBOL_TYPES + 8 : SYMBOL_TYPES);
	if (sections + 24 > search->modules->rows.width || !are_pointers(search, sections))
		return NO_COLUMN;
	note(search, "sect_attrs", sections, "void *", "declared behind tables of symbols");
	return sections + 16;
}

/* Where a command line is that every module has, with or without words, args leads to it. */
static void find_arguments(struct module_search *search, size_t column)
{
	if (column != NO_COLUMN && column + 8 <= search->modules->rows.width &&
	    are_arguments(search, column))
		note(search, "args", column, "void *", "a text in every module");
}

static void find_tables(struct module_search *search)
{
	size_t bugs;
	bool has_bugs = samples_only_column(&search->modules->rows, 8, is_bug_list, search, &bugs);
	size_t behind = find_kallsyms(search);

	if (has_bugs)
		note(search, "taints", bugs - TAINTS, "unsigned long",
		     "declared before the list that leads through all modules again");
	/* Without CONFIG_KALLSYMS there is nothing between. */
	if (behind == NO_COLUMN && has_bugs &&
	    infer_column(search->inference, "module", "kallsyms") == NO_COLUMN)
		behind = bugs + AFTER_BUGS;
	find_arguments(search, behind);
}

/* --- ORC: struct mod_arch_specific, the first member of which is a count */

enum { ORC_ADDRESSES = 8, ORC_RULES = 16, ORC_MEMBERS = 24, ORC_LIMIT = 1 << 22 };

/* Where an address of the table leads, each as far from itself as it says. */
static bool read_orc_address(const struct module_search *search, uint64_t table, uint32_t index,
			     uint64_t *out)
{
	uint64_t where = table + 4 * (uint64_t)index;
	uint8_t raw[4];

	if (kernel_read(search->inference->kernel, where, raw, sizeof(raw), NULL) != KIOKU_OK)
		return false;
	*out = where + (uint64_t)(int64_t)(int32_t)load_le32(raw);
	return true;
}

/* Some of them, in order, and in the module's code, but for what was only needed to start it. */
static bool is_orc_table(const struct module_search *search, size_t row, uint64_t table,
			 uint32_t count)
{
	const uint32_t parts = 8;
	uint64_t address, before = 0;
	uint32_t own = 0;

	if (!module_rows_own(search->modules, row, table))
		return false;
	for (uint32_t i = 0; i <= parts; i++) {
		uint32_t index = (uint32_t)((uint64_t)(count - 1) * i / parts);
		if (!read_orc_address(search, table, index, &address) || address < before)
			return false;
		own += module_rows_own(search->modules, row, address);
		before = address;
	}
	return own > parts / 2;
}

static bool is_orc(const struct samples *rows, size_t column, void *user)
{
	const struct module_search *search = user;
	size_t found = 0;

	if (column < search->modules->memory_end || column + ORC_MEMBERS > rows->width)
		return false;
	for (size_t row = 0; row < rows->count; row++) {
		uint32_t count = sample_u32(rows, row, column);
		uint64_t table = sample_u64(rows, row, column + ORC_ADDRESSES);
		if (count > ORC_LIMIT || (count == 0 && table))
			return false;
		if (count == 0)
			continue;
		if (!is_orc_table(search, row, table, count) ||
		    !module_rows_own(search->modules, row,
				     sample_u64(rows, row, column + ORC_RULES)))
			return false;
		found++;
	}
	return found > 0;
}

static void find_orc(struct module_search *search)
{
	static const char *const evidence = "addresses of the module's code, in order";
	size_t column;

	if (!samples_only_column(&search->modules->rows, 8, is_orc, search, &column))
		return;
	note(search, "arch", column, "struct mod_arch_specific", evidence);
	infer_member(search->inference, "mod_arch_specific", "num_orcs", 0, "unsigned int",
		     evidence);
	infer_member(search->inference, "mod_arch_specific", "orc_unwind_ip", ORC_ADDRESSES,
		     "void *", evidence);
	infer_member(search->inference, "mod_arch_specific", "orc_unwind", ORC_RULES, "void *",
		     evidence);
}

void infer_module_facts(struct inference *inference, struct module_rows *modules)
{
	struct module_search search = { inference, modules };

	modules->memory_end = modules->part + modules->part_count * modules->part_distance;
	find_users(&search);
	find_parameters(&search);
	find_versions(&search);
	find_tables(&search);
	find_orc(&search);
}
