/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kernel/dynamic_name.h"

struct operations {
	uint64_t dynamic_name;
};

static const struct member operations_members[] = {
	MEMBER(struct operations, dynamic_name, "d_dname"),
};
static const struct record operations_record =
	RECORD(struct operations, "dentry_operations", operations_members);

struct named_inode {
	uint64_t number, private;
};

static const struct member inode_members[] = {
	MEMBER(struct named_inode, number, "i_ino"),
	MEMBER(struct named_inode, private, "i_private"),
};
static const struct record inode_record = RECORD(struct named_inode, "inode", inode_members);

struct superblock_magic {
	uint64_t magic;
};

static const struct member superblock_members[] = {
	MEMBER(struct superblock_magic, magic, "s_magic"),
};
static const struct record superblock_record =
	RECORD(struct superblock_magic, "super_block", superblock_members);

struct namespace
{
	uint64_t operations;
	uint32_t inode;
};

static const struct member namespace_members[] = {
	MEMBER(struct namespace, operations, "ops"),
	MEMBER(struct namespace, inode, "inum"),
};
static const struct record namespace_record =
	RECORD(struct namespace, "ns_common", namespace_members);

struct name_pointer {
	uint64_t name;
};

static const struct member name_members[] = { MEMBER(struct name_pointer, name, "name") };
static const struct record namespace_operations_record =
	RECORD(struct name_pointer, "proc_ns_operations", name_members);
static const struct record dma_buffer_record = RECORD(struct name_pointer, "dma_buf", name_members);

/*
 * The function that makes a name says which kind it is. Where a compiler has renamed it, and without
 * symbols, the file system does (include/uapi/linux/magic.h, v4.18 to v7.0); simple_dname() has many.
 */
static const struct {
	const char *function;
	uint64_t magic;
} kinds[NAME_KINDS] = {
	[NAME_PIPE] = { "pipefs_dname", 0x50495045 },
	[NAME_SOCKET] = { "sockfs_dname", 0x534f434b },
	[NAME_ANONYMOUS] = { "anon_inodefs_dname", 0x09041934 },
	[NAME_NAMESPACE] = { "ns_dname", 0x6e736673 },
	[NAME_PROCESS] = { "pidfs_dname", 0x50494446 },
	[NAME_DMA_BUFFER] = { "dmabuffs_dname", 0x444d4142 },
	[NAME_SIMPLE] = { "simple_dname", 0 },
};

static enum kioku_status find_kind(struct kioku_kernel *kernel, const struct dentry *dentry,
				   uint64_t function, enum name_kind *out)
{
	struct superblock_magic superblock;

	for (*out = NAME_PIPE; *out < NAME_KINDS; (*out)++)
		if (kernel_symbol(kernel, kinds[*out].function) == function)
			return KIOKU_OK;
	TRY(record_read_at(kernel, &superblock_record, dentry->superblock, &superblock));
	for (*out = NAME_PIPE; *out < NAME_KINDS; (*out)++)
		if (kinds[*out].magic && kinds[*out].magic == superblock.magic)
			return KIOKU_OK;
	return KIOKU_ERROR_UNSUPPORTED;
}

static enum kioku_status namespace_name(struct kioku_kernel *kernel,
					const struct named_inode *inode, struct path_text *out)
{
	struct namespace namespace;
	struct name_pointer operations;
	char name[32];
	size_t size;

	TRY(record_read_at(kernel, &namespace_record, inode->private, &namespace));
	TRY(record_read_at(kernel, &namespace_operations_record, namespace.operations,
			   &operations));
	TRY(kernel_read_string(kernel, operations.name, name, sizeof(name), &size));
	if (namespace.inode != inode->number)
		return KIOKU_ERROR_CORRUPT;
	out->size = (size_t)snprintf(out->data, PATH_ROOM, "%s:[%" PRIu64 "]", name, inode->number);
	return KIOKU_OK;
}

/* What is before a dentry's own name. */
static enum kioku_status labelled(struct kioku_kernel *kernel, const struct dentry *dentry,
				  const char *before, struct path_text *out)
{
	size_t size, start = strlen(before);

	memcpy(out->data, before, start);
	TRY(dentry_label(kernel, dentry, out->data + start, &size));
	out->size = start + size;
	return KIOKU_OK;
}

/* "/dmabuf:" and what its owner calls it. */
static enum kioku_status dma_buffer_name(struct kioku_kernel *kernel, const struct dentry *dentry,
					 struct path_text *out)
{
	struct name_pointer buffer;
	size_t size;
	char name[33] = ""; /* DMA_BUF_NAME_LEN, include/uapi/linux/dma-buf.h */

	TRY(record_read_at(kernel, &dma_buffer_record, dentry->private, &buffer));
	if (buffer.name)
		TRY(kernel_read_string(kernel, buffer.name, name, sizeof(name), &size));
	TRY(labelled(kernel, dentry, "/", out));
	out->size += (size_t)snprintf(out->data + out->size, sizeof(name) + 1, ":%s", name);
	return KIOKU_OK;
}

static enum kioku_status make_name(struct kioku_kernel *kernel, const struct dentry *dentry,
				   enum name_kind kind, struct path_text *out)
{
	struct named_inode inode;

	TRY(record_read_at(kernel, &inode_record, dentry->inode, &inode));
	switch (kind) {
	case NAME_PIPE:
	case NAME_SOCKET:
		out->size = (size_t)snprintf(out->data, PATH_ROOM, "%s:[%" PRIu64 "]",
					     kind == NAME_PIPE ? "pipe" : "socket", inode.number);
		return KIOKU_OK;
	case NAME_ANONYMOUS: return labelled(kernel, dentry, "anon_inode:", out);
	case NAME_PROCESS:
		out->size = (size_t)snprintf(out->data, PATH_ROOM, "anon_inode:[pidfd]");
		return KIOKU_OK;
	case NAME_NAMESPACE: return namespace_name(kernel, &inode, out);
	case NAME_DMA_BUFFER: return dma_buffer_name(kernel, dentry, out);
	default: out->deleted = true; return labelled(kernel, dentry, "/", out);
	}
}

enum kioku_status dynamic_name(struct kioku_kernel *kernel, const struct dentry *dentry,
			       struct path_text *out, bool *has_one)
{
	struct operations operations;
	enum name_kind kind;

	*has_one = false;
	if (!dentry->operations)
		return KIOKU_OK;
	TRY(record_read_at(kernel, &operations_record, dentry->operations, &operations));
	if (!operations.dynamic_name)
		return KIOKU_OK;
	TRY(find_kind(kernel, dentry, operations.dynamic_name, &kind));
	*has_one = out->is_whole = true;
	out->kind = kind;
	return make_name(kernel, dentry, kind, out);
}
