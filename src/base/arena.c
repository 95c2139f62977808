/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define BLOCK_SIZE (64 * 1024)

struct arena_block {
	struct arena_block *next;
	size_t size;
	max_align_t data[];
};

void *arena_allocate(struct arena *arena, size_t size)
{
	size_t aligned = (size + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);

	if (aligned < size)
		return NULL;
	if (!arena->block || arena->block->size - arena->used < aligned) {
		size_t block_size = aligned > BLOCK_SIZE ? aligned : BLOCK_SIZE;
		struct arena_block *block = malloc(sizeof(*block) + block_size);
		if (!block)
			return NULL;
		block->next = arena->block;
		block->size = block_size;
		arena->block = block;
		arena->used = 0;
	}

	void *memory = (char *)arena->block->data + arena->used;
	arena->used += aligned;
	return memset(memory, 0, aligned);
}

char *arena_copy(struct arena *arena, const void *data, size_t size)
{
	char *copy = arena_allocate(arena, size + 1);

	if (copy && size)
		memcpy(copy, data, size);
	return copy;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int size = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	char *text = size < 0 ? NULL : arena_allocate(arena, (size_t)size + 1);
	if (text) {
		va_start(arguments, format);
		vsnprintf(text, (size_t)size + 1, format, arguments);
		va_end(arguments);
	}
	return text;
}

void arena_release(struct arena *arena)
{
	while (arena->block) {
		struct arena_block *next = arena->block->next;
		free(arena->block);
		arena->block = next;
	}
	arena->used = 0;
}
