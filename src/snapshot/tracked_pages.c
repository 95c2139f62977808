/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/tracked_pages.h"

#include <sys/ioctl.h>
#include <sys/mman.h>

#include "snapshot/pagemap_scan.h"

enum {
	REGIONS = 512,
	STEP = 4096, /* pages that are protected at once, however large the piece; a huge page is 512 */
	LOOK = 4, /* pages: of more written ones side by side it pays to ask which are there */
	/* Bytes that are protected at once: page tables, and so huge pages, as a whole. */
	LEAST_PIECE = 2 << 20,
};

static const uint64_t content = PAGE_IS_PRESENT_BIT | PAGE_IS_SWAPPED_BIT;

void tracked_pages_init(struct tracked_pages *pages)
{
	*pages = (struct tracked_pages){ .pace = { .piece = LEAST_PIECE, .least = LEAST_PIECE } };
	page_copier_init(&pages->copier);
}

/* An unknown category is refused. */
static uint64_t guard_category(int pagemap)
{
	struct pagemap_region region;
	struct pagemap_scan scan = { .size = sizeof(scan),
				     .end = SPOOL_PAGE,
				     .regions = (uintptr_t)&region,
				     .region_limit = 1,
				     .any_of = PAGE_IS_GUARD_BIT,
				     .returned = PAGE_IS_GUARD_BIT };

	return ioctl(pagemap, PAGEMAP_SCAN_IOCTL, &scan) < 0 ? 0 : PAGE_IS_GUARD_BIT;
}

/* What protects pages may do less than it was asked for; scan->walk_end says how much was done. */
static enum kioku_status scan(struct tracked_pages *pages, struct pagemap_scan *scan,
			      struct pagemap_region *regions, size_t *count,
			      struct kioku_error *error)
{
	scan->size = sizeof(*scan);
	scan->regions = (uintptr_t)regions;
	scan->region_limit = REGIONS;
	bool protects = scan->flags & SCAN_WP_MATCHING;
	uint64_t first = scan->start - scan->start % LEAST_PIECE, end = scan->end;
	if (protects)
		scan->end = first + pace_begin(&pages->pace, end - first);
	int found = ioctl(pages->copier.pagemap, PAGEMAP_SCAN_IOCTL, scan);
	scan->end = end;
	if (protects)
		pace_end(&pages->pace, scan->walk_end - first);
	if (found < 0)
		return error_os(error, "cannot ask what process %d has written",
				pages->copier.process->pid);
	*count = (size_t)found;
	return KIOKU_OK;
}

enum kioku_status tracked_pages_open(struct tracked_pages *pages, const struct process *process,
				     struct spool *spool, const struct page_copier_terms *terms,
				     struct kioku_error *error)
{
	tracked_pages_init(pages);
	TRY(page_copier_open(&pages->copier, process, spool, terms, error));
	pages->guard = guard_category(pages->copier.pagemap);
	return KIOKU_OK;
}

void tracked_pages_close(struct tracked_pages *pages)
{
	page_copier_close(&pages->copier);
}

enum kioku_status tracked_pages_find_protected(struct tracked_pages *pages, uint64_t start,
					       uint64_t end, bool *found, struct kioku_error *error)
{
	struct pagemap_region regions[REGIONS];
	struct pagemap_scan one = { .start = start,
				    .end = end,
				    .page_limit = 1,
				    .inverted = PAGE_IS_WRITTEN_BIT,
				    .all_of = PAGE_IS_WRITTEN_BIT | PAGE_IS_PRESENT_BIT,
				    .returned = PAGE_IS_PRESENT_BIT };
	size_t count = 0;

	TRY(scan(pages, &one, regions, &count, error));
	*found = count > 0;
	return KIOKU_OK;
}

/* What keep() has to know. Asking whose a page is, as files need it, costs a look at each one. */
static uint64_t kept_categories(const struct tracked_pages *pages, bool has_file)
{
	return content | pages->guard | (has_file ? PAGE_IS_FILE_BIT : 0);
}

/* Of a range: copies the pages that have content, and those that were in a file are no longer. */
static enum kioku_status keep(struct tracked_pages *pages, const struct pagemap_region *region,
			      bool with_files, struct kioku_error *error)
{
	bool is_file = region->categories & PAGE_IS_FILE_BIT && !with_files;

	if (region->categories & pages->guard)
		return spool_guard(pages->copier.spool, region->start, region->end, error);
	if (region->categories & content && !is_file)
		return page_copier_copy(&pages->copier, region->start, region->end, error);
	spool_clear(pages->copier.spool, region->start, region->end);
	return KIOKU_OK;
}

/* Copies pages of [start, end) that are in all_of and any_of of the categories. */
static enum kioku_status copy_some(struct tracked_pages *pages, uint64_t start, uint64_t end,
				   const struct pagemap_scan *what, bool with_files,
				   struct kioku_error *error)
{
	struct pagemap_region regions[REGIONS];
	size_t count = 0;

	for (struct pagemap_scan step = *what; start < end; start = step.walk_end) {
		step.start = start;
		step.end = end;
		TRY(scan(pages, &step, regions, &count, error));
		for (size_t i = 0; i < count; i++)
			TRY(keep(pages, &regions[i], with_files, error));
		TRY(page_copier_check(&pages->copier, error));
	}
	return KIOKU_OK;
}

enum kioku_status tracked_pages_copy_written(struct tracked_pages *pages,
					     const struct mapping *mapping,
					     struct kioku_error *error)
{
	bool has_file = mapping->inode != 0 && !mapping->is_shared;
	/*
	 * Not SCAN_CHECK_WPASYNC: should there be another mapping by now, the scan would fail with
	 * pages protected already and not told of. As it is, it passes over that one.
	 */
	const struct pagemap_scan any = {
		.flags = SCAN_WP_MATCHING,
		.page_limit = STEP,
		.all_of = PAGE_IS_WRITTEN_BIT,
		.returned = kept_categories(pages, has_file),
	};
	struct pagemap_scan step = any;
	struct pagemap_region regions[REGIONS];
	uint64_t done = mapping->start;
	size_t count = 0;

	step.any_of = content;
	step.end = mapping->end;
	for (step.start = mapping->start; step.start < step.end; step.start = step.walk_end) {
		TRY(scan(pages, &step, regions, &count, error));
		for (size_t i = 0; i < count; i++) {
			TRY(keep(pages, &regions[i], !has_file, error));
			uint64_t first = regions[i].start / SPOOL_CHUNK * SPOOL_CHUNK;
			uint64_t last =
				(regions[i].end + SPOOL_CHUNK - 1) / SPOOL_CHUNK * SPOOL_CHUNK;
			first = first > done ? first : done;
			last = last < mapping->end ? last : mapping->end;
			if (first >= last)
				continue;
			TRY(copy_some(pages, first, last, &any, !has_file, error));
			done = last;
		}
	}
	return KIOKU_OK;
}

enum kioku_status tracked_pages_copy_all(struct tracked_pages *pages, uint64_t start, uint64_t end,
					 struct kioku_error *error)
{
	const struct pagemap_scan what = { .any_of = content, .returned = content | pages->guard };

	spool_clear(pages->copier.spool, start, end);
	return copy_some(pages, start, end, &what, true, error);
}

enum kioku_status tracked_pages_copy_found(struct tracked_pages *pages, uint64_t start,
					   uint64_t end, const struct mapping *mapping,
					   struct kioku_error *error)
{
	bool has_file = !mapping || (mapping->inode != 0 && !mapping->is_shared);
	const struct pagemap_scan what = {
		.all_of = PAGE_IS_WRITTEN_BIT,
		.returned = kept_categories(pages, has_file),
	};

	/*
	 * Reading what was never touched would have it appear in the target: no harm for a few, but for
	 * guards of stacks, which nobody touches.
	 */
	if (!has_file && mapping->permissions & PROT_READ && end - start <= LOOK * SPOOL_PAGE)
		return page_copier_copy(&pages->copier, start, end, error);
	return copy_some(pages, start, end, &what, !has_file, error);
}

/*
 * The fast form of the scan: only what was written, asked for by nothing else (fs/proc/task_mmu.c,
 * pagemap_scan_pmd_entry()).
 */
enum kioku_status tracked_pages_find_written(struct tracked_pages *pages, uint64_t start,
					     uint64_t end, page_range_fn *found, void *user,
					     struct kioku_error *error)
{
	struct pagemap_region regions[REGIONS];
	struct pagemap_scan step = { .start = start,
				     .end = end,
				     .all_of = PAGE_IS_WRITTEN_BIT,
				     .returned = PAGE_IS_WRITTEN_BIT };
	size_t count = 0;

	for (; step.start < step.end; step.start = step.walk_end) {
		TRY(scan(pages, &step, regions, &count, error));
		for (size_t i = 0; i < count; i++)
			TRY(found(user, regions[i].start, regions[i].end, error));
	}
	return KIOKU_OK;
}

enum kioku_status tracked_pages_find_all_written(struct tracked_pages *pages,
						 const struct page_ranges *where,
						 page_range_fn *found, void *user,
						 struct kioku_error *error)
{
	for (size_t i = 0; i < where->count; i++)
		TRY(tracked_pages_find_written(pages, where->ranges[i].start, where->ranges[i].end,
					       found, user, error));
	return KIOKU_OK;
}

enum kioku_status tracked_pages_clear_suspects(struct tracked_pages *pages, bool is_stopped,
					       struct kioku_error *error)
{
	struct spool *spool = pages->copier.spool;
	struct pagemap_region regions[REGIONS];
	size_t count = 0;

	for (size_t i = 0; i < spool->index->count; i++) {
		struct spool_chunk *chunk = &spool->index->chunks[i];
		uint64_t at = chunk->start, end = at + SPOOL_CHUNK;
		if (!chunk->is_suspect)
			continue;
		struct pagemap_scan what = {
			.start = at, .end = end, .any_of = content, .returned = content
		};
		TRY(scan(pages, &what, regions, &count, error));
		chunk->is_suspect = count > 0;
		for (size_t j = 0; is_stopped && j < count; at = regions[j++].end)
			spool_clear(spool, at, regions[j].start);
		if (count == 0 || is_stopped)
			spool_clear(spool, at, end);
	}
	return KIOKU_OK;
}
