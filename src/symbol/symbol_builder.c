/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <kioku/symbol.h>

#include "base/error.h"
#include "symbol/symbol_builder.h"
#include "symbol/symbol_table.h"

/* Blocks are read where they were written or on a machine like it: x86-64 and arm64 both. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "symbol blocks are little-endian");

bool symbol_builder_begin(struct symbol_builder *builder, uint32_t limit)
{
	struct symbol_block_header *header = &builder->header;
	uint32_t heads = name_index_heads(limit);

	*header = (struct symbol_block_header){ .magic = SYMBOL_BLOCK_MAGIC, .head_count = heads };
	header->values = sizeof(*header);
	header->heads = header->values + (uint64_t)limit * sizeof(uint64_t);
	header->next = header->heads + (uint64_t)heads * sizeof(uint32_t);
	header->names = header->next + (uint64_t)limit * sizeof(uint32_t);
	header->types = header->names + (uint64_t)limit * sizeof(uint32_t);
	header->text = header->types + limit;
	/* Names are 20 to 30 bytes long on the average. */
	builder->capacity = header->text + (uint64_t)limit * 32 + 4096;
	builder->text_used = 0;
	builder->block = malloc(builder->capacity);
	if (!builder->block)
		return false;
	return true;
}

char *symbol_builder_text(struct symbol_builder *builder, size_t size)
{
	size_t used = builder->header.text + builder->text_used;

	if (builder->capacity - used < size) {
		size_t capacity = builder->capacity + builder->capacity / 2 + size;
		uint8_t *block = realloc(builder->block, capacity);
		if (!block)
			return NULL;
		builder->block = block;
		builder->capacity = capacity;
	}
	return (char *)builder->block + used;
}

void symbol_builder_add(struct symbol_builder *builder, uint64_t address, char type, bool absolute,
			uint32_t start, size_t size)
{
	struct symbol_block_header *header = &builder->header;
	uint8_t *block = builder->block;
	uint32_t index = header->count++;
	uint32_t name = (uint32_t)builder->text_used + start;
	uint8_t type_byte = (uint8_t)type | (absolute ? TYPE_ABSOLUTE : 0);

	memcpy(block + header->values + 8ull * index, &address, sizeof(address));
	memcpy(block + header->names + 4ull * index, &name, sizeof(name));
	block[header->types + index] = type_byte;

	const char *text = (const char *)block + header->text + name;
	if (!header->base && !absolute && size == 5 && memcmp(text, "_text", 5) == 0)
		header->base = address;
}

void symbol_builder_commit(struct symbol_builder *builder, size_t size)
{
	builder->text_used += size;
}

static void build_index(const struct symbol_block_header *header, uint8_t *block)
{
	const uint32_t *names = (const uint32_t *)(block + header->names);
	uint32_t *heads = (uint32_t *)(block + header->heads);
	uint32_t *next = (uint32_t *)(block + header->next);

	memset(heads, 0, header->head_count * sizeof(*heads));
	for (uint32_t i = header->count; i-- > 0;) {
		const char *name = (const char *)block + header->text + names[i];
		name_index_add(heads, header->head_count, next, name_hash(name, strlen(name)), i);
	}
}

enum kioku_status symbol_builder_finish(struct symbol_builder *builder, struct kioku_symbols **out,
					struct kioku_error *error)
{
	struct symbol_block_header *header = &builder->header;
	uint8_t *block = builder->block;
	uint64_t *values = (uint64_t *)(block + header->values);

	/* Without _text, the first symbol that moves will do: it is the same in the next boot. */
	for (uint32_t i = 0; i < header->count && !header->base; i++)
		if (!(block[header->types + i] & TYPE_ABSOLUTE))
			header->base = values[i];
	for (uint32_t i = 0; i < header->count; i++)
		if (!(block[header->types + i] & TYPE_ABSOLUTE))
			values[i] -= header->base;
	if (builder->text_used == 0)
		block[header->text + builder->text_used++] = 0;
	build_index(header, block);
	header->size = header->text + builder->text_used;
	memcpy(block, header, sizeof(*header));

	/* Shrinking cannot fail in a way that matters. */
	uint8_t *fitted = realloc(block, header->size);
	if (fitted)
		builder->block = block = fitted;
	TRY(symbols_from_blob((struct bytes){ block, header->size }, header->base, out, error));
	(*out)->owned = TAKE(builder->block);
	return KIOKU_OK;
}
