/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files as the kernel has them in memory: struct inode, and the names that lead to it. */
#ifndef KERNEL_INODE_H
#define KERNEL_INODE_H

#include "kernel/superblock.h"

#define LINK_ROOM 4096 /* bytes of what a symbolic link leads to: PATH_MAX */

struct inode {
	uint64_t address; /* not a member of it */
	uint64_t number, superblock, mapping, list_next, alias_first, link, operations;
	uint64_t blocks; /* of 512 bytes */
	int64_t size;    /* bytes */
	uint32_t uid, gid, link_count, device, generation;
	uint16_t mode;
	int64_t atime, mtime, ctime;                             /* seconds */
	uint32_t atime_fraction, mtime_fraction, ctime_fraction; /* nanoseconds */
};

extern const struct record inode_record;

static inline bool inode_is(const struct inode *inode, uint32_t format)
{
	return (inode->mode & 0170000) == format; /* S_IFMT */
}

/* Errors: CORRUPT (it is none), UNSUPPORTED, ABSENT, UNMAPPED. */
enum kioku_status inode_read(struct kioku_kernel *kernel, uint64_t address, struct inode *out);

/* Not OK: the walk stops with this status. */
typedef enum kioku_status inode_fn(void *user, const struct inode *inode);

/* Every inode of a file system that is in memory. Errors: UNSUPPORTED, or receive's. */
enum kioku_status inode_each(struct kioku_kernel *kernel, const struct superblock *superblock,
			     inode_fn *receive, void *user, struct kioku_error *error);

/*
 * The address of every dentry of an inode, one for each of its names that is in memory. Damage ends
 * them, with a GAP. Errors: receive's.
 */
typedef enum kioku_status inode_alias_fn(void *user, uint64_t dentry);
enum kioku_status inode_each_alias(struct kioku_kernel *kernel, const struct inode *inode,
				   inode_alias_fn *receive, void *user);

/* A time in nanoseconds since 1970; false if it is none, or beyond what 64 bits hold. */
bool inode_time(int64_t seconds, uint32_t fraction, int64_t *out);

/*
 * When it was made, as tmpfs remembers it. Errors: UNSUPPORTED (this file system or kernel does not),
 * CORRUPT, ABSENT, UNMAPPED.
 */
enum kioku_status inode_birth(struct kioku_kernel *kernel, const struct inode *inode, int64_t *out);

/*
 * What a symbolic link leads to, LINK_ROOM bytes at most, without a NUL.
 * Errors: PAGED_OUT, CORRUPT, UNSUPPORTED, NOT_FOUND (it is not in memory), ABSENT, UNMAPPED.
 */
enum kioku_status inode_link(struct kioku_kernel *kernel, const struct inode *inode,
			     char out[LINK_ROOM], size_t *size);

#endif
