/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Types in the words of C. */
#ifndef TYPE_DECLARATION_H
#define TYPE_DECLARATION_H

#include <stdio.h>

#include "type/types.h"

/*
 * "TYPE NAME" for any type, in two parts: what pahole puts into its first column ("struct page *",
 * "void"), and the rest ("lru", "(*destructor)(struct sk_buff *)", "cb[48]"). Both are to be freed;
 * NULL when out of memory. Where the type is an anonymous struct, union or enum, *body is that, to be
 * put in the place of the first part. Types that go on without end are cut off with "...".
 */
struct declaration {
	char *left, *right;
	uint32_t body;
};

struct declaration declare(const struct kioku_types *types, uint32_t id, const char *name);

static inline void declaration_release(struct declaration *declaration)
{
	free(declaration->left);
	free(declaration->right);
}
#define AUTO_DECLARATION CLEANUP(declaration_release)

#endif
