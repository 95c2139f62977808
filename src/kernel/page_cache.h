/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The content of files as far as it is in memory: struct address_space (include/linux/fs.h), and the
 * pages in its xarray. All indexes and counts are of pages of 4096 bytes.
 */
#ifndef KERNEL_FILE_PAGES_H
#define KERNEL_FILE_PAGES_H

#include "kernel/inode.h"

enum page_run_state {
	PAGE_RUN_PRESENT, /* in frames that lie in a row */
	PAGE_RUN_SWAPPED, /* see page_cache_read_swapped() */
	PAGE_RUN_ZERO,    /* no page, and known to be zeros: a hole of a tmpfs file */
	PAGE_RUN_ABSENT,  /* no page, or one that was never filled: the content is on a disk */
	PAGE_RUN_LOST,    /* damage hides what is there; a diagnostic said so */
};

struct page_run {
	uint64_t index, count;
	enum page_run_state state;
	uint64_t physical; /* of the first page that is PRESENT */
	uint64_t value;    /* of a SWAPPED entry, as xarray_each() gives it */
	uint64_t within;   /* the first page's index in what that entry stands for */
};

struct page_cache {
	uint64_t mapping, xarray;
	uint64_t inode; /* number */
	uint64_t size;  /* of the file, in bytes */
	uint64_t
		page_count; /* that the kernel counts as PRESENT, with those that were never filled */
	bool in_memory;     /* tmpfs, ramfs: what has no page is zeros */
	bool is_shmem;      /* integers are swap slots, and not shadows of pages */
	bool is_hugetlb;
};

/* Whether a file is one of tmpfs, or of what is made of it. */
bool page_cache_is_shmem(struct kioku_kernel *kernel, const struct inode *inode);

/* Errors: NOT_FOUND (this inode has none), CORRUPT, UNSUPPORTED, ABSENT, UNMAPPED. */
enum kioku_status page_cache_open(struct kioku_kernel *kernel, const struct inode *inode,
				  struct page_cache *out, struct kioku_error *error);

#define PAGE_CACHE_LAST (UINT64_MAX / 4096 - 1) /* more than any file has */

/* Not OK: the walk stops with this status. */
typedef enum kioku_status page_run_fn(void *user, const struct page_run *run);

/*
 * What there is of the pages [first, last], all of them, in ascending order; neighbours of one kind
 * come as one. When it is everything, [0, PAGE_CACHE_LAST], a GAP says if a file in memory has fewer pages
 * than the kernel counts: a hole may be none then. Errors: those of xarray_each(), or receive's.
 */
enum kioku_status page_cache_each(struct kioku_kernel *kernel, const struct page_cache *cache,
				  uint64_t first, uint64_t last, page_run_fn *receive, void *user,
				  struct kioku_error *error);

/*
 * Reads one page, whatever it is. Errors: UNMAPPED (behind the file's end), ABSENT (not in memory), PAGED_OUT,
 * CORRUPT (damage hides it), NO_MEMORY.
 */
enum kioku_status page_cache_read_page(struct kioku_kernel *kernel, const struct page_cache *cache,
				       uint64_t index, void *page, struct kioku_error *error);

/* Reads page i of a SWAPPED run. Errors: PAGED_OUT, with a message that says why; NO_MEMORY. */
enum kioku_status page_cache_read_swapped(struct kioku_kernel *kernel, const struct page_run *run,
					  uint64_t i, void *page, struct kioku_error *error);

#endif
