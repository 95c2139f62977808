/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whose a page frame is: what its struct page says, which processes' page tables map it, and where the
 * kernel does. One table, made once: 24 bytes for every page that is mapped, shared ones counting once for
 * each mapping.
 */
#ifndef KERNEL_OWNERS_H
#define KERNEL_OWNERS_H

#include "kernel/frame_use.h"
#include "kernel/task.h"

enum page_user_kind {
	PAGE_USER_PROCESS,      /* a process maps it */
	PAGE_USER_TABLE,        /* it is a page table of a process */
	PAGE_USER_VMALLOC,      /* the kernel maps it, among what it allocates so */
	PAGE_USER_MODULE,       /* likewise, where modules and BPF programs are */
	PAGE_USER_KERNEL_TABLE, /* it is a page table for these two */
};

struct page_user {
	uint64_t frame;   /* physical address / PAGE_SIZE */
	uint64_t virtual; /* of the page; of a page table: the first address that it is about */
	uint32_t process; /* index in struct owners.processes; of PROCESS and TABLE */
	uint32_t kind;    /* enum page_user_kind */
};

struct owner_process {
	int32_t pid;
	char comm[16];
};

struct owners {
	struct kioku_kernel *kernel;
	struct frame_reader frames;
	bool knows_frames;       /* frames may be used */
	struct page_user *users; /* by frame, kind, process, address */
	size_t count, capacity, limit;
	struct owner_process *processes;
	size_t process_count, process_capacity;
};

/* All that can be said of a frame. */
struct owner {
	const char *
		kind; /* "anonymous", "file", "slab", "free", "kernel text", ..., "unknown"; static */
	struct frame_use use;
	const struct page_user *users; /* borrowed */
	size_t user_count;
	uint64_t virtual; /* of the page in the kernel's image; else 0 */
};

/*
 * Walks the page tables of all processes, and those of the kernel where it allocates. What is damaged is a
 * GAP. Errors: UNSUPPORTED, NO_MEMORY, those of the task walk.
 */
enum kioku_status owners_open(struct kioku_kernel *kernel, struct owners *out,
			      struct kioku_error *error);
void owners_close(struct owners *owners);

/* Never fails: what nobody can say is "unknown". */
void owners_find(const struct owners *owners, uint64_t physical, struct owner *out);

/*
 * Whether what lies at the end of one page goes on at the start of the next: both are mapped side by
 * side by somebody, or neighbours in the kernel's image.
 */
bool owners_are_neighbours(const struct owners *owners, uint64_t physical, uint64_t next);

#endif
