/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "base/growing.h"

bool growing_room(void *array, size_t count, size_t *capacity, size_t size)
{
	void *old;

	if (count < *capacity)
		return true;
	/* Pointers of any type look alike, but only void pointers may be written as such. */
	memcpy(&old, array, sizeof(old));
	size_t more = 64, bytes;
	if ((*capacity && __builtin_mul_overflow(*capacity, (size_t)2, &more)) ||
	    __builtin_mul_overflow(more, size, &bytes))
		return false;
	void *grown = realloc(old, bytes);
	if (!grown)
		return false;
	memcpy(array, &grown, sizeof(grown));
	*capacity = more;
	return true;
}
