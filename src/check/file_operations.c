/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is called for files: the operations of file systems, of the inodes of /proc and /sys, and of every file that
 * is open. What /proc and /sys are made of has the kernel's own operations always, whoever put a file there
 * (fs/proc/inode.c, fs/kernfs, fs/sysfs, 4.18 to 7.0).
 */
#include <stdio.h>
#include <string.h>

#include "check/operations.h"
#include "kernel/file_table.h"
#include "kernel/inode.h"

struct inode_tables {
	uint64_t inode, file, superblock, number;
};

static const struct member inode_members[] = {
	MEMBER(struct inode_tables, inode, "i_op"),
	MEMBER(struct inode_tables, file, "i_fop"),
	MEMBER(struct inode_tables, superblock, "i_sb"),
	MEMBER(struct inode_tables, number, "i_ino"),
};
static const struct record inode_tables_record =
	RECORD(struct inode_tables, "inode", inode_members);

struct file_tables {
	uint64_t operations, inode;
};

static const struct member file_members[] = {
	MEMBER(struct file_tables, operations, "f_op"),
	MEMBER(struct file_tables, inode, "f_inode"),
};
static const struct record file_tables_record = RECORD(struct file_tables, "file", file_members);

struct superblock_tables {
	uint64_t operations, dentries;
};

static const struct member superblock_members[] = {
	MEMBER(struct superblock_tables, operations, "s_op"),
	OPTIONAL(struct superblock_tables, dentries, "s_d_op",
		 "__s_d_op"), /* the latter v6.17 on */
};
static const struct record superblock_tables_record =
	RECORD(struct superblock_tables, "super_block", superblock_members);

struct dentry_tables {
	uint64_t operations, inode;
};

static const struct member dentry_members[] = {
	MEMBER(struct dentry_tables, operations, "d_op"),
	MEMBER(struct dentry_tables, inode, "d_inode"),
};
static const struct record dentry_tables_record =
	RECORD(struct dentry_tables, "dentry", dentry_members);

/* Who reaches what is looked at. */
struct looking {
	struct operations operations;
	struct address_set own; /* superblocks of /proc and /sys */
	const struct superblock *superblock;
	const struct object_owner *owner; /* of an open file; NULL: it is of superblock */
	uint64_t inode;                   /* its number; 0: none */
};

static void looking_release(struct looking *looking)
{
	operations_release(&looking->operations);
	address_set_release(&looking->own);
}

static void name_file(void *user, char out[OPERATIONS_SUBJECT])
{
	const struct looking *looking = user;
	int size = 0;

	if (looking->owner)
		size = snprintf(out, OPERATIONS_SUBJECT, "descriptor %u of %.16s",
				looking->owner->descriptor, looking->owner->comm);
	else
		size = snprintf(out, OPERATIONS_SUBJECT, "file system %s",
				looking->superblock->fstype);
	if (looking->inode)
		snprintf(out + size, OPERATIONS_SUBJECT - (size_t)size, ", inode %llu",
			 (unsigned long long)looking->inode);
}

/* --- file systems */

static bool is_own(const struct superblock *superblock)
{
	return strcmp(superblock->fstype, "proc") == 0 || strcmp(superblock->fstype, "sysfs") == 0;
}

static enum kioku_status judge_inode(struct looking *looking, uint64_t address,
				     enum operations_owner owner)
{
	struct operations *operations = &looking->operations;
	struct inode_tables tables;
	enum kioku_status status =
		record_read_at(operations->run->kernel, &inode_tables_record, address, &tables);

	if (status != KIOKU_OK) {
		operations_lose(operations, "inode", address, status);
		return KIOKU_OK;
	}
	looking->inode = tables.number;
	TRY(operations_judge(operations, "inode_operations", tables.inode, owner));
	return operations_judge(operations, "file_operations", tables.file, owner);
}

static enum kioku_status look_at_inode(void *user, const struct inode *inode)
{
	struct looking *looking = user;

	TRY(judge_inode(looking, inode->address, OPERATIONS_OF_KERNEL));
	looking->inode = 0;
	return KIOKU_OK;
}

static enum kioku_status look_at_root(struct looking *looking, enum operations_owner owner)
{
	struct operations *operations = &looking->operations;
	uint64_t root = looking->superblock->root;
	struct dentry_tables tables;

	if (root == 0)
		return KIOKU_OK;
	enum kioku_status status =
		record_read_at(operations->run->kernel, &dentry_tables_record, root, &tables);
	if (status != KIOKU_OK) {
		operations_lose(operations, "dentry", root, status);
		return KIOKU_OK;
	}
	TRY(operations_judge(operations, "dentry_operations", tables.operations, owner));
	if (tables.inode)
		TRY(judge_inode(looking, tables.inode, owner));
	looking->inode = 0;
	return KIOKU_OK;
}

static enum kioku_status look_at_superblock(void *user, const struct superblock *superblock)
{
	struct looking *looking = user;
	struct operations *operations = &looking->operations;
	struct kioku_kernel *kernel = operations->run->kernel;
	enum operations_owner owner =
		is_own(superblock) ? OPERATIONS_OF_KERNEL : OPERATIONS_OF_ANYBODY;
	struct superblock_tables tables;

	looking->superblock = superblock;
	if (is_own(superblock) &&
	    address_set_add(&looking->own, superblock->address) == ADDRESS_NO_MEMORY)
		return KIOKU_ERROR_NO_MEMORY;
	enum kioku_status status =
		record_read_at(kernel, &superblock_tables_record, superblock->address, &tables);
	if (status != KIOKU_OK) {
		operations_lose(operations, "superblock", superblock->address, status);
		return KIOKU_OK;
	}
	TRY(operations_judge(operations, "super_operations", tables.operations, owner));
	TRY(operations_judge(operations, "dentry_operations", tables.dentries, owner));
	TRY(look_at_root(looking, owner));
	return is_own(superblock) ? inode_each(kernel, superblock, look_at_inode, looking, NULL)
				  : KIOKU_OK;
}

/* --- open files */

static enum kioku_status take_file(struct kioku_kernel *kernel, uint64_t file, uint64_t *object)
{
	*object = kernel_is_pointer(kernel, file) ? file : 0;
	return *object ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}

static enum kioku_status look_at_file(struct looking *looking, uint64_t file)
{
	struct operations *operations = &looking->operations;
	struct kioku_kernel *kernel = operations->run->kernel;
	struct file_tables tables;
	struct inode_tables inode;
	enum kioku_status status = record_read_at(kernel, &file_tables_record, file, &tables);

	looking->inode = 0;
	if (status == KIOKU_OK)
		status = record_read_at(kernel, &inode_tables_record, tables.inode, &inode);
	if (status != KIOKU_OK) {
		operations_lose(operations, "file", file, status);
		return KIOKU_OK;
	}
	looking->inode = inode.number;
	bool has_own = address_set_has(&looking->own, inode.superblock);
	return operations_judge(operations, "file_operations", tables.operations,
				has_own ? OPERATIONS_OF_KERNEL : OPERATIONS_OF_ANYBODY);
}

static enum kioku_status look_at_files(struct looking *looking)
{
	AUTO_OBJECT_OWNERS struct object_owners files = { 0 };

	TRY(operations_open(&looking->operations, take_file, &files));
	for (size_t i = 0; i < files.count; i++) {
		if (i > 0 && files.owners[i].object == files.owners[i - 1].object)
			continue;
		looking->owner = &files.owners[i];
		looking->operations.pid = files.owners[i].pid;
		TRY(look_at_file(looking, files.owners[i].object));
	}
	return KIOKU_OK;
}

static const struct record *const records[] = {
	&inode_tables_record, &file_tables_record,   &superblock_tables_record,
	&superblock_record,   &dentry_tables_record, NULL,
};

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	CLEANUP(looking_release) struct looking looking = { 0 };

	TRY(operations_begin(&looking.operations, run,
			     "operations of files with the code of the kernel and modules", error));
	looking.operations.name = name_file;
	looking.operations.user = &looking;
	TRY(superblock_each(run->kernel, look_at_superblock, &looking, error));
	return look_at_files(&looking);
}

const struct check file_operations_check = {
	.name = "file_operations",
	.help = "what is called for file systems, for what is in /proc and /sys, and for open "
		"files",
	.records = records,
	.run = run_check,
};
