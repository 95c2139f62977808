/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names that the kernel makes up when it is asked (d_dname in struct dentry_operations). */
#ifndef KERNEL_DYNAMIC_NAME_H
#define KERNEL_DYNAMIC_NAME_H

#include "kernel/path.h"

/*
 * The made-up name of a dentry, for path.c. *has_one is false, and out as it was, if it is an ordinary
 * name. Errors: UNSUPPORTED (of a kind that is not known), CORRUPT, UNMAPPED, ABSENT.
 */
enum kioku_status dynamic_name(struct kioku_kernel *kernel, const struct dentry *dentry,
			       struct path_text *out, bool *has_one);

/* As dentry_name(), where '/' is part of a name: such names are no steps of a path. */
enum kioku_status dentry_label(struct kioku_kernel *kernel, const struct dentry *dentry, char *out,
			       size_t *size);

#endif
