/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mount namespaces: all mounts of one, and the file systems that these show. */
#ifndef KERNEL_MOUNT_NAMESPACE_H
#define KERNEL_MOUNT_NAMESPACE_H

#include "kernel/path.h"
#include "kernel/superblock.h"

struct mount_namespace {
	uint64_t address;         /* not a member of it */
	uint64_t root;            /* struct mount */
	uint64_t list_next, tree; /* one of them; which one depends on the kernel */
	uint32_t inode;           /* its number, as in /proc/PID/ns/mnt */
	uint32_t count;           /* of mounts */
};

/* The namespace that a struct nsproxy names. Errors: CORRUPT, UNSUPPORTED, UNMAPPED, ABSENT. */
enum kioku_status mount_namespace_of(struct kioku_kernel *kernel, uint64_t proxy,
				     struct mount_namespace *out);

/* Not OK: the walk stops with this status. */
typedef enum kioku_status mount_fn(void *user, const struct mount *mount);

/*
 * Every mount of a namespace; what is damaged is reported as a gap.
 * Errors: receive's, and UNSUPPORTED (neither a list nor a tree of them).
 */
enum kioku_status mount_namespace_each(struct kioku_kernel *kernel,
				       const struct mount_namespace *namespace, mount_fn *receive,
				       void *user, struct kioku_error *error);

/* mnt_flags and s_flags, include/linux/mount.h and fs.h, v4.18 to v7.0. */
#define MOUNT_READ_ONLY      0x40u
#define SUPERBLOCK_READ_ONLY 1u

extern const struct record mount_namespace_record;

/* What tmpfs, and what is made of it, can be mounted with. */
struct tmpfs_options {
	uint64_t blocks, inodes; /* at most; 0: unlimited */
	uint32_t uid, gid;
	uint16_t mode;
	uint8_t huge;
	bool inodes_are_64, noswap;
	uint64_t default_blocks, default_inodes; /* 0: not known */
};

/* Errors: NOT_FOUND (it is no tmpfs), CORRUPT, UNSUPPORTED, UNMAPPED, ABSENT. */
enum kioku_status tmpfs_read(struct kioku_kernel *kernel, const struct superblock *superblock,
			     struct tmpfs_options *out);

#endif
