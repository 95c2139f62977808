/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's own file in the page cache: what update-initramfs, kexec or a backup has read lately. */
#ifndef CHECK_CACHED_KERNEL_H
#define CHECK_CACHED_KERNEL_H

#include "kernel/kernel.h"
#include "kernel/kernel_file.h"

/*
 * The first vmlinuz of the kernel's build id of which every page is in memory. Errors: NOT_FOUND (there is none),
 * UNSUPPORTED (file systems cannot be read), NO_MEMORY.
 */
enum kioku_status cached_kernel_find(struct kioku_kernel *kernel, struct kernel_file *out,
				     struct kioku_error *error);

#endif
