/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which file has a name in a folder, as far as the kernel has the folder's entries (dentries) in memory. */
#ifndef KERNEL_NAMESAKE_H
#define KERNEL_NAMESAKE_H

#include "kernel/path.h"

enum namesake {
	NAMESAKE_UNKNOWN, /* its folder's entries cannot be read, or are damaged */
	NAMESAKE_NONE,    /* none that the kernel has in memory */
	NAMESAKE_THERE,   /* another file has it */
};

/* The one of a name; out, which may be NULL, is set if there is one. */
enum namesake namesake_in(struct kioku_kernel *kernel, uint64_t folder, const char *name,
			  struct dentry *out);

/* Of a dentry whose name was taken away: whether another one in its folder has the same, and a file. */
enum namesake namesake_find(struct kioku_kernel *kernel, const struct dentry *dentry);

#endif
