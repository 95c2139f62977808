/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "base/growing.h"
#include "format/system_map_format.h"
#include "symbol/symbol_builder.h"
#include "symbol/symbol_list.h"

#define COUNT_LIMIT (1u << 24) /* Debian's kernels have 200,000 */
#define TEXT_LIMIT  (1u << 30) /* bytes of all names: a table counts in 32 bits */
#define NAME_LIMIT  512        /* include/linux/kallsyms.h, KSYM_NAME_LEN */

static void release_builder(struct symbol_builder *builder)
{
	symbol_builder_release(builder);
}

void symbol_list_release(struct symbol_list *list)
{
	free(list->list);
	*list = (struct symbol_list){ 0 };
}

bool symbol_list_add(struct symbol_list *list, uint64_t address, char type, struct bytes name)
{
	if (name.size == 0 || name.size > NAME_LIMIT || memchr(name.data, '\0', name.size))
		return true;
	if (!GROW(list->list, list->count, list->capacity))
		return false;
	list->text_size += name.size + 1;
	list->list[list->count] = (struct listed_symbol){
		.address = address, .name = name, .order = (uint32_t)list->count, .type = type
	};
	list->count++;
	return true;
}

static int compare(const void *left, const void *right)
{
	const struct listed_symbol *a = left, *b = right;

	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

enum kioku_status symbols_from_list(struct symbol_list *list, struct kioku_symbols **out,
				    struct kioku_error *error)
{
	CLEANUP(release_builder) struct symbol_builder builder = { 0 };

	if (list->count == 0)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "it has no symbols");
	if (list->count > COUNT_LIMIT || list->text_size > TEXT_LIMIT)
		return error_set(error, KIOKU_ERROR_LIMIT,
				 "it has more symbols than any kernel: %zu", list->count);
	qsort(list->list, list->count, sizeof(*list->list), compare);
	if (!symbol_builder_begin(&builder, (uint32_t)list->count))
		return error_no_memory(error);
	for (size_t i = 0; i < list->count; i++) {
		const struct listed_symbol *symbol = &list->list[i];
		char *text = symbol_builder_text(&builder, symbol->name.size + 1);
		if (!text)
			return error_no_memory(error);
		memcpy(text, symbol->name.data, symbol->name.size);
		text[symbol->name.size] = '\0';
		symbol_builder_add(&builder, symbol->address, symbol->type,
				   !(symbol->address >> 63), 0, symbol->name.size);
		symbol_builder_commit(&builder, symbol->name.size + 1);
	}
	return symbol_builder_finish(&builder, out, error);
}

enum kioku_status symbols_from_map(struct bytes text, struct kioku_symbols **out,
				   struct kioku_error *error)
{
	AUTO_SYMBOL_LIST struct symbol_list list = { 0 };
	struct system_map_line line;
	size_t at = 0, number = 1;
	bool has_addresses = false;

	for (; system_map_next(text, &at, &line); number++) {
		has_addresses |= line.address != 0;
		if (!line.is_of_module &&
		    !symbol_list_add(&list, line.address, line.type, line.name))
			return error_no_memory(error);
	}
	if (at < text.size)
		return error_set(error, KIOKU_ERROR_CORRUPT,
				 "line %zu is not \"ADDRESS TYPE NAME\"", number);
	if (list.count && !has_addresses)
		return error_set(error, KIOKU_ERROR_CORRUPT,
				 "all addresses are 0: /proc/kallsyms says so to whoever may not "
				 "know them");
	return symbols_from_list(&list, out, error);
}
