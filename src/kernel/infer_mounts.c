/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* struct mount, from files that are mapped, and the namespace of the first ones. */
#include "kernel/infer_paths.h"

/* mnt_parent and mnt_mountpoint are before the struct vfsmount in each, of which others have a pointer. */
enum {
	MOUNT_ROOM = 320, /* bytes that are looked at */
	MOUNT_LEAD = 32,
	MOUNT_PARENT = 16,
	MOUNT_POINT = 24,
	MOUNT_ROOT = 32,
	MOUNT_SUPERBLOCK = 40,
	MOUNT_FLAGS = 48
};

static bool is_dentry_of(struct paths *paths, uint64_t dentry, uint64_t superblock)
{
	uint64_t own;

	return paths_has_name(paths, dentry) &&
	       infer_read(paths->inference, dentry + paths->dentry_superblock, &own) &&
	       own == superblock;
}

/* Whether all mounts lead to one that is its own parent, and are where they say. */
static bool are_mounts(struct paths *paths, const struct samples *mounts)
{
	for (size_t row = 0; row < mounts->count; row++) {
		uint64_t mount = mounts->addresses[row], parent, point, root, superblock;
		bool is_top = false;
		for (size_t i = 0; i < PATH_STEPS_LIMIT && !is_top; i++) {
			if (!infer_read(paths->inference, mount + MOUNT_PARENT, &parent) ||
			    !infer_read(paths->inference, mount + MOUNT_POINT, &point) ||
			    !infer_read(paths->inference, mount + MOUNT_ROOT, &root) ||
			    !infer_read(paths->inference, mount + MOUNT_SUPERBLOCK, &superblock) ||
			    !is_dentry_of(paths, root, superblock) ||
			    !infer_read(paths->inference, parent + MOUNT_SUPERBLOCK, &superblock) ||
			    !is_dentry_of(paths, point, superblock))
				return false;
			is_top = parent == mount;
			mount = parent;
		}
		if (!is_top)
			return false;
	}
	return true;
}

/*
 * In struct nsproxy (include/linux/nsproxy.h, v4.9 to v7.0) the namespaces of names, of messages, of mounts and of
 * processes follow each other.
 */
enum { PROXY_ROOM = 64, NAMES = 0, MOUNTS = 16, PROCESSES = 24 };

/* The namespace of processes that the first task has a number in. */
static uint64_t initial_processes(struct inference *inference)
{
	const size_t pointer = infer_column(inference, "task_struct", "thread_pid");
	const size_t number = infer_column(inference, "pid", "numbers");
	uint64_t value;

	if (pointer == NO_COLUMN || number == NO_COLUMN ||
	    !infer_read(inference, sample_u64(&inference->tasks, 0, pointer) + number + 8, &value))
		return 0;
	return value;
}

/* That of mounts, if what is at an address is the first nsproxy, which the linker placed as the first others. */
static uint64_t mounts_of_proxy(struct inference *inference, uint64_t proxy, uint64_t processes)
{
	uint64_t names, mounts, value;

	for (size_t at = 0; at + PROCESSES < PROXY_ROOM; at += 8)
		if (infer_read(inference, proxy + at + PROCESSES, &value) && value == processes &&
		    infer_read(inference, proxy + at + NAMES, &names) &&
		    image_contains(&inference->kernel->image, names) &&
		    infer_read(inference, proxy + at + MOUNTS, &mounts) &&
		    kernel_is_pointer(inference->kernel, mounts))
			return mounts;
	return 0;
}

/* By what the first task leads to; 0: nowhere, or to several. */
static uint64_t initial_namespace(struct inference *inference)
{
	const uint64_t processes = initial_processes(inference);
	uint64_t found = 0;

	for (size_t column = 0; processes && column + 8 <= inference->tasks.width; column += 8) {
		uint64_t proxy = sample_u64(&inference->tasks, 0, column);
		if (!image_contains(&inference->kernel->image, proxy))
			continue;
		uint64_t mounts = mounts_of_proxy(inference, proxy, processes);
		if (mounts && found && mounts != found)
			return 0;
		found = mounts ? mounts : found;
	}
	return found;
}

struct namespace_search {
	const struct inference *inference;
	uint64_t initial;
};

static bool is_namespace(const struct samples *mounts, size_t column, void *user)
{
	const struct namespace_search *search = user;
	size_t initial = 0;

	for (size_t row = 0; row < mounts->count; row++) {
		uint64_t value = sample_u64(mounts, row, column);
		/* What the kernel alone mounts has an error for one. */
		if (value && value < (uint64_t)-4095 &&
		    !kernel_is_pointer(search->inference->kernel, value))
			return false;
		initial += value == search->initial;
	}
	return initial > 0;
}

void infer_mounts(struct paths *paths)
{
	static const char *const evidence = "mounts lead up to one that is its own parent";
	struct inference *inference = paths->inference;
	struct namespace_search search = { inference, initial_namespace(inference) };
	AUTO_SAMPLES struct samples mounts = { .width = MOUNT_ROOM };
	size_t columns[2];

	if (paths->dentry < 8 ||
	    !infer_follow(inference, &paths->files, paths->files.count, paths->dentry - 8,
			  MOUNT_LEAD, &mounts) ||
	    !are_mounts(paths, &mounts))
		return;
	infer_member(inference, "path", "mnt", 0, "void *", evidence);
	infer_member(inference, "path", "dentry", 8, "void *", evidence);
	infer_member(inference, "file", "f_path", paths->dentry - 8, "struct path", evidence);
	infer_member(inference, "vfsmount", "mnt_root", 0, "void *", evidence);
	infer_member(inference, "vfsmount", "mnt_sb", MOUNT_SUPERBLOCK - MOUNT_ROOT, "void *",
		     evidence);
	infer_member(inference, "vfsmount", "mnt_flags", MOUNT_FLAGS - MOUNT_ROOT, "int", evidence);
	infer_member(inference, "mount", "mnt_parent", MOUNT_PARENT, "void *", evidence);
	infer_member(inference, "mount", "mnt_mountpoint", MOUNT_POINT, "void *", evidence);
	infer_member(inference, "mount", "mnt", MOUNT_LEAD, "struct vfsmount", evidence);
	if (!search.initial)
		return;
	/* Since v6.18 one more member, behind it, has the namespace that a mount was in before. */
	size_t count = samples_columns(&mounts, 8, is_namespace, &search, columns, 2);
	if (count == 1 || count == 2)
		infer_member(inference, "mount", "mnt_ns", columns[0], "void *",
			     "the initial namespace, of mounts in it");
}
