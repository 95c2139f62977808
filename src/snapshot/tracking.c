/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/tracking.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "snapshot/mapping_group.h"
#include "snapshot/wait.h"

enum {
	PASSES = 8,
	ENOUGH = 64 << 10, /* bytes: fewer than that are written while we look */
	/* Bytes: who writes more in a pass would wait too often, and has a longer stop anyway. */
	WATCHED = 4 << 20,
	LARGE = 8 << 20, /* bytes of a mapping */
};

/* TASK_SIZE_MAX with four levels; with five, more is only given to those that ask for it. */
static const uint64_t address_limit = UINT64_C(0x7ffffffff000);

void tracking_init(struct tracking *tracking)
{
	*tracking = (struct tracking){ 0 };
	tracked_pages_init(&tracking->pages);
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

bool tracking_input_wants(const struct tracking_input *input, const struct mapping *mapping)
{
	return input->wants ? input->wants(mapping, input->user) : tracking_wants(mapping);
}

static bool wants(const struct tracking *tracking, const struct mapping *mapping)
{
	return tracking_input_wants(&tracking->input, mapping);
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
	tracking->pages.copier.copied = 0;
	/* In this order: a change after the mappings were read is told of in the next pass. */
	(void)follow(tracking);
	TRY(read_mappings(tracking, error));
	TRY(track(tracking, error));
	for (size_t i = 0; i < tracking->maps.list.count; i++) {
		const struct mapping *mapping = &tracking->maps.list.mappings[i];
		if (!page_ranges_have(&tracking->ranges, mapping->start))
			continue;
		TRY(tracked_pages_copy_written(&tracking->pages, mapping, error));
	}
	return tracked_pages_clear_suspects(&tracking->pages, false, error);
}

/*
 * Pages that look as if they were protected already, though nobody tracks them: a tracer was killed while it
 * handed them over (watching.c). What is written to them would not show.
 */
static enum kioku_status refuse_leftovers(struct tracking *tracking, struct kioku_error *error)
{
	const struct mapping_list *list = &tracking->maps.list;
	bool found = false;

	TRY(read_mappings(tracking, error));
	for (size_t i = 0; i < list->count && !found; i++)
		if (wants(tracking, &list->mappings[i]))
			TRY(tracked_pages_find_protected(&tracking->pages, list->mappings[i].start,
							 list->mappings[i].end, &found, error));
	if (!found)
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
	TRY(tracked_pages_open(&tracking->pages, input->process, input->spool, &input->terms,
			       error));
	TRY(refuse_leftovers(tracking, error));
	TRY(userfault_open(&tracking->userfault, USERFAULT_ASYNC, errand, left, error));
	for (unsigned i = 0; i < PASSES; i++) {
		TRY(pass(tracking, error));
		/* Where it cannot be watched, it is looked through in the stop. */
		if (i == 0 && watching_pays(&tracking->maps.list, input->spool))
			(void)!watching_open(&tracking->watching, errand, left, NULL);
		/* It writes as fast as we copy: no use in going on. */
		if (i > 0 && (tracking->pages.copier.copied <= ENOUGH ||
			      tracking->pages.copier.copied > before / 4 * 3))
			break;
		before = tracking->pages.copier.copied;
	}
	return KIOKU_OK;
}

/* Of one mapping after the other. */
static enum kioku_status copy_region(void *user, uint64_t start, uint64_t past,
				     struct kioku_error *error)
{
	struct tracking *tracking = user;
	const struct mapping_list *list = &tracking->maps.list;
	size_t next = mapping_list_after(list, start);

	for (uint64_t at = start, end; at < past; at = end) {
		next += next < list->count && list->mappings[next].end <= at;
		const struct mapping *mapping = next < list->count ? &list->mappings[next] : NULL;
		bool known = mapping && mapping->start <= at;
		uint64_t limit = known ? mapping->end : mapping ? mapping->start : past;
		end = limit < past ? limit : past;
		tracking->mappings_changed |= !known;
		TRY(tracked_pages_copy_found(&tracking->pages, at, end, known ? mapping : NULL,
					     error));
	}
	return KIOKU_OK;
}

static enum kioku_status copy_regions(struct tracking *tracking, const struct page_ranges *where,
				      struct kioku_error *error)
{
	return tracked_pages_find_all_written(&tracking->pages, where, copy_region, tracking,
					      error);
}

bool tracking_is_to_be_watched(const struct tracking *tracking)
{
	return tracking->watching.userfault.descriptor >= 0 &&
	       tracking->pages.copier.copied <= WATCHED;
}

static bool is_wanted(const struct mapping *mapping, const void *user)
{
	return wants(user, mapping);
}

void tracking_watch(struct tracking *tracking)
{
	page_copier_hurry(&tracking->pages.copier);
	watching_begin(&tracking->watching, &tracking->userfault, &tracking->maps.list,
		       tracking->input.spool, is_wanted, tracking);
}

enum kioku_status tracking_look(struct tracking *tracking, uint64_t *watched,
				struct kioku_error *error)
{
	TRY(watching_look(&tracking->watching, &tracking->pages, &tracking->maps.list,
			  &tracking->ranges, error));
	*watched = page_ranges_size(&tracking->watching.listed);
	return KIOKU_OK;
}

/* Where memory was given back, pages may have come anew. */
static enum kioku_status copy_suspects(struct tracking *tracking, struct kioku_error *error)
{
	const struct spool_index *index = tracking->input.spool->index;

	for (size_t i = 0; i < index->count; i++) {
		uint64_t start = index->chunks[i].start;
		if (index->chunks[i].is_suspect)
			TRY(tracked_pages_find_written(&tracking->pages, start, start + SPOOL_CHUNK,
						       copy_region, tracking, error));
	}
	return KIOKU_OK;
}

/* What is listed is not looked at, if all that has happened to it is known. */
static enum kioku_status take_written(struct tracking *tracking, struct kioku_error *error)
{
	struct watching *watching = &tracking->watching;
	bool stays = follow(tracking);

	if (!stays || !watching_has_listed(watching))
		return copy_regions(tracking, &tracking->ranges, error);
	TRY(copy_regions(tracking, &watching->rest, error));
	TRY(copy_suspects(tracking, error));
	return watching_tell(watching, copy_region, tracking, error);
}

enum kioku_status tracking_take(struct tracking *tracking, struct kioku_error *error)
{
	if (!page_copier_is_current(&tracking->pages.copier))
		return error_set(error, KIOKU_ERROR_NOT_FOUND,
				 "process %d runs another program now",
				 tracking->input.process->pid);
	page_copier_stopped(&tracking->pages.copier, tracking->input.process->live_thread);
	tracking->pages.copier.copied = 0;
	TRY(take_written(tracking, error));
	watching_end(&tracking->watching, &tracking->userfault);
	TRY(tracked_pages_clear_suspects(&tracking->pages, true, error));
	for (size_t i = 0; i < tracking->untracked.count; i++)
		TRY(tracked_pages_copy_all(&tracking->pages, tracking->untracked.ranges[i].start,
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
	tracked_pages_close(&tracking->pages);
}

void tracking_release(struct tracking *tracking)
{
	tracking_end(tracking);
	process_maps_release(&tracking->maps);
	process_maps_release(&tracking->loosened);
	page_ranges_release(&tracking->ranges);
	page_ranges_release(&tracking->untracked);
}
