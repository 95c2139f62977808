/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mappings of a process: its struct mm_struct, and what of it is where. */
#ifndef KERNEL_MEMORY_MAP_H
#define KERNEL_MEMORY_MAP_H

#include "kernel/file_table.h"

/* include/linux/mm.h; the same in all kernels so far. */
enum vma_flags {
	VMA_READ = 1,
	VMA_WRITE = 2,
	VMA_EXECUTE = 4,
	VMA_SHARED = 8,
	VMA_MAY_SHARE = 0x80, /* mapped with MAP_SHARED; what /proc shows as s */
};

/* A struct vm_area_struct. */
struct vma {
	uint64_t address;     /* not a member of it */
	uint64_t start, end;  /* virtual; end is the first byte behind */
	uint64_t flags;       /* enum vma_flags, and others */
	uint64_t page_offset; /* of start in the file, in pages */
	uint64_t file;        /* struct file; 0: none */
	uint64_t mm, operations, private, anonymous_name, next;
	uint64_t
		of_file; /* what shares the place of anonymous_name until v6.2, where there is a file */
};

/* What a struct mm_struct says of the whole. Addresses but for pgd and exe_file are the process's. */
struct memory_map {
	uint64_t address; /* not a member of it */
	uint64_t pgd, exe_file;
	uint64_t first; /* struct vm_area_struct, before v6.1 */
	uint64_t brk_start, brk_end, stack;
	uint64_t arguments_start, arguments_end, environment_start, environment_end;
	int32_t count;
	uint8_t auxiliary[512]; /* saved_auxv */
};

extern const struct record vma_record, memory_map_record;

/* Whether a task has memory of its own; kernel threads may have borrowed some. */
bool task_has_memory(const struct task *task);

/* Who knows of the pages that a process's tables do not map, by their entries. Errors: NO_MEMORY. */
enum kioku_status process_absent_open(struct kioku_kernel *kernel, const struct memory_map *map,
				      int32_t pid, struct absent_pages **out,
				      struct kioku_error *error);

/*
 * The address space of a process: what its page tables map, and pages that are elsewhere. Closed by
 * kioku_address_space_close(). Errors: as of kioku_process_space_open().
 */

enum kioku_status memory_map_open_space(struct kioku_kernel *kernel, const struct memory_map *map,
					int32_t pid, struct kioku_address_space **out,
					struct kioku_error *error);

/* Errors: UNSUPPORTED, UNMAPPED, ABSENT. */
enum kioku_status memory_map_read(struct kioku_kernel *kernel, uint64_t mm, struct memory_map *out,
				  struct kioku_error *error);

/* What the kernel has told a program of a type of <elf.h>, AT_PHDR for one; 0: nothing. */
uint64_t memory_map_auxiliary(const struct memory_map *map, uint64_t type);

/* Not OK: the walk stops with this status. */
typedef enum kioku_status vma_fn(void *user, const struct vma *vma);

/*
 * Every mapping, in ascending order. Those that contradict themselves or others are left out, with a GAP
 * diagnostic. pid is for diagnostics. Errors: as above, NO_MEMORY, or receive's.
 */
enum kioku_status memory_map_each(struct kioku_kernel *kernel, const struct memory_map *map,
				  int32_t pid, vma_fn *receive, void *user,
				  struct kioku_error *error);

/* All of them, in memory. */
struct vma_list {
	struct vma *vmas; /* ascending */
	size_t count, capacity;
};

/* Errors: as of memory_map_each(). The list is to be released in any case. */
enum kioku_status memory_map_list(struct kioku_kernel *kernel, const struct memory_map *map,
				  int32_t pid, struct vma_list *out, struct kioku_error *error);

/* The mapping that has an address; NULL: none. */
const struct vma *vma_list_find(const struct vma_list *list, uint64_t address);

void vma_list_release(struct vma_list *list);
#define AUTO_VMA_LIST CLEANUP(vma_list_release)

/*
 * The name that /proc/PID/maps has for a mapping (fs/proc/task_mmu.c): a path, "[heap]", "[anon:NAME]", or
 * nothing. Errors: those of the path; the text is empty then.
 */
enum kioku_status vma_name(struct kioku_kernel *kernel, const struct memory_map *map,
			   const struct vma *vma, struct path_text *out);

#endif
