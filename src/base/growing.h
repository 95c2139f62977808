/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Arrays that grow by doubling. */
#ifndef BASE_GROWING_H
#define BASE_GROWING_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Room for one more element of an array of count ones, which has room for capacity; both may be moved on.
 * All of them zero is an empty array; free() releases it. False: no memory, and nothing has changed.
 */
#define GROW(array, count, capacity) growing_room(&(array), count, &(capacity), sizeof(*(array)))

bool growing_room(void *array, size_t count, size_t *capacity, size_t size);

#endif
