/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/address_set.h"
#include "kernel/crosscheck.h"

#define RECORD_LIMIT 65536 /* task_struct's members take 12 bytes each */

/* FNV-1a; never 0, which the set cannot hold. */
static uint64_t hash_name(const char *name, size_t length)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)name[i]) * 0x100000001b3ull;
	return hash | 1;
}

/*
 * Compilers append .isra.0, .constprop.0 and the like to functions that they specialise; newer
 * pahole (v1.25) lists such a function by its plain name.
 */
static bool collect_plain_names(const struct kioku_symbols *symbols, struct address_set *names)
{
	size_t count = kioku_symbols_count(symbols);

	for (size_t i = 0; i < count; i++) {
		const char *name = kioku_symbols_get(symbols, i).name;
		const char *dot = strchr(name, '.');
		if (dot && address_set_add(names, hash_name(name, (size_t)(dot - name))) ==
				   ADDRESS_NO_MEMORY)
			return false;
	}
	return true;
}

static void release(struct address_set *set)
{
	address_set_release(set);
}

bool crosscheck_names(const struct kioku_symbols *symbols, const struct kioku_types *types)
{
	CLEANUP(release) struct address_set plain = { 0 };
	struct kioku_symbol symbol;
	size_t functions = 0, missing = 0;

	if (!collect_plain_names(symbols, &plain))
		return true;
	for (uint32_t id = 1; id <= kioku_types_count(types); id++) {
		if (kioku_type_kind(types, id) != KIOKU_TYPE_FUNCTION)
			continue;
		const char *name = kioku_type_name(types, id);
		functions++;
		missing += kioku_symbols_find(symbols, name, &symbol, NULL) != KIOKU_OK &&
			   !address_set_has(&plain, hash_name(name, strlen(name)));
	}
	return missing * 100 <= functions;
}

static bool record_agrees(struct kioku_kernel *kernel, uint64_t start,
			  const struct kioku_types *types, const char *name)
{
	uint8_t found[RECORD_LIMIT];
	struct btf_record record;
	uint32_t id;

	if (kioku_types_find(types, name, &id, NULL) != KIOKU_OK ||
	    !types_record(types, id, &record) || record.more.size > sizeof(found))
		return true;
	uint64_t offset = (uint64_t)(record.more.data - types_btf(types).data);
	return kernel_read(kernel, start + offset, found, record.more.size, NULL) == KIOKU_OK &&
	       memcmp(found, record.more.data, record.more.size) == 0;
}

bool crosscheck_types(struct kioku_kernel *kernel, const struct kioku_symbols *symbols,
		      const struct kioku_types *types)
{
	static const char *const names[] = { "struct task_struct", "struct signal_struct",
					     "struct cred",        "struct pid",
					     "struct mm_struct",   "struct list_head",
					     "struct timekeeper",  "struct tk_read_base" };
	struct kioku_symbol start;

	if (kioku_symbols_find(symbols, "__start_BTF", &start, NULL) != KIOKU_OK)
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!record_agrees(kernel, start.address, types, names[i]))
			return false;
	return true;
}
