/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "kernel/file_table.h"

/* Of 512 descriptors, which are a page of pointers; and how many such in a row may be missing. */
#define CHUNK        512u
#define LOST_CHUNKS  16u
#define WORD_BITS    64u
#define TABLE_LIMIT  (1u << 26) /* sixty-four times what fs.nr_open allows by default */
#define CHUNK_BITMAP (CHUNK / 8)

static const struct member task_members[] = {
	MEMBER(struct task_files, files, "files"),
	MEMBER(struct task_files, fs, "fs"),
	MEMBER(struct task_files, mm, "mm"),
	MEMBER(struct task_files, namespaces, "nsproxy"),
};
static const struct record task_files_record =
	RECORD(struct task_files, "task_struct", task_members);

static const struct member places_members[] = {
	MEMBER(struct file_system_places, working.mount, "pwd.mnt"),
	MEMBER(struct file_system_places, working.dentry, "pwd.dentry"),
	MEMBER(struct file_system_places, root.mount, "root.mnt"),
	MEMBER(struct file_system_places, root.dentry, "root.dentry"),
};
static const struct record places_record =
	RECORD(struct file_system_places, "fs_struct", places_members);

struct program {
	uint64_t file;
};

static const struct member program_members[] = { MEMBER(struct program, file, "exe_file") };
static const struct record program_record = RECORD(struct program, "mm_struct", program_members);

struct table_pointer {
	uint64_t table;
};

static const struct member files_members[] = { MEMBER(struct table_pointer, table, "fdt") };
static const struct record files_record =
	RECORD(struct table_pointer, "files_struct", files_members);

struct table {
	uint32_t size; /* descriptors */
	uint64_t files, open, close_on_exec;
};

static const struct member table_members[] = {
	MEMBER(struct table, size, "max_fds"),
	MEMBER(struct table, files, "fd"),
	MEMBER(struct table, open, "open_fds"),
	MEMBER(struct table, close_on_exec, "close_on_exec"),
};
const struct record file_table_record = RECORD(struct table, "fdtable", table_members);

static const struct member file_members[] = {
	MEMBER(struct file, path.mount, "f_path.mnt"),
	MEMBER(struct file, path.dentry, "f_path.dentry"),
	MEMBER(struct file, inode, "f_inode"),
	MEMBER(struct file, private, "private_data"),
	MEMBER(struct file, position, "f_pos"),
	MEMBER(struct file, flags, "f_flags"),
	MEMBER(struct file, mode, "f_mode"),
};
const struct record file_record = RECORD(struct file, "file", file_members);

/* Where it is, and nothing of how it is open. */
static const struct member file_place_members[] = {
	MEMBER(struct file, path.mount, "f_path.mnt"),
	MEMBER(struct file, path.dentry, "f_path.dentry"),
	MEMBER(struct file, inode, "f_inode"),
};
static const struct record file_place_record = RECORD(struct file, "file", file_place_members);

static const struct member inode_members[] = {
	MEMBER(struct file_inode, number, "i_ino"),   MEMBER(struct file_inode, superblock, "i_sb"),
	MEMBER(struct file_inode, size, "i_size"),    MEMBER(struct file_inode, mode, "i_mode"),
	MEMBER(struct file_inode, special, "i_rdev"),
};
const struct record file_inode_record = RECORD(struct file_inode, "inode", inode_members);

struct superblock_device {
	uint32_t device;
};

static const struct member superblock_members[] = {
	MEMBER(struct superblock_device, device, "s_dev"),
};
static const struct record device_record =
	RECORD(struct superblock_device, "super_block", superblock_members);

enum kioku_status task_read_files(struct kioku_kernel *kernel, const struct task *task,
				  struct task_files *out)
{
	return record_read_at(kernel, &task_files_record, task->address, out);
}

bool task_is_leaving(const struct task *task)
{
	const uint32_t exiting = 4; /* PF_EXITING, include/linux/sched.h, v4.18 to v7.0 */

	return task->exit_state || task->flags & exiting;
}

enum kioku_status task_read_places(struct kioku_kernel *kernel, uint64_t fs,
				   struct file_system_places *out)
{
	return record_read_at(kernel, &places_record, fs, out);
}

enum kioku_status task_read_program(struct kioku_kernel *kernel, uint64_t mm, uint64_t *out)
{
	struct program program;

	TRY(record_read_at(kernel, &program_record, mm, &program));
	*out = program.file;
	return KIOKU_OK;
}

static enum kioku_status read_file(struct kioku_kernel *kernel, const struct record *record,
				   uint64_t address, struct file *out)
{
	TRY(record_read_at(kernel, record, address, out));
	out->address = address;
	return kernel_is_pointer(kernel, out->path.dentry) &&
			       kernel_is_pointer(kernel, out->path.mount) &&
			       kernel_is_pointer(kernel, out->inode)
		       ? KIOKU_OK
		       : KIOKU_ERROR_CORRUPT;
}

enum kioku_status file_read(struct kioku_kernel *kernel, uint64_t address, struct file *out)
{
	return read_file(kernel, &file_record, address, out);
}

enum kioku_status file_read_place(struct kioku_kernel *kernel, uint64_t address, struct file *out)
{
	return read_file(kernel, &file_place_record, address, out);
}

enum kioku_status file_inode_read(struct kioku_kernel *kernel, uint64_t address,
				  struct file_inode *out)
{
	struct superblock_device superblock;

	TRY(record_read_at(kernel, &file_inode_record, address, out));
	TRY(record_read_at(kernel, &device_record, out->superblock, &superblock));
	out->device = superblock.device;
	return KIOKU_OK;
}

/* --- tables */

struct table_walk {
	struct kioku_kernel *kernel;
	const char *what;
	struct table table;
	descriptor_fn *receive;
	void *user;
	bool is_contradictory; /* and that was said */
};

static bool has_bit(const uint8_t *bitmap, uint32_t bit)
{
	return bitmap[bit / 8] >> (bit % 8) & 1;
}

static void contradiction(struct table_walk *walk, uint32_t number)
{
	if (!walk->is_contradictory)
		diagnose(&walk->kernel->diagnostics, KIOKU_GAP,
			 "%s: descriptor %u has a file, but is not marked as open", walk->what,
			 number);
	walk->is_contradictory = true;
}

/* A number that is taken but has no file yet is being opened: nothing is lost. */
static enum kioku_status give_chunk(struct table_walk *walk, uint32_t first, uint32_t count,
				    const uint8_t *files)
{
	uint8_t open[CHUNK_BITMAP], closing[CHUNK_BITMAP];
	size_t size = count / 8;
	bool is_marked = kernel_read(walk->kernel, walk->table.open + first / 8, open, size,
				     NULL) == KIOKU_OK;
	bool is_known = kernel_read(walk->kernel, walk->table.close_on_exec + first / 8, closing,
				    size, NULL) == KIOKU_OK;

	if (!is_marked || !is_known)
		diagnose(&walk->kernel->diagnostics, KIOKU_GAP,
			 "%s: which of the descriptors from %u on %s cannot be read", walk->what,
			 first, is_marked ? "close on exec" : "are open");
	for (uint32_t i = 0; i < count; i++) {
		struct descriptor descriptor = { first + i, load_le64(files + 8 * (size_t)i),
						 is_known && has_bit(closing, i) };
		if (!descriptor.file)
			continue;
		if (is_marked && !has_bit(open, i))
			contradiction(walk, descriptor.number);
		TRY(walk->receive(walk->user, &descriptor));
	}
	return KIOKU_OK;
}

static enum kioku_status walk_table(struct table_walk *walk)
{
	uint8_t files[CHUNK * 8];

	for (uint32_t first = 0, lost = 0; first < walk->table.size; first += CHUNK) {
		uint32_t count = walk->table.size - first;
		count = count < CHUNK ? count : CHUNK;
		if (kernel_read(walk->kernel, walk->table.files + 8 * (uint64_t)first, files,
				(size_t)count * 8, NULL) == KIOKU_OK) {
			lost = 0;
			TRY(give_chunk(walk, first, count, files));
			continue;
		}
		bool is_last = ++lost == LOST_CHUNKS;
		diagnose(&walk->kernel->diagnostics, KIOKU_GAP,
			 "%s: the files of descriptors %u to %u are not there", walk->what, first,
			 is_last ? walk->table.size - 1 : first + count - 1);
		if (is_last)
			break;
	}
	return KIOKU_OK;
}

enum kioku_status file_table_each(struct kioku_kernel *kernel, uint64_t files, const char *what,
				  descriptor_fn *receive, void *user)
{
	struct table_walk walk = {
		.kernel = kernel, .what = what, .receive = receive, .user = user
	};
	struct table_pointer pointer;

	TRY(record_read_at(kernel, &files_record, files, &pointer));
	TRY(record_read_at(kernel, &file_table_record, pointer.table, &walk.table));
	/* Bitmaps are made of words (alloc_fdtable() of fs/file.c). */
	if (walk.table.size == 0 || walk.table.size % WORD_BITS || walk.table.size > TABLE_LIMIT ||
	    !kernel_is_pointer(kernel, walk.table.files))
		return KIOKU_ERROR_CORRUPT;
	return walk_table(&walk);
}

/* --- what it stands for */

struct file_purpose {
	uint64_t operations, private;
};

static const struct member file_purpose_members[] = {
	MEMBER(struct file_purpose, operations, "f_op"),
	MEMBER(struct file_purpose, private, "private_data"),
};
static const struct record file_purpose_record =
	RECORD(struct file_purpose, "file", file_purpose_members);

enum kioku_status file_object(struct kioku_kernel *kernel, uint64_t address,
			      const char *const *operations, uint64_t *out)
{
	struct file_purpose file;

	*out = 0;
	TRY(record_read_at(kernel, &file_purpose_record, address, &file));
	for (size_t i = 0; operations[i]; i++)
		if (file.operations && file.operations == kernel_symbol(kernel, operations[i]))
			*out = file.private;
	return KIOKU_OK;
}
