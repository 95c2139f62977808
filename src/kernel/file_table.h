/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What processes have open: their tables of descriptors, and the files behind these. */
#ifndef KERNEL_FILE_TABLE_H
#define KERNEL_FILE_TABLE_H

#include "kernel/path.h"
#include "kernel/superblock.h"
#include "kernel/task.h"

/* Not all of these are there: kernel threads have no memory, tasks that ended have nothing. */
struct task_files {
	uint64_t files; /* struct files_struct, which threads mostly share */
	uint64_t fs;    /* struct fs_struct: working directory and root */
	uint64_t mm;
	uint64_t namespaces; /* struct nsproxy */
};

/* Errors: UNSUPPORTED, UNMAPPED, ABSENT. */
enum kioku_status task_read_files(struct kioku_kernel *kernel, const struct task *task,
				  struct task_files *out);

/*
 * Whether a task, read with TASK_MEMBERS, is on its way out, and may have let go of what it had: all of
 * the above is 0 then, and of no other task but a process without memory.
 */
bool task_is_leaving(const struct task *task);

struct file_system_places {
	struct path working, root;
};

/* Errors: CORRUPT, UNSUPPORTED, UNMAPPED, ABSENT. */
enum kioku_status task_read_places(struct kioku_kernel *kernel, uint64_t fs,
				   struct file_system_places *out);

/* The struct file of the program that a process runs, 0 where there is none. Errors: as above. */
enum kioku_status task_read_program(struct kioku_kernel *kernel, uint64_t mm, uint64_t *out);

struct descriptor {
	uint32_t number;
	uint64_t file; /* address of the struct file */
	bool close_on_exec;
};

/* Not OK: the walk stops with this status. */
typedef enum kioku_status descriptor_fn(void *user, const struct descriptor *descriptor);

/*
 * Every open descriptor of a table (struct files_struct), in ascending order. What is damaged in it is
 * reported as a gap; what is a phrase for whose table it is. Errors: receive's, and CORRUPT,
 * UNSUPPORTED, UNMAPPED and ABSENT where there is no table at all.
 */
enum kioku_status file_table_each(struct kioku_kernel *kernel, uint64_t files, const char *what,
				  descriptor_fn *receive, void *user);

/* f_mode, include/linux/fs.h, v4.18 to v7.0. */
#define FILE_READ  1u
#define FILE_WRITE 2u

struct file {
	uint64_t address; /* not a member of it */
	struct path path;
	uint64_t inode, private;
	int64_t position;
	uint32_t
		flags; /* as of open(2); whether it closes on exec is known by the descriptor alone */
	uint32_t mode; /* FILE_READ, FILE_WRITE and others */
};

/* Errors: CORRUPT (what it points at cannot be), UNSUPPORTED, UNMAPPED, ABSENT. */
enum kioku_status file_read(struct kioku_kernel *kernel, uint64_t address, struct file *out);

/* The same for its path and inode alone; all else is zero. */
enum kioku_status file_read_place(struct kioku_kernel *kernel, uint64_t address, struct file *out);

/*
 * What an open file stands for, of those that have one of these tables of operations (names of symbols, NULL ends
 * them): its private_data; 0: it is none of them. Errors: CORRUPT, UNSUPPORTED, UNMAPPED, ABSENT.
 */
enum kioku_status file_object(struct kioku_kernel *kernel, uint64_t address,
			      const char *const *operations, uint64_t *out);

struct file_inode {
	uint64_t number, superblock;
	int64_t size;
	uint32_t mode;    /* type and permissions, as st_mode */
	uint32_t special; /* dev_t of a device node */
	uint32_t device;  /* dev_t of its file system */
};

/* Errors: as above. */
enum kioku_status file_inode_read(struct kioku_kernel *kernel, uint64_t address,
				  struct file_inode *out);

extern const struct record file_record, file_inode_record, file_table_record;

#endif
