/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every local resource is released by a cleanup attribute, so that no function needs a goto. */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))
#define AUTO_FREE         CLEANUP(cleanup_free)
#define AUTO_CLOSE        CLEANUP(cleanup_close)

/* Hands a pointer (or descriptor) on: the variable no longer owns it. */
#define TAKE(pointer)                                  \
	({                                             \
		__typeof__(pointer) taken = (pointer); \
		(pointer) = NULL;                      \
		taken;                                 \
	})

/* Defines cleanup_NAME for variables of type TYPE *, which CLOSE releases; CLOSE takes NULL. */
#define DEFINE_CLEANUP(name, type, close)                \
	static inline void cleanup_##name(type **handle) \
	{                                                \
		close(*handle);                          \
	}

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_close(int *descriptor)
{
	if (*descriptor >= 0)
		close(*descriptor);
}

#endif
