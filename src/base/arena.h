/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that is freed all at once: strings and lists that live as long as one handle or run. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_block;

/* All zero is an empty arena. */
struct arena {
	struct arena_block *block;
	size_t used;
};

/* Zeroed, aligned for any type; NULL when out of memory. */
void *arena_allocate(struct arena *arena, size_t size);

/* A NUL-terminated copy of size bytes, or a formatted string; NULL when out of memory. */
char *arena_copy(struct arena *arena, const void *data, size_t size);
char *arena_format(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

void arena_release(struct arena *arena);

#endif
