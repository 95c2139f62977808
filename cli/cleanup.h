/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every local resource is released by a cleanup attribute, so that no function needs a goto. */
#ifndef CLI_CLEANUP_H
#define CLI_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>

#include <kioku/address.h>

#define CLEANUP(function) __attribute__((cleanup(function)))
#define AUTO_FREE         CLEANUP(cleanup_free)
#define AUTO_SPACE        CLEANUP(cleanup_space)

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_space(struct kioku_address_space **space)
{
	kioku_address_space_close(*space);
}

#endif
