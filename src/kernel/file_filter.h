/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which files somebody asked for: --fstype and --path. */
#ifndef KERNEL_FILE_FILTER_H
#define KERNEL_FILE_FILTER_H

#include "kernel/path.h"
#include "kernel/superblock.h"

struct file_filter {
	const char *fstype; /* NULL: all; also the part before a '.', "fuse" of "fuse.sshfs" */
	const char *path;   /* a glob of fnmatch(3), where '*' also matches '/'; NULL: all */
};

bool file_filter_has_fstype(const struct file_filter *filter, const struct superblock *superblock);

/*
 * Whether a path in its file system, or a folder above it, matches: by itself, or behind the path where the
 * file system is mounted. mountpoint: NULL if it is not.
 */
bool file_filter_has_path(const struct file_filter *filter, const struct path_text *mountpoint,
			  const struct path_text *path);

#endif
