/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mounted file systems, and those that the kernel keeps for itself: struct super_block. */
#ifndef KERNEL_SUPERBLOCK_H
#define KERNEL_SUPERBLOCK_H

#include "kernel/list.h"
#include "kernel/record.h"

#define FSTYPE_ROOM 64 /* bytes, the NUL included */

struct superblock {
	uint64_t address; /* not a member of it */
	uint64_t list_next, inodes_next;
	uint64_t type, root, mounts_first, mount, subtype, private, flags, magic;
	uint32_t device; /* dev_t */
	char id[32];
	char fstype
		[FSTYPE_ROOM]; /* "ext4", or "fuse.sshfs" as in /proc/mounts; not a member of it */
};

extern const struct record superblock_record;

/* dev_t inside of the kernel (include/linux/kdev_t.h, v4.18 to v7.0). */
static inline uint32_t device_major(uint32_t device)
{
	return device >> 20;
}

static inline uint32_t device_minor(uint32_t device)
{
	return device & 0xfffff;
}

/* Not OK: the walk stops with this status. */
typedef enum kioku_status superblock_fn(void *user, const struct superblock *superblock);

/* Every one, in the kernel's order. Errors: UNSUPPORTED (types, super_blocks), or receive's. */
enum kioku_status superblock_each(struct kioku_kernel *kernel, superblock_fn *receive, void *user,
				  struct kioku_error *error);

/* Errors: CORRUPT (it is none), UNSUPPORTED, ABSENT, UNMAPPED. */
enum kioku_status superblock_read(struct kioku_kernel *kernel, uint64_t address,
				  struct superblock *out);

/*
 * Where it is mounted: the path of the first of its mounts that is in a namespace, PATH_ROOM bytes at most.
 * Errors: NOT_FOUND (nowhere), and those of the path.
 */
struct path_text;
enum kioku_status superblock_mountpoint(struct kioku_kernel *kernel,
					const struct superblock *superblock, struct path_text *out);

#endif
