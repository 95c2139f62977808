/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of files: what the kernel's dentries and mounts say, byte for byte as d_path() gives it to /proc
 * (fs/d_path.c, v4.18 to v7.0). Names are bytes: anything but '/' and NUL.
 */
#ifndef KERNEL_PATH_H
#define KERNEL_PATH_H

#include "kernel/record.h"

#define PATH_ROOM  16384 /* bytes; what /proc itself can show ends at 4096 */
#define PATH_STEPS 16384 /* from a dentry up to its root, mounts included */
#define NAME_LIMIT \
	765 /* bytes: 255 characters of UTF-16 on FAT, NTFS and CIFS; else NAME_MAX, 255 */

/* The kernel's struct path: which dentry, seen through which mount. Both are addresses. */
struct path {
	uint64_t mount; /* of the struct vfsmount */
	uint64_t dentry;
};

extern const struct record path_record; /* members "mnt" and "dentry" */

/* What the kernel makes up names for, when it is asked (d_dname of struct dentry_operations). */
enum name_kind {
	NAME_PATH, /* an ordinary one */
	NAME_PIPE,
	NAME_SOCKET,
	NAME_ANONYMOUS, /* "anon_inode:[eventpoll]" */
	NAME_NAMESPACE,
	NAME_PROCESS, /* a pidfd, v6.9 on */
	NAME_DMA_BUFFER,
	NAME_SIMPLE, /* a file without a name: "/memfd:NAME", "/SYSV00000000", "/dev/zero" */
	NAME_KINDS
};

struct path_text {
	size_t size;
	bool deleted; /* there is no such name any more; data does not say so */
	enum name_kind kind;
	bool is_whole; /* the way up ended at the file system's root, or that of a namespace */
	char data[PATH_ROOM]; /* not NUL-terminated */
};

/*
 * The path of a dentry inside of its file system, from its superblock's root: "/" is the root itself.
 * What has a dynamic name (a pipe, a memfd) gets that.
 * Errors: CORRUPT (a name that cannot be one, a circle), LIMIT (longer than PATH_ROOM), UNSUPPORTED (a
 * dynamic name of a kind that is not known), UNMAPPED, ABSENT; the text is empty then.
 */
enum kioku_status path_of_dentry(struct kioku_kernel *kernel, uint64_t dentry,
				 struct path_text *out);

/*
 * The path through all mounts, up to root, or to the root of the namespace where root is NULL or not
 * above. out->is_whole says whether root was met (or a namespace's root, without one): what lies
 * outside of it, on a mount that was detached, or has no name at all, shows as much of its path as there
 * is, as in /proc. Errors: as above.
 */
enum kioku_status path_of(struct kioku_kernel *kernel, const struct path *path,
			  const struct path *root, struct path_text *out);

/* Appends " (deleted)" where that is so: what readlink() of /proc/PID/fd/N gives. */
void path_mark_deleted(struct path_text *text);

/* Reads a struct path at a kernel address. Errors: as record_read(). */
enum kioku_status path_read(struct kioku_kernel *kernel, uint64_t address, struct path *out);

/* Where a dentry leads, and the file system that it is of. */
struct dentry {
	uint64_t address; /* not a member of it */
	uint64_t parent, inode, operations, superblock, private, hash_link;
	uint64_t name; /* pointer */
	uint32_t name_size;
	char inline_name[48];
};

extern const struct record dentry_record;

/* Errors: CORRUPT (what it points at cannot be), UNSUPPORTED, UNMAPPED, ABSENT. */
enum kioku_status dentry_read(struct kioku_kernel *kernel, uint64_t address, struct dentry *out);

/* Its own name, at most NAME_LIMIT bytes, into out. Errors: as above. */
enum kioku_status dentry_name(struct kioku_kernel *kernel, const struct dentry *dentry, char *out,
			      size_t *size);

/* Whether its name was taken away (d_unlinked() in include/linux/dcache.h). */
static inline bool dentry_is_deleted(const struct dentry *dentry)
{
	return !dentry->hash_link && dentry->parent != dentry->address;
}

/* struct mount, around the struct vfsmount that all else points at. */
struct mount {
	uint64_t address;  /* of the struct mount; not a member of it */
	uint64_t vfsmount; /* of the struct vfsmount in it; likewise */
	uint64_t root, superblock, parent, mountpoint, namespace, device_name, master;
	int32_t id, group; /* group: that of its peers, 0 if it has none */
	uint32_t flags;
	uint32_t propagation; /* flags that were among the others before v6.17 */
	bool is_unbindable;   /* not a member of it */
};

extern const struct record mount_record;

/* Both by their own address. Errors: CORRUPT, UNSUPPORTED, UNMAPPED, ABSENT. */
enum kioku_status mount_read(struct kioku_kernel *kernel, uint64_t address, struct mount *out);
enum kioku_status mount_of_vfsmount(struct kioku_kernel *kernel, uint64_t vfsmount,
				    struct mount *out);

#endif
