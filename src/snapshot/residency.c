/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/residency.h"

#include "snapshot/pagemap_entry.h"

enum { PAGE = 4096 };

void residency_begin(struct residency_walk *walk, int pagemap, uint64_t start, uint64_t end)
{
	walk->pagemap = pagemap;
	walk->has_scan = walk->has_guards = true;
	walk->at = walk->known_until = start;
	walk->end = end;
	walk->count = walk->next = 0;
}

static enum kioku_status scan(struct residency_walk *walk, struct kioku_error *error)
{
	struct pagemap_scan scan = {
		.size = sizeof(scan),
		.start = walk->at,
		.end = walk->end,
		.regions = (uintptr_t)walk->regions,
		.region_limit = RESIDENCY_ENTRIES,
		.any_of = PAGE_IS_PRESENT_BIT | PAGE_IS_SWAPPED_BIT,
		.returned = PAGE_IS_FILE_BIT | (walk->has_guards ? PAGE_IS_GUARD_BIT : 0),
	};
	int found = ioctl(walk->pagemap, PAGEMAP_SCAN_IOCTL, &scan);

	if (found < 0)
		return error_os(error, "cannot ask which pages are there");
	walk->count = (size_t)found;
	walk->next = 0;
	walk->known_until = scan.walk_end;
	return KIOKU_OK;
}

static enum kioku_status read_entries(struct residency_walk *walk, struct kioku_error *error)
{
	uint64_t pages = (walk->end - walk->at) / PAGE;
	size_t wanted = pages < RESIDENCY_ENTRIES ? (size_t)pages : RESIDENCY_ENTRIES;

	walk->count = walk->next = 0;
	TRY(pagemap_read(walk->pagemap, walk->at, walk->at + wanted * PAGE, walk->entries, error));
	walk->count = wanted;
	walk->known_until = walk->at + wanted * PAGE;
	return KIOKU_OK;
}

static enum kioku_status learn_more(struct residency_walk *walk, struct kioku_error *error)
{
	if (walk->has_scan && scan(walk, NULL) == KIOKU_OK)
		return KIOKU_OK;
	/* An unknown category is refused. */
	walk->has_guards = false;
	if (walk->has_scan && scan(walk, NULL) == KIOKU_OK)
		return KIOKU_OK;
	/* No such ioctl before Linux 6.7. */
	walk->has_scan = false;
	return read_entries(walk, error);
}

static enum residency kind_of_region(uint64_t categories)
{
	if (categories & PAGE_IS_GUARD_BIT)
		return RESIDENCY_GUARD;
	return categories & PAGE_IS_FILE_BIT ? RESIDENCY_FILE : RESIDENCY_ANONYMOUS;
}

static struct residency_run from_regions(struct residency_walk *walk)
{
	const struct pagemap_region *region = &walk->regions[walk->next];

	if (walk->next == walk->count)
		return (struct residency_run){ walk->at, walk->known_until - walk->at,
					       RESIDENCY_NONE };
	if (walk->at < region->start)
		return (struct residency_run){ walk->at, region->start - walk->at, RESIDENCY_NONE };
	walk->next++;
	return (struct residency_run){ region->start, region->end - region->start,
				       kind_of_region(region->categories) };
}

static enum residency kind_of(uint64_t entry)
{
	if (entry & ENTRY_GUARD)
		return RESIDENCY_GUARD;
	if (entry & ENTRY_SWAPPED)
		return RESIDENCY_ANONYMOUS;
	if (!(entry & ENTRY_PRESENT))
		return RESIDENCY_NONE;
	return entry & ENTRY_FILE ? RESIDENCY_FILE : RESIDENCY_ANONYMOUS;
}

static struct residency_run from_entries(struct residency_walk *walk)
{
	struct residency_run run = { walk->at, 0, kind_of(walk->entries[walk->next]) };

	while (walk->next < walk->count && kind_of(walk->entries[walk->next]) == run.kind) {
		run.size += PAGE;
		walk->next++;
	}
	return run;
}

enum kioku_status residency_next(struct residency_walk *walk, struct residency_run *run,
				 struct kioku_error *error)
{
	*run = (struct residency_run){ 0 };
	if (walk->at == walk->end)
		return KIOKU_OK;
	if (walk->at == walk->known_until)
		TRY(learn_more(walk, error));
	*run = walk->has_scan ? from_regions(walk) : from_entries(walk);
	walk->at = run->start + run->size;
	return KIOKU_OK;
}
