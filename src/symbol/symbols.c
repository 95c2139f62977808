/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "symbol/symbol_builder.h"
#include "symbol/symbol_table.h"

/* An array of a block, or NULL if it is not all inside. */
static const uint8_t *array(struct bytes block, uint64_t offset, uint64_t count, size_t size)
{
	struct bytes bytes;

	return bytes_slice(block, offset, count * size, &bytes) ? bytes.data : NULL;
}

enum kioku_status symbols_from_blob(struct bytes blob, uint64_t base, struct kioku_symbols **out,
				    struct kioku_error *error)
{
	static const char magic[8] = SYMBOL_BLOCK_MAGIC;
	struct symbol_block_header header;
	struct kioku_symbols table = { .block = blob, .base = base };

	if (blob.size < sizeof(header))
		return error_set(error, KIOKU_ERROR_CORRUPT, "the symbol block is cut off");
	memcpy(&header, blob.data, sizeof(header));
	if (memcmp(header.magic, magic, sizeof(magic)) != 0)
		return error_set(error, KIOKU_ERROR_CORRUPT, "this is no symbol block");
	table.count = header.count;
	table.head_count = header.head_count;
	table.values = array(blob, header.values, header.count, 8);
	table.names = array(blob, header.names, header.count, 4);
	table.types = array(blob, header.types, header.count, 1);
	table.heads = array(blob, header.heads, header.head_count, 4);
	table.next = array(blob, header.next, header.count, 4);
	if (header.size != blob.size || !table.values || !table.names || !table.types ||
	    !table.heads || !table.next || header.head_count == 0 ||
	    (header.head_count & (header.head_count - 1)) != 0 || header.text >= blob.size ||
	    !bytes_slice(blob, header.text, blob.size - header.text, &table.text) ||
	    table.text.data[table.text.size - 1] != 0)
		return error_set(error, KIOKU_ERROR_CORRUPT, "the symbol block is damaged");

	*out = malloc(sizeof(table));
	if (!*out)
		return error_no_memory(error);
	**out = table;
	return KIOKU_OK;
}

void symbols_close(struct kioku_symbols *symbols)
{
	if (!symbols)
		return;
	free(symbols->owned);
	free(symbols);
}

struct bytes symbols_blob(const struct kioku_symbols *symbols)
{
	return symbols->block;
}

uint64_t symbols_base(const struct kioku_symbols *symbols)
{
	return symbols->base;
}

size_t kioku_symbols_count(const struct kioku_symbols *symbols)
{
	return symbols->count;
}

bool symbols_is_absolute(const struct kioku_symbols *symbols, size_t index)
{
	return symbols->types[index] & TYPE_ABSOLUTE;
}

struct kioku_symbol kioku_symbols_get(const struct kioku_symbols *symbols, size_t index)
{
	uint8_t type = symbols->types[index] & (uint8_t)~TYPE_ABSOLUTE;
	uint64_t value = load_le64(symbols->values + 8 * index);
	uint32_t name = load_le32(symbols->names + 4 * index);

	/* The text ends in a NUL, so that every offset inside it is a string. */
	if (name >= symbols->text.size)
		name = (uint32_t)symbols->text.size - 1;
	return (struct kioku_symbol){
		.address = symbols_is_absolute(symbols, index) ? value : value + symbols->base,
		.type = type > ' ' && type < 0x7f ? (char)type : '?',
		.name = (const char *)symbols->text.data + name,
	};
}

bool symbols_next_named(const struct kioku_symbols *symbols, const char *name,
			struct symbol_cursor *cursor, struct kioku_symbol *out)
{
	uint32_t hash = name_hash(name, strlen(name));
	uint32_t index;

	while (name_index_next(symbols->heads, symbols->head_count, symbols->next, symbols->count,
			       hash, &cursor->state, &index)) {
		*out = kioku_symbols_get(symbols, index);
		if (strcmp(out->name, name) == 0)
			return true;
	}
	return false;
}

enum kioku_status kioku_symbols_find(const struct kioku_symbols *symbols, const char *name,
				     struct kioku_symbol *out, struct kioku_error *error)
{
	struct symbol_cursor cursor = { 0 };

	if (symbols_next_named(symbols, name, &cursor, out))
		return KIOKU_OK;
	return error_set(error, KIOKU_ERROR_NOT_FOUND, "there is no symbol %s", name);
}

size_t symbols_above(const struct kioku_symbols *symbols, uint64_t address)
{
	size_t low = 0;
	size_t high = symbols->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (kioku_symbols_get(symbols, middle).address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint64_t symbols_room(const struct kioku_symbols *symbols, uint64_t address)
{
	size_t above = symbols_above(symbols, address);

	return above < symbols->count ? kioku_symbols_get(symbols, above).address - address : 0;
}

bool symbols_nearest(const struct kioku_symbols *symbols, uint64_t address,
		     struct kioku_symbol *out)
{
	size_t above = symbols_above(symbols, address);

	if (above == 0)
		return false;
	*out = kioku_symbols_get(symbols, above - 1);
	return true;
}
