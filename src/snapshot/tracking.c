/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/tracking.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "snapshot/mapping_group.h"
#include "snapshot/pagemap_scan.h"
#include "snapshot/wait.h"

enum {
	REGIONS = 512,
	STEP = 4096, /* pages that are protected at once, however large the piece; a huge page is 512 */
	PASSES = 8,
	ENOUGH = 64 << 10, /* bytes: fewer than that are written while we look */
	FEW = 32 << 10,    /* bytes: the same, of what is watched */
	WATCHED =
		4
		<< 20, /* bytes: who writes more would wait too often, and has a longer stop anyway */
	LOOK = 4,      /* pages: of more written ones side by side it pays to ask which are there */
	/* Bytes that are protected at once: page tables, and so huge pages, as a whole. */
	LEAST_PIECE = 2 << 20,
	LARGE = 8 << 20, /* bytes of a mapping */
};

static const uint64_t content = PAGE_IS_PRESENT_BIT | PAGE_IS_SWAPPED_BIT;
/* TASK_SIZE_MAX with four levels; with five, more is only given to those that ask for it. */
static const uint64_t address_limit = UINT64_C(0x7ffffffff000);

void tracking_init(struct tracking *tracking)
{
	*tracking = (struct tracking){ .pagemap = -1, .memory = { .memory = -1 } };
	tracking->pace = (struct pace){ .piece = LEAST_PIECE, .least = LEAST_PIECE };
	userfault_init(&tracking->userfault);
	watching_init(&tracking->watching);
}

static bool starts_with(const struct mapping *mapping, const char *start)
{
	size_t length = strlen(start);

	return mapping->name.size >= length && memcmp(mapping->name.data, start, length) == 0;
}

bool tracking_wants(const struct mapping *mapping)
{
	/* The kernel's pages: [vvar], [vsyscall]; [vdso] is never written to. */
	if (starts_with(mapping, "[v") || starts_with(mapping, "anon_inode:"))
		return false;
	if (starts_with(mapping, "/dev/") && !starts_with(mapping, "/dev/shm/") &&
	    !starts_with(mapping, "/dev/zero"))
		return false;
	/* What it maps of a file, and cannot write to, is the file's. */
	return !mapping->is_shared || mapping->permissions & PROT_WRITE;
}

static bool wants(const struct tracking *tracking, const struct mapping *mapping)
{
	const struct tracking_input *input = &tracking->input;

	return input->wants ? input->wants(mapping, input->user) : tracking_wants(mapping);
}

/* What protects pages may do less than it was asked for; scan->walk_end says how much was done. */
static enum kioku_status scan(struct tracking *tracking, struct pagemap_scan *scan,
			      struct pagemap_region *regions, size_t *count,
			      struct kioku_error *error)
{
	scan->size = sizeof(*scan);
	scan->regions = (uintptr_t)regions;
	scan->region_limit = REGIONS;
	bool protects = scan->flags & SCAN_WP_MATCHING;
	uint64_t first = scan->start - scan->start % LEAST_PIECE, end = scan->end;
	if (protects)
		scan->end = first + pace_begin(&tracking->pace, end - first);
	int found = ioctl(tracking->pagemap, PAGEMAP_SCAN_IOCTL, scan);
	scan->end = end;
	if (protects)
		pace_end(&tracking->pace, scan->walk_end - first);
	if (found < 0)
		return error_os(error, "cannot ask what process %d has written",
				tracking->input.process->pid);
	*count = (size_t)found;
	return KIOKU_OK;
}

static enum kioku_status copy(struct tracking *tracking, uint64_t start, uint64_t end,
			      struct kioku_error *error)
{
	tracking->copied += end - start;
	return spool_copy(tracking->input.spool, &tracking->memory, start, end, error);
}

/* Of a range: copies the pages that have content, and those that were in a file are no longer. */
static enum kioku_status keep(struct tracking *tracking, const struct pagemap_region *region,
			      bool with_files, struct kioku_error *error)
{
	bool is_file = region->categories & PAGE_IS_FILE_BIT && !with_files;

	if (region->categories & tracking->guard)
		return spool_guard(tracking->input.spool, region->start, region->end, error);
	if (region->categories & content && !is_file)
		return copy(tracking, region->start, region->end, error);
	spool_clear(tracking->input.spool, region->start, region->end);
	return KIOKU_OK;
}

/* Copies pages of [start, end) that are in all_of and any_of of the categories. */
static enum kioku_status copy_some(struct tracking *tracking, uint64_t start, uint64_t end,
				   const struct pagemap_scan *what, bool with_files,
				   struct kioku_error *error)
{
	struct pagemap_region regions[REGIONS];
	const struct tracking_input *input = &tracking->input;
	size_t count = 0;

	for (struct pagemap_scan step = *what; start < end; start = step.walk_end) {
		step.start = start;
		step.end = end;
		TRY(scan(tracking, &step, regions, &count, error));
		for (size_t i = 0; i < count; i++)
			TRY(keep(tracking, &regions[i], with_files, error));
		if (input->goes_on && !input->goes_on(input->goes_on_user))
			return error_set(error, KIOKU_ERROR_STOPPED, "nobody wants it any more");
	}
	return KIOKU_OK;
}

/*
 * What was written, or never looked at, is protected and then copied: a write after that shows. That is
 * done for pages that are there, and for the others of the same page tables, which the stop would take
 * for written otherwise; but not where there is no page table, as one would be made.
 */
static enum kioku_status copy_written(struct tracking *tracking, const struct mapping *mapping,
				      struct kioku_error *error)
{
	/* Asking whose a page is costs a look at each one. */
	bool has_file = mapping->inode != 0 && !mapping->is_shared;
	/*
	 * Not SCAN_CHECK_WPASYNC: should there be another mapping by now, the scan would fail with
	 * pages protected already and not told of. As it is, it passes over that one.
	 */
	const struct pagemap_scan any = {
		.flags = SCAN_WP_MATCHING,
		.page_limit = STEP,
		.all_of = PAGE_IS_WRITTEN_BIT,
		.returned = content | tracking->guard | (has_file ? PAGE_IS_FILE_BIT : 0),
	};
	struct pagemap_scan step = any;
	struct pagemap_region regions[REGIONS];
	uint64_t done = mapping->start;
	size_t count = 0;

	step.any_of = content;
	step.end = mapping->end;
	for (step.start = mapping->start; step.start < step.end; step.start = step.walk_end) {
		TRY(scan(tracking, &step, regions, &count, error));
		for (size_t i = 0; i < count; i++) {
			TRY(keep(tracking, &regions[i], !has_file, error));
			uint64_t first = regions[i].start / SPOOL_CHUNK * SPOOL_CHUNK;
			uint64_t last =
				(regions[i].end + SPOOL_CHUNK - 1) / SPOOL_CHUNK * SPOOL_CHUNK;
			first = first > done ? first : done;
			last = last < mapping->end ? last : mapping->end;
			if (first >= last)
				continue;
			TRY(copy_some(tracking, first, last, &any, !has_file, error));
			done = last;
		}
	}
	return KIOKU_OK;
}

/* Whatever it has. */
static enum kioku_status copy_all(struct tracking *tracking, uint64_t start, uint64_t end,
				  struct kioku_error *error)
{
	const struct pagemap_scan what = { .any_of = content,
					   .returned = content | tracking->guard };

	spool_clear(tracking->input.spool, start, end);
	return copy_some(tracking, start, end, &what, true, error);
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

static void suspect(const struct spool *spool, uint64_t start, uint64_t end)
{
	struct spool_index *index = spool->index;

	for (size_t i = spool_after(spool, start); i < index->count && index->chunks[i].start < end;
	     i++)
		index->chunks[i].is_suspect = true;
}

/* What has happened to mappings that one userfaultfd tracks. False: some of it went somewhere else. */
static bool follow_one(struct tracking *tracking, struct userfault *userfault)
{
	static struct userfault_change changes[USERFAULT_CHANGES];
	size_t count = 0;
	bool complete = userfault_changes(userfault, changes, &count), stays = complete;

	tracking->mappings_changed |= count > 0 || !complete;
	for (size_t i = 0; i < count; i++) {
		if (changes[i].kind == USERFAULT_GONE)
			suspect(tracking->input.spool, changes[i].start, changes[i].end);
		else
			userfault_forget(userfault, changes[i].start, changes[i].end);
		stays &= changes[i].kind == USERFAULT_GONE;
	}
	if (complete)
		return stays;
	suspect(tracking->input.spool, 0, UINT64_MAX);
	for (size_t i = 0; i < tracking->maps.list.count; i++)
		userfault_forget(userfault, tracking->maps.list.mappings[i].start,
				 tracking->maps.list.mappings[i].end);
	return false;
}

static bool follow(struct tracking *tracking)
{
	bool stays = follow_one(tracking, &tracking->userfault);

	return follow_one(tracking, &tracking->watching.userfault) && stays;
}

/*
 * Where memory was given back, page tables may be gone, too, and nothing is told of pages without
 * them. In a pass, a chunk that still has pages stays suspect: they may be about to go.
 */
static enum kioku_status clear_suspects(struct tracking *tracking, bool is_stopped,
					struct kioku_error *error)
{
	struct spool *spool = tracking->input.spool;
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
		TRY(scan(tracking, &what, regions, &count, error));
		chunk->is_suspect = count > 0;
		for (size_t j = 0; is_stopped && j < count; at = regions[j++].end)
			spool_clear(spool, at, regions[j].start);
		if (count == 0 || is_stopped)
			spool_clear(spool, at, end);
	}
	return KIOKU_OK;
}

/* The making of tracking's lists. */
struct listing {
	struct tracking *tracking;
	uint64_t done; /* up to there */
	bool fits;     /* there was memory for them */
};

static void look_until(struct listing *listing, uint64_t end)
{
	struct tracking *tracking = listing->tracking;

	listing->fits &= page_ranges_add(&tracking->ranges, listing->done, end);
}

static void leave_out(struct listing *listing, const struct mapping *mapping)
{
	look_until(listing, mapping->start);
	listing->done = mapping->end;
}

static void note_tracked(void *user, const struct mapping *mapping, bool tracked)
{
	struct listing *listing = user;
	struct tracking *tracking = listing->tracking;
	bool wanted = wants(tracking, mapping);

	if (!wanted || !tracked)
		leave_out(listing, mapping);
	if (wanted && !tracked)
		listing->fits &=
			page_ranges_add(&tracking->untracked, mapping->start, mapping->end);
}

/*
 * Tracks what mappings there are now, and lists where writes are looked for in the stop: wherever
 * memory is not known to be of no interest, so that what is mapped until then is found, too.
 */
static enum kioku_status track(struct tracking *tracking, struct kioku_error *error)
{
	const struct mapping_list *list = &tracking->maps.list;
	struct listing listing = { .tracking = tracking, .fits = true };
	struct mapping_group group;
	size_t next = 0;

	tracking->ranges.count = tracking->untracked.count = 0;
	while (mapping_group_next(list, next, tracking_wants, &group)) {
		for (; next < group.first; next++)
			leave_out(&listing, &list->mappings[next]);
		mapping_group_change(&group, &tracking->userfault, userfault_track, note_tracked,
				     &listing);
		next = group.past;
	}
	for (; next < list->count && list->mappings[next].start < MAPPING_KERNEL; next++)
		leave_out(&listing, &list->mappings[next]);
	look_until(&listing, address_limit);
	return listing.fits ? KIOKU_OK : error_no_memory(error);
}

static enum kioku_status read_mappings(struct tracking *tracking, struct kioku_error *error)
{
	tracking->mappings_changed = false;
	return process_mappings(tracking->input.process, false, &tracking->maps, error);
}

static enum kioku_status pass(struct tracking *tracking, struct kioku_error *error)
{
	/* What the last pass leaves room for in memory is the stop's. */
	TRY(spool_flush(tracking->input.spool, error));
	tracking->copied = 0;
	/* In this order: a change after the mappings were read is told of in the next pass. */
	(void)follow(tracking);
	TRY(read_mappings(tracking, error));
	TRY(track(tracking, error));
	for (size_t i = 0; i < tracking->maps.list.count; i++) {
		const struct mapping *mapping = &tracking->maps.list.mappings[i];
		if (!page_ranges_have(&tracking->ranges, mapping->start))
			continue;
		TRY(copy_written(tracking, mapping, error));
	}
	return clear_suspects(tracking, false, error);
}

/*
 * Pages that look as if they were protected already, though nobody tracks them: a tracer was killed while it
 * handed them over (watching.c). What is written to them would not show.
 */
static enum kioku_status refuse_leftovers(struct tracking *tracking, struct kioku_error *error)
{
	struct pagemap_region region;
	const struct mapping_list *list = &tracking->maps.list;
	size_t count = 0;

	TRY(read_mappings(tracking, error));
	for (size_t i = 0; i < list->count; i++) {
		struct pagemap_scan any = { .size = sizeof(any),
					    .start = list->mappings[i].start,
					    .end = list->mappings[i].end,
					    .regions = (uintptr_t)&region,
					    .region_limit = 1,
					    .inverted = PAGE_IS_WRITTEN_BIT,
					    .all_of = PAGE_IS_WRITTEN_BIT | PAGE_IS_PRESENT_BIT,
					    .returned = PAGE_IS_PRESENT_BIT };
		if (!wants(tracking, &list->mappings[i]))
			continue;
		int found = ioctl(tracking->pagemap, PAGEMAP_SCAN_IOCTL, &any);
		count += found > 0;
	}
	if (count == 0)
		return KIOKU_OK;
	return error_set(error, KIOKU_ERROR_REFUSED,
			 "process %d has pages that a tracer has left marked when it was killed, "
			 "and whose writes would not be seen",
			 tracking->input.process->pid);
}

enum kioku_status tracking_begin(struct tracking *tracking, const struct tracking_input *input,
				 struct errand *errand, int *left, struct kioku_error *error)
{
	uint64_t before = UINT64_MAX;

	tracking_init(tracking);
	tracking->input = *input;
	tracking->pagemap = process_open_live(input->process, "pagemap");
	tracking->memory.memory = process_open_live(input->process, "mem");
	if (tracking->pagemap < 0 || tracking->memory.memory < 0)
		return error_os(error, "cannot ask what process %d writes", input->process->pid);
	tracking->guard = guard_category(tracking->pagemap);
	TRY(refuse_leftovers(tracking, error));
	TRY(userfault_open(&tracking->userfault, USERFAULT_ASYNC, errand, left, error));
	for (unsigned i = 0; i < PASSES; i++) {
		TRY(pass(tracking, error));
		/* Where it cannot be watched, it is looked through in the stop. */
		if (i == 0 && watching_pays(&tracking->maps.list, input->spool))
			(void)!watching_open(&tracking->watching, errand, left, NULL);
		/* It writes as fast as we copy: no use in going on. */
		if (i > 0 && (tracking->copied <= ENOUGH || tracking->copied > before / 4 * 3))
			break;
		before = tracking->copied;
	}
	return KIOKU_OK;
}

/* Whether the address space is still that of the start: execve(2) gives up the former. */
static bool is_same(const struct tracking *tracking)
{
	uint64_t entry;

	return pread(tracking->pagemap, &entry, sizeof(entry), 0) == sizeof(entry);
}

static enum kioku_status copy_last(struct tracking *tracking, uint64_t start, uint64_t end,
				   const struct mapping *mapping, struct kioku_error *error)
{
	bool has_file = !mapping || (mapping->inode != 0 && !mapping->is_shared);
	const struct pagemap_scan what = {
		.all_of = PAGE_IS_WRITTEN_BIT,
		.returned = content | tracking->guard | (has_file ? PAGE_IS_FILE_BIT : 0),
	};

	/* Reading what was never touched would have it appear in the target: no harm for a few. */
	if (!has_file && end - start <= LOOK * SPOOL_PAGE)
		return copy(tracking, start, end, error);
	return copy_some(tracking, start, end, &what, !has_file, error);
}

/* Of one mapping after the other. */
static enum kioku_status copy_region(struct tracking *tracking, uint64_t start, uint64_t past,
				     struct kioku_error *error)
{
	const struct mapping_list *list = &tracking->maps.list;
	size_t next = mapping_list_after(list, start);

	for (uint64_t at = start, end; at < past; at = end) {
		next += next < list->count && list->mappings[next].end <= at;
		const struct mapping *mapping = next < list->count ? &list->mappings[next] : NULL;
		bool known = mapping && mapping->start <= at;
		uint64_t limit = known ? mapping->end : mapping ? mapping->start : past;
		end = limit < past ? limit : past;
		tracking->mappings_changed |= !known;
		TRY(copy_last(tracking, at, end, known ? mapping : NULL, error));
	}
	return KIOKU_OK;
}

/*
 * The fast form of the scan: only what was written, asked for by nothing else (fs/proc/task_mmu.c,
 * pagemap_scan_pmd_entry()). It counts as written what is not there in a page table that is.
 */
static enum kioku_status find_written(struct tracking *tracking, uint64_t start, uint64_t end,
				      enum kioku_status (*found)(struct tracking *tracking,
								 uint64_t start, uint64_t end,
								 struct kioku_error *error),
				      struct kioku_error *error)
{
	struct pagemap_region regions[REGIONS];
	struct pagemap_scan step = { .start = start,
				     .end = end,
				     .all_of = PAGE_IS_WRITTEN_BIT,
				     .returned = PAGE_IS_WRITTEN_BIT };
	size_t count = 0;

	for (; step.start < step.end; step.start = step.walk_end) {
		TRY(scan(tracking, &step, regions, &count, error));
		for (size_t i = 0; i < count; i++)
			TRY(found(tracking, regions[i].start, regions[i].end, error));
	}
	return KIOKU_OK;
}

static enum kioku_status
find_all_written(struct tracking *tracking, const struct page_ranges *where,
		 enum kioku_status (*found)(struct tracking *tracking, uint64_t start, uint64_t end,
					    struct kioku_error *error),
		 struct kioku_error *error)
{
	for (size_t i = 0; i < where->count; i++)
		TRY(find_written(tracking, where->ranges[i].start, where->ranges[i].end, found,
				 error));
	return KIOKU_OK;
}

bool tracking_is_to_be_watched(const struct tracking *tracking)
{
	return tracking->watching.userfault.descriptor >= 0 && tracking->copied <= WATCHED;
}

static bool is_wanted(const struct mapping *mapping, const void *user)
{
	return wants(user, mapping);
}

void tracking_watch(struct tracking *tracking)
{
	watching_begin(&tracking->watching, &tracking->userfault, &tracking->maps.list,
		       tracking->input.spool, is_wanted, tracking);
}

static enum kioku_status note_written(struct tracking *tracking, uint64_t start, uint64_t end,
				      struct kioku_error *error)
{
	return page_ranges_add(&tracking->written, start, end) ? KIOKU_OK : error_no_memory(error);
}

/* Protects and copies what was written. What cannot be protected now is left for the stop. */
static enum kioku_status copy_noted(struct tracking *tracking, struct kioku_error *error)
{
	const struct userfault *userfault = &tracking->watching.userfault;
	struct page_ranges *written = &tracking->written;
	size_t left = 0, count = 0;
	const struct userfault_write *writes =
		userfault_writes(&tracking->watching.userfault, &count);

	for (size_t i = 0; i < written->count; i++) {
		struct page_range range = written->ranges[i];
		if (userfault_protect(userfault, range.start, range.end))
			TRY(copy_all(tracking, range.start, range.end, error));
		else
			written->ranges[left++] = range;
	}
	written->count = left;
	for (; writes && tracking->copied_writes < count; tracking->copied_writes++) {
		const struct userfault_write *write = &writes[tracking->copied_writes];
		if (!userfault_protect(userfault, write->start, write->end))
			break;
		TRY(copy_all(tracking, write->start, write->end, error));
	}
	return KIOKU_OK;
}

/* Bytes that were written, and not copied since. */
static uint64_t left_over(struct tracking *tracking)
{
	size_t count = 0;
	const struct userfault_write *writes =
		userfault_writes(&tracking->watching.userfault, &count);
	uint64_t size = page_ranges_size(&tracking->written);

	for (size_t i = tracking->copied_writes; writes && i < count; i++)
		size += writes[i].end - writes[i].start;
	return size;
}

enum kioku_status tracking_look(struct tracking *tracking, uint64_t *watched,
				struct kioku_error *error)
{
	struct watching *watching = &tracking->watching;
	uint64_t before = UINT64_MAX;

	if (!watching_list(watching, &tracking->maps.list, tracking->input.spool,
			   &tracking->ranges))
		return error_no_memory(error);
	*watched = page_ranges_size(&watching->listed);
	TRY(find_all_written(tracking, &watching->listed, note_written, error));
	for (unsigned i = 0; i < PASSES; i++) {
		uint64_t left = left_over(tracking);
		if (left <= FEW || left > before / 4 * 3)
			break;
		before = left;
		TRY(copy_noted(tracking, error));
	}
	return KIOKU_OK;
}

/* Where memory was given back, pages may have come anew. */
static enum kioku_status copy_suspects(struct tracking *tracking, struct kioku_error *error)
{
	const struct spool_index *index = tracking->input.spool->index;

	for (size_t i = 0; i < index->count; i++) {
		uint64_t start = index->chunks[i].start;
		if (index->chunks[i].is_suspect)
			TRY(find_written(tracking, start, start + SPOOL_CHUNK, copy_region, error));
	}
	return KIOKU_OK;
}

/* What is listed is not looked at, if all that has happened to it is known. */
static enum kioku_status take_written(struct tracking *tracking, struct kioku_error *error)
{
	struct watching *watching = &tracking->watching;
	bool stays = follow(tracking);
	size_t count = 0;
	const struct userfault_write *writes =
		userfault_writes(&tracking->watching.userfault, &count);

	if (!watching->is_listing || !stays || !writes)
		return find_all_written(tracking, &tracking->ranges, copy_region, error);
	TRY(find_all_written(tracking, &watching->rest, copy_region, error));
	TRY(copy_suspects(tracking, error));
	for (size_t i = 0; i < tracking->written.count; i++)
		TRY(copy_region(tracking, tracking->written.ranges[i].start,
				tracking->written.ranges[i].end, error));
	for (size_t i = tracking->copied_writes; i < count; i++)
		TRY(copy_region(tracking, writes[i].start, writes[i].end, error));
	return KIOKU_OK;
}

enum kioku_status tracking_take(struct tracking *tracking, struct kioku_error *error)
{
	if (!is_same(tracking))
		return error_set(error, KIOKU_ERROR_NOT_FOUND,
				 "process %d runs another program now",
				 tracking->input.process->pid);
	tracking->input.goes_on = NULL;
	tracking->memory.stopped = tracking->input.process->live_thread;
	tracking->copied = 0;
	TRY(take_written(tracking, error));
	watching_end(&tracking->watching, &tracking->userfault);
	TRY(clear_suspects(tracking, true, error));
	for (size_t i = 0; i < tracking->untracked.count; i++)
		TRY(copy_all(tracking, tracking->untracked.ranges[i].start,
			     tracking->untracked.ranges[i].end, error));
	/* Not always: it takes 1.5 us for each mapping. */
	return tracking->mappings_changed ? read_mappings(tracking, error) : KIOKU_OK;
}

/* Where there are pages; faults that have waited for that go on before the next. */
static void unprotect(const struct tracking *tracking, const struct mapping *mapping)
{
	const struct spool_index *index = tracking->input.spool->index;

	for (size_t i = spool_after(tracking->input.spool, mapping->start);
	     i < index->count && index->chunks[i].start < mapping->end; i++) {
		uint64_t start = index->chunks[i].start, end = start + SPOOL_CHUNK;
		uint64_t began = wait_now();
		userfault_forget(&tracking->userfault,
				 start > mapping->start ? start : mapping->start,
				 end < mapping->end ? end : mapping->end);
		usleep((useconds_t)((wait_now() - began) / 1000));
	}
}

/* What is tracked is in what there is now, wherever it has been moved to. */
static bool read_loosened(struct tracking *tracking)
{
	return process_mappings(tracking->input.process, false, &tracking->loosened, NULL) ==
	       KIOKU_OK;
}

void tracking_loosen(struct tracking *tracking)
{
	const struct mapping_list *list = &tracking->loosened.list;

	tracking->is_loosened = true;
	if (tracking->userfault.descriptor < 0 || !read_loosened(tracking))
		return;
	for (size_t i = 0; i < list->count; i++)
		if (wants(tracking, &list->mappings[i]))
			unprotect(tracking, &list->mappings[i]);
}

/* Small ones of files, such as libraries, cannot be, and trying takes time. */
static bool may_be_dropped(const struct mapping *mapping)
{
	return tracking_wants(mapping) &&
	       (mapping->inode == 0 || mapping->end - mapping->start >= LARGE);
}

void tracking_drop(struct tracking *tracking)
{
	static struct userfault_change changes[USERFAULT_CHANGES];
	const struct mapping_list *list = &tracking->loosened.list;
	struct mapping_group group;
	size_t count = 0;

	/* What was moved before it was its turn is still protected. */
	if (!userfault_changes(&tracking->userfault, changes, &count))
		return;
	for (size_t i = 0; i < count; i++)
		if (changes[i].kind == USERFAULT_MOVED)
			userfault_forget(&tracking->userfault, changes[i].start, changes[i].end);
	if (count > 0 && !read_loosened(tracking))
		return;
	for (size_t next = 0; mapping_group_next(list, next, may_be_dropped, &group);
	     next = group.past)
		mapping_group_change(&group, &tracking->userfault, userfault_drop, NULL, NULL);
}

void tracking_end(struct tracking *tracking)
{
	const struct mapping_list *list = &tracking->loosened.list;
	struct mapping_group group;

	if (!tracking->is_loosened)
		tracking_loosen(tracking);
	if (tracking->userfault.descriptor >= 0 && read_loosened(tracking))
		for (size_t next = 0; mapping_group_next(list, next, tracking_wants, &group);
		     next = group.past)
			mapping_group_change(&group, &tracking->userfault, userfault_untrack, NULL,
					     NULL);
	watching_release(&tracking->watching);
	userfault_close(&tracking->userfault);
	cleanup_close(&tracking->pagemap);
	cleanup_close(&tracking->memory.memory);
	tracking->pagemap = tracking->memory.memory = -1;
}

void tracking_release(struct tracking *tracking)
{
	tracking_end(tracking);
	process_maps_release(&tracking->maps);
	process_maps_release(&tracking->loosened);
	page_ranges_release(&tracking->ranges);
	page_ranges_release(&tracking->untracked);
	page_ranges_release(&tracking->written);
}
