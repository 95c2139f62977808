/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/page_cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/page.h"
#include "kernel/swap.h"
#include "kernel/xarray.h"

#define FOLIO_LIMIT (UINT64_C(1) << 18) /* pages: 1 GiB, the largest page that x86-64 has */

struct file_mapping {
	uint64_t host, page_count, operations, xarray_head;
};

static const struct member mapping_members[] = {
	MEMBER(struct file_mapping, host, "host"),
	MEMBER(struct file_mapping, page_count, "nrpages"),
	MEMBER(struct file_mapping, operations, "a_ops"),
	MEMBER(struct file_mapping, xarray_head, "i_pages.xa_head", "i_pages.rnode",
	       "page_tree.rnode"),
};
static const struct record mapping_record =
	RECORD(struct file_mapping, "address_space", mapping_members);

struct page {
	uint64_t flags, mapping, index, compound;
};

static const struct member page_members[] = {
	MEMBER(struct page, flags, "flags"),
	MEMBER(struct page, mapping, "mapping"),
	/* acc53a0b4c15, v6.15: read through struct folio only. */
	MEMBER(struct page, index, "index", "__folio_index"),
	OPTIONAL(struct page, compound, "compound_head"),
};
static const struct record page_record = RECORD(struct page, "page", page_members);

/* --- which file system */

/* Whether a table of operations is this one; without its symbol, by the file system's name. */
static bool has_operations(struct kioku_kernel *kernel, uint64_t operations, const char *symbol)
{
	uint64_t address = kernel_symbol(kernel, symbol);

	return address && address == operations;
}

static bool has_fstype(struct kioku_kernel *kernel, const struct inode *inode, const char *fstype)
{
	struct superblock superblock;

	return superblock_read(kernel, inode->superblock, &superblock) == KIOKU_OK &&
	       strcmp(superblock.fstype, fstype) == 0;
}

static void classify(struct kioku_kernel *kernel, const struct inode *inode, uint64_t operations,
		     struct page_cache *out)
{
	out->is_shmem = has_operations(kernel, operations, "shmem_aops");
	out->is_hugetlb = has_operations(kernel, operations, "hugetlbfs_aops");
	/* ramfs shares its address_space_operations with sysfs, whose files have no content. */
	out->in_memory = out->is_shmem || out->is_hugetlb ||
			 has_operations(kernel, inode->operations, "ramfs_file_operations");
	if (!kernel_symbol(kernel, "shmem_aops")) {
		out->is_shmem = has_fstype(kernel, inode, "tmpfs");
		out->in_memory |= out->is_shmem || has_fstype(kernel, inode, "ramfs");
	}
}

static enum kioku_status read_mapping(struct kioku_kernel *kernel, const struct inode *inode,
				      struct file_mapping *out, struct kioku_error *error)
{
	const struct binding *binding;

	TRY(record_bind(kernel, &mapping_record, &binding, error));
	if (inode->mapping == 0)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "it has no pages");
	if (inode->mapping % 8 || !kernel_is_pointer(kernel, inode->mapping))
		return error_set(error, KIOKU_ERROR_CORRUPT, "its i_mapping is no pointer");
	return record_read(kernel, binding, inode->mapping, out, error);
}

bool page_cache_is_shmem(struct kioku_kernel *kernel, const struct inode *inode)
{
	struct page_cache cache = { 0 };
	struct file_mapping mapping;

	if (read_mapping(kernel, inode, &mapping, NULL) != KIOKU_OK)
		return false;
	classify(kernel, inode, mapping.operations, &cache);
	/* Of directories and short links, which have no pages, only the name tells. */
	return cache.is_shmem || has_fstype(kernel, inode, "tmpfs");
}

enum kioku_status page_cache_open(struct kioku_kernel *kernel, const struct inode *inode,
				  struct page_cache *out, struct kioku_error *error)
{
	const struct binding *binding;
	struct file_mapping mapping;
	uint64_t offset;

	*out = (struct page_cache){ .mapping = inode->mapping,
				    .inode = inode->number,
				    .size = inode->size > 0 ? (uint64_t)inode->size : 0 };
	TRY(read_mapping(kernel, inode, &mapping, error));
	TRY(record_bind(kernel, &mapping_record, &binding, error));
	TRY(xarray_head_offset(kernel, &offset, error));
	/* A block device's inode lends its pages to every file that stands for the device. */
	if (mapping.host != inode->address && !inode_is(inode, S_IFBLK))
		return error_set(error, KIOKU_ERROR_CORRUPT, "its pages are of another inode");
	out->xarray =
		inode->mapping + BINDING_OFFSET(binding, struct file_mapping, xarray_head) - offset;
	out->page_count = mapping.page_count;
	classify(kernel, inode, mapping.operations, out);
	return KIOKU_OK;
}

/* --- pages */

/* Everything for one walk: runs come out when what follows does not continue them. */
struct walk {
	struct kioku_kernel *kernel;
	const struct page_cache *cache;
	const struct binding *page;
	uint64_t uptodate; /* bit of page.flags */
	uint64_t next;     /* the first page of which nothing was said */
	uint64_t last;
	struct page_run pending; /* count 0: none */
	page_run_fn *receive;
	void *user;
	unsigned said; /* diagnostics */
	bool is_whole;
	uint64_t found; /* pages that have an entry */
};

static bool continues(const struct page_run *run, const struct page_run *more)
{
	if (run->state != more->state)
		return false;
	if (run->state == PAGE_RUN_PRESENT)
		return run->physical + run->count * PAGE_SIZE == more->physical;
	return run->state != PAGE_RUN_SWAPPED;
}

/* Whole at most; runs come in ascending order and leave nothing out. */
static enum kioku_status put(struct walk *walk, const struct page_run *run)
{
	struct page_run *pending = &walk->pending;

	walk->next = run->index + run->count;
	if (pending->count > 0 && continues(pending, run)) {
		pending->count += run->count;
		return KIOKU_OK;
	}
	if (pending->count > 0)
		TRY(walk->receive(walk->user, pending));
	*pending = *run;
	return KIOKU_OK;
}

/* What has no entry, up to a page that has one. */
static enum kioku_status fill(struct walk *walk, uint64_t end)
{
	const struct page_run run = { .index = walk->next,
				      .count = end - walk->next,
				      .state = walk->cache->in_memory ? PAGE_RUN_ZERO
								      : PAGE_RUN_ABSENT };

	return end > walk->next ? put(walk, &run) : KIOKU_OK;
}

static void say_lost(struct walk *walk, uint64_t index, const char *why)
{
	if (walk->said++ == 0)
		diagnose(&walk->kernel->diagnostics, KIOKU_GAP,
			 "page cache of inode %" PRIu64 ": page %" PRIu64 " is lost: %s",
			 walk->cache->inode, index, why);
}

/* A huge page and the part of it that a slot of the xarray stands for, in pages. */
struct part {
	struct page head;
	uint64_t within; /* from the head */
	uint64_t beyond; /* from the page that the slot names */
};

/*
 * Kernels before v5.9 (4101196b19d7) have every page of a huge one in the xarray, later ones its head
 * in all slots, or in one large slot.
 */
static enum kioku_status find_part(struct walk *walk, uint64_t address, uint64_t index,
				   struct part *out)
{
	struct kioku_kernel *kernel = walk->kernel;
	uint64_t size = kernel->pages.size;
	struct page *head = &out->head, tail;

	*out = (struct part){ 0 };
	TRY(record_read(kernel, walk->page, address, head, NULL));
	if (head->compound & 1) {
		uint64_t distance = address - (head->compound & ~UINT64_C(1));
		out->within = distance / size;
		return distance % size || out->within >= FOLIO_LIMIT
			       ? KIOKU_ERROR_CORRUPT
			       : record_read(kernel, walk->page, address - distance, head, NULL);
	}
	if (head->index == index)
		return KIOKU_OK;
	out->within = out->beyond = index - head->index;
	if (out->within >= FOLIO_LIMIT)
		return KIOKU_ERROR_CORRUPT;
	TRY(record_read(kernel, walk->page, address + out->within * size, &tail, NULL));
	return tail.compound == (address | 1) ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}

/* A page says itself what file it is of, and where in it. */
static enum kioku_status locate(struct walk *walk, const struct xarray_entry *entry,
				struct page_run *run, const char **why)
{
	struct part part;

	*why = "no struct page";
	TRY(page_physical(walk->kernel, entry->value, &run->physical, NULL));
	TRY(find_part(walk, entry->value, entry->index, &part));
	*why = "its struct page is of something else";
	if (part.head.mapping != walk->cache->mapping ||
	    part.head.index + part.within != entry->index || entry->count > FOLIO_LIMIT)
		return KIOKU_ERROR_CORRUPT;
	run->physical += part.beyond * PAGE_SIZE;
	/* tmpfs fills in a page that was only allocated (fallocate) when somebody reads it. */
	if (!(part.head.flags & walk->uptodate))
		run->state = walk->cache->in_memory ? PAGE_RUN_ZERO : PAGE_RUN_ABSENT;
	return KIOKU_OK;
}

static void judge(struct walk *walk, const struct xarray_entry *entry, struct page_run *run)
{
	const char *why;

	if (entry->is_lost) {
		run->state = PAGE_RUN_LOST;
	} else if (entry->is_value && entry->count > FOLIO_LIMIT) {
		run->state = PAGE_RUN_LOST;
		say_lost(walk, entry->index, "an entry for too many pages");
	} else if (entry->is_value) {
		run->state = walk->cache->is_shmem ? PAGE_RUN_SWAPPED : PAGE_RUN_ABSENT;
		run->value = entry->value;
	} else if (walk->cache->is_hugetlb && entry->count == 1) {
		/* Before v6.7 (a08c7193e4f1), indexes were of huge pages. */
		run->state = PAGE_RUN_LOST;
		say_lost(walk, entry->index, "files of hugetlbfs of this kernel are not supported");
	} else if (locate(walk, entry, run, &why) != KIOKU_OK) {
		run->state = PAGE_RUN_LOST;
		say_lost(walk, entry->index, why);
	}
}

static enum kioku_status take(void *user, const struct xarray_entry *entry)
{
	struct walk *walk = user;
	uint64_t start = entry->index, last = start + (entry->count - 1);
	struct page_run run = { .state = PAGE_RUN_PRESENT };

	if (last < start || last > walk->last)
		last = walk->last;
	if (start > walk->last || last < walk->next)
		return KIOKU_OK;
	judge(walk, entry, &run);
	walk->found += entry->is_value ? 0 : last - start + 1;
	if (start < walk->next) {
		run.within = walk->next - start;
		start = walk->next;
	}
	if (run.state == PAGE_RUN_PRESENT)
		run.physical += run.within * PAGE_SIZE;
	run.index = start;
	run.count = last - start + 1;
	TRY(fill(walk, start));
	return put(walk, &run);
}

static enum kioku_status finish(struct walk *walk)
{
	const struct page_cache *cache = walk->cache;

	if (walk->is_whole && cache->in_memory && !cache->is_hugetlb &&
	    walk->found < cache->page_count)
		diagnose(&walk->kernel->diagnostics, KIOKU_GAP,
			 "page cache of inode %" PRIu64 ": of %" PRIu64 " pages, only %" PRIu64
			 " were found; holes may have been content",
			 cache->inode, cache->page_count, walk->found);
	TRY(fill(walk, walk->last + 1));
	return walk->pending.count ? walk->receive(walk->user, &walk->pending) : KIOKU_OK;
}

enum kioku_status page_cache_each(struct kioku_kernel *kernel, const struct page_cache *cache,
				  uint64_t first, uint64_t last, page_run_fn *receive, void *user,
				  struct kioku_error *error)
{
	struct walk walk = { .kernel = kernel,
			     .cache = cache,
			     .next = first,
			     .last = last,
			     .is_whole = first == 0 && last == PAGE_CACHE_LAST,
			     .receive = receive,
			     .user = user };
	char what[64];
	uint64_t bit, unused;

	TRY(record_bind(kernel, &page_record, &walk.page, error));
	TRY(page_of_physical(kernel, 0, &unused, error));
	if (!types_enum_value(kernel->types, "pageflags", "PG_uptodate", &bit) || bit >= 64)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "PG_uptodate is not known");
	walk.uptodate = UINT64_C(1) << bit;
	snprintf(what, sizeof(what), "page cache of inode %" PRIu64, cache->inode);
	TRY(xarray_each_or_lost(kernel, cache->xarray, first, last, what, take, &walk, error));
	return finish(&walk);
}

enum kioku_status page_cache_read_swapped(struct kioku_kernel *kernel, const struct page_run *run,
					  uint64_t i, void *page, struct kioku_error *error)
{
	struct swap_slot slot = swap_slot_of_value(kernel, run->value, run->within + i);

	return swap_read(kernel, slot, page, NULL, error);
}

static enum kioku_status keep_run(void *user, const struct page_run *run)
{
	*(struct page_run *)user = *run;
	return KIOKU_OK;
}

enum kioku_status page_cache_read_page(struct kioku_kernel *kernel, const struct page_cache *cache,
				       uint64_t index, void *page, struct kioku_error *error)
{
	struct page_run run = { 0 };

	if (index >= (cache->size + PAGE_SIZE - 1) / PAGE_SIZE)
		return error_set(error, KIOKU_ERROR_UNMAPPED, "behind the end of inode %" PRIu64,
				 cache->inode);
	TRY(page_cache_each(kernel, cache, index, index, keep_run, &run, error));
	switch (run.state) {
	case PAGE_RUN_PRESENT:
		return kioku_source_read(kernel->source, run.physical, page, PAGE_SIZE, error);
	case PAGE_RUN_SWAPPED: return page_cache_read_swapped(kernel, &run, 0, page, error);
	case PAGE_RUN_ZERO: memset(page, 0, PAGE_SIZE); return KIOKU_OK;
	case PAGE_RUN_LOST:
		return error_set(error, KIOKU_ERROR_CORRUPT,
				 "page %" PRIu64 " of inode %" PRIu64 " is lost", index,
				 cache->inode);
	case PAGE_RUN_ABSENT: break;
	}
	return error_set(error, KIOKU_ERROR_ABSENT,
			 "page %" PRIu64 " of inode %" PRIu64 " is not in memory", index,
			 cache->inode);
}
