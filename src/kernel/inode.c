/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/inode.h"

#include <string.h>
#include <sys/stat.h>

#include "kernel/page_cache.h"
#include "source/source.h"

/* In the nanoseconds of a ctime since v6.13: somebody has asked for it (I_CTIME_QUERIED). */
#define CTIME_QUERIED (UINT32_C(1) << 31)

/* clang-format off */
#define TIME(member, name)                                                                \
	MEMBER(struct inode, member, name "_sec", "__" name ".tv_sec", name ".tv_sec"),   \
	MEMBER(struct inode, member##_fraction, name "_nsec", "__" name ".tv_nsec",       \
	       name ".tv_nsec")
/* clang-format on */

static const struct member inode_members[] = {
	MEMBER(struct inode, number, "i_ino"),
	MEMBER(struct inode, mode, "i_mode"),
	MEMBER(struct inode, uid, "i_uid"),
	MEMBER(struct inode, gid, "i_gid"),
	MEMBER(struct inode, link_count, "i_nlink"),
	MEMBER(struct inode, device, "i_rdev"),
	MEMBER(struct inode, size, "i_size"),
	MEMBER(struct inode, blocks, "i_blocks"),
	/* v6.7: accessors only; v6.11: no more struct timespec64. */
	TIME(atime, "i_atime"),
	TIME(mtime, "i_mtime"),
	TIME(ctime, "i_ctime"),
	MEMBER(struct inode, superblock, "i_sb"),
	MEMBER(struct inode, mapping, "i_mapping"),
	MEMBER(struct inode, list_next, "i_sb_list.next"),
	MEMBER(struct inode, alias_first, "i_dentry.first"),
	MEMBER(struct inode, link, "i_link"),
	OPTIONAL(struct inode, generation, "i_generation"),
	OPTIONAL(struct inode, operations, "i_fop"),
};
const struct record inode_record = RECORD(struct inode, "inode", inode_members);

struct alias {
	uint64_t next, back, inode;
};

static const struct member alias_members[] = {
	MEMBER(struct alias, next, "d_u.d_alias.next", "d_alias.next"),
	MEMBER(struct alias, back, "d_u.d_alias.pprev", "d_alias.pprev"),
	MEMBER(struct alias, inode, "d_inode"),
};
static const struct record alias_record = RECORD(struct alias, "dentry", alias_members);

struct shmem_inode {
	int64_t seconds;
	uint32_t fraction;
	uint16_t mode; /* where the struct inode in it starts */
};

static const struct member shmem_members[] = {
	MEMBER(struct shmem_inode, seconds, "i_crtime.tv_sec"),
	MEMBER(struct shmem_inode, fraction, "i_crtime.tv_nsec"),
	MEMBER(struct shmem_inode, mode, "vfs_inode.i_mode"),
};
static const struct record shmem_record =
	RECORD(struct shmem_inode, "shmem_inode_info", shmem_members);

/* A type that there is; an inode that was just made has none. */
static bool has_format(const struct inode *inode)
{
	switch (inode->mode & S_IFMT) {
	case 0:
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK: return true;
	default: return false;
	}
}

enum kioku_status inode_read(struct kioku_kernel *kernel, uint64_t address, struct inode *out)
{
	const struct binding *binding;

	TRY(record_bind(kernel, &inode_record, &binding, NULL));
	if (address % 8 || !kernel_is_pointer(kernel, address))
		return KIOKU_ERROR_CORRUPT;
	TRY(record_read(kernel, binding, address, out, NULL));
	out->address = address;
	out->ctime_fraction &= ~CTIME_QUERIED;
	return has_format(out) && kernel_is_pointer(kernel, out->superblock) ? KIOKU_OK
									     : KIOKU_ERROR_CORRUPT;
}

enum kioku_status inode_each(struct kioku_kernel *kernel, const struct superblock *superblock,
			     inode_fn *receive, void *user, struct kioku_error *error)
{
	AUTO_LIST_WALK struct list_walk walk = { 0 };
	const struct binding *binding, *super;
	uint64_t node;

	TRY(record_bind(kernel, &inode_record, &binding, error));
	TRY(record_bind(kernel, &superblock_record, &super, error));
	list_begin(&walk, kernel,
		   superblock->address + BINDING_OFFSET(super, struct superblock, inodes_next),
		   "list of inodes");
	while (list_next(&walk, &node)) {
		struct inode inode;
		uint64_t address = node - BINDING_OFFSET(binding, struct inode, list_next);
		if (inode_read(kernel, address, &inode) != KIOKU_OK ||
		    inode.superblock != superblock->address)
			list_reject(&walk, "no inode of this file system");
		else
			TRY(receive(user, &inode));
	}
	return KIOKU_OK;
}

/* A node has to point back at what led to it, so that no way leads in a circle. */
enum kioku_status inode_each_alias(struct kioku_kernel *kernel, const struct inode *inode,
				   inode_alias_fn *receive, void *user)
{
	const struct binding *binding, *own;
	uint64_t at = inode->alias_first;

	TRY(record_bind(kernel, &alias_record, &binding, NULL));
	TRY(record_bind(kernel, &inode_record, &own, NULL));
	uint64_t back = inode->address + BINDING_OFFSET(own, struct inode, alias_first);
	while (at) {
		struct alias alias;
		uint64_t dentry = at - BINDING_OFFSET(binding, struct alias, next);
		if (at % 8 || !kernel_is_pointer(kernel, at) ||
		    record_read(kernel, binding, dentry, &alias, NULL) != KIOKU_OK ||
		    alias.back != back || alias.inode != inode->address) {
			diagnose(&kernel->diagnostics, KIOKU_GAP,
				 "names of inode %llu at 0x%llx: damaged at 0x%llx",
				 (unsigned long long)inode->number,
				 (unsigned long long)inode->address, (unsigned long long)at);
			return KIOKU_OK;
		}
		TRY(receive(user, dentry));
		back = at;
		at = alias.next;
	}
	return KIOKU_OK;
}

bool inode_time(int64_t seconds, uint32_t fraction, int64_t *out)
{
	return fraction < 1000000000 && !__builtin_mul_overflow(seconds, 1000000000, out) &&
	       !__builtin_add_overflow(*out, (int64_t)fraction, out);
}

enum kioku_status inode_birth(struct kioku_kernel *kernel, const struct inode *inode, int64_t *out)
{
	const struct binding *binding, *own;
	struct shmem_inode shmem;

	if (!page_cache_is_shmem(kernel, inode))
		return KIOKU_ERROR_UNSUPPORTED;
	TRY(record_bind(kernel, &shmem_record, &binding, NULL));
	TRY(record_bind(kernel, &inode_record, &own, NULL));
	uint64_t offset = BINDING_OFFSET(binding, struct shmem_inode, mode) -
			  BINDING_OFFSET(own, struct inode, mode);
	TRY(record_read(kernel, binding, inode->address - offset, &shmem, NULL));
	return inode_time(shmem.seconds, shmem.fraction, out) ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}

/* The first page of the content. */
static enum kioku_status keep_run(void *user, const struct page_run *run)
{
	*(struct page_run *)user = *run;
	return KIOKU_OK;
}

static enum kioku_status read_link_page(struct kioku_kernel *kernel, const struct inode *inode,
					uint8_t *page)
{
	struct page_cache cache;
	struct page_run run = { 0 };

	TRY(page_cache_open(kernel, inode, &cache, NULL));
	TRY(page_cache_each(kernel, &cache, 0, 0, keep_run, &run, NULL));
	switch (run.state) {
	case PAGE_RUN_PRESENT:
		return kioku_source_read(kernel->source, run.physical, page, PAGE_SIZE, NULL);
	case PAGE_RUN_SWAPPED: return page_cache_read_swapped(kernel, &run, 0, page, NULL);
	case PAGE_RUN_LOST: return KIOKU_ERROR_CORRUPT;
	default: return KIOKU_ERROR_NOT_FOUND;
	}
}

enum kioku_status inode_link(struct kioku_kernel *kernel, const struct inode *inode,
			     char out[LINK_ROOM], size_t *size)
{
	_Static_assert(LINK_ROOM == PAGE_SIZE, "a link is in one page");

	*size = (size_t)inode->size;
	if (inode->size <= 0 || inode->size >= LINK_ROOM)
		return KIOKU_ERROR_CORRUPT;
	if (kernel_is_pointer(kernel, inode->link))
		TRY(kernel_read(kernel, inode->link, out, *size, NULL));
	else
		TRY(read_link_page(kernel, inode, (uint8_t *)out));
	return memchr(out, '\0', *size) ? KIOKU_ERROR_CORRUPT : KIOKU_OK;
}
