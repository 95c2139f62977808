/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a symbol table is built, and what it looks like: one block without pointers, little-endian,
 * that serves from memory and from a mapped profile alike.
 */
#ifndef SYMBOL_SYMBOL_BUILDER_H
#define SYMBOL_SYMBOL_BUILDER_H

#include "base/name_index.h"
#include "symbol/symbols.h"

/* A type's byte also says that KASLR does not move the symbol. */
#define TYPE_ABSOLUTE 0x80

struct symbol_block_header {
	char magic[8];
	uint64_t size; /* of the whole block */
	uint64_t base; /* when it was built */
	uint32_t count;
	uint32_t head_count; /* a power of two */
	/* Offsets from the start of the block. */
	uint64_t values; /* u64 each: the address, minus base unless it is absolute */
	uint64_t names;  /* u32 each: from the start of text */
	uint64_t types;  /* u8 each */
	uint64_t heads;  /* u32 each, and */
	uint64_t next;   /* u32 each, for every symbol: see base/name_index.h */
	uint64_t text;   /* up to the end of the block; the last byte is 0 */
};

_Static_assert(sizeof(struct symbol_block_header) == 80, "the block has no hidden padding");

/* All zero is a builder without memory. */
struct symbol_builder {
	uint8_t *block;
	size_t capacity, text_used;
	struct symbol_block_header header;
};

/* Makes room for at most limit symbols. */
bool symbol_builder_begin(struct symbol_builder *builder, uint32_t limit);

/* Room for size bytes of text, valid until the next call; NULL when out of memory. */
char *symbol_builder_text(struct symbol_builder *builder, size_t size);

/* Adds a symbol whose name was written, with its NUL, at start in symbol_builder_text(). */
void symbol_builder_add(struct symbol_builder *builder, uint64_t address, char type, bool absolute,
			uint32_t start, size_t size);

/* Keeps size bytes of the text. */
void symbol_builder_commit(struct symbol_builder *builder, size_t size);

/* Takes what was built. Errors: NO_MEMORY. */
enum kioku_status symbol_builder_finish(struct symbol_builder *builder, struct kioku_symbols **out,
					struct kioku_error *error);

static inline void symbol_builder_release(struct symbol_builder *builder)
{
	free(builder->block);
	builder->block = NULL;
}

#endif
