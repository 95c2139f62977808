/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of inference that concern the names of files share. */
#ifndef KERNEL_INFER_PATHS_H
#define KERNEL_INFER_PATHS_H

#include "kernel/infer.h"

/* Folders, or mounts, above one another, at most. */
#define PATH_STEPS_LIMIT 64

/*
 * Bytes of a struct file and of a dentry that are looked at. More would be the next one's, but for kernels whose
 * locks say who has them (CONFIG_DEBUG_LOCK_ALLOC), which take more.
 */
struct room {
	size_t file, dentry;
};

struct paths {
	struct inference *inference;
	struct room room;
	struct samples files;
	struct samples dentries;    /* those of the files, in their order, then all above them */
	struct samples inodes;      /* likewise, of the files alone */
	struct samples superblocks; /* likewise */
	size_t dentry; /* column of files, as all that follow are of what they are in */
	size_t inode;
	size_t name, parent, dentry_inode, dentry_superblock;
	size_t inode_superblock;
};

/* Whether what is at an address has a name where dentries have theirs. */
bool paths_has_name(struct paths *paths, uint64_t dentry);

/* What files are mounted in, once the members of files and dentries are known. */
void infer_mounts(struct paths *paths);

#endif
