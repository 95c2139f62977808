/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/watching.h"

#include <string.h>

#include "snapshot/mapping_group.h"

enum {
	MOST = 256, /* mappings, each of which takes its time in a stop */
	/* Chunks side by side: to ask for what is between fewer takes as long as to look through them. */
	LEAST_RUN = 2,
	PASSES = 8,
	FEW = 32 << 10, /* bytes: fewer than that are written while we look */
};

void watching_init(struct watching *watching)
{
	*watching = (struct watching){ 0 };
	userfault_init(&watching->userfault);
}

bool watching_suits(const struct mapping *mapping)
{
	return mapping->inode == 0 && !mapping->is_shared &&
	       !(mapping->name.size >= 2 && memcmp(mapping->name.data, "[v", 2) == 0);
}

static uint64_t size_in(const struct spool *spool, uint64_t start, uint64_t end)
{
	size_t first = spool_after(spool, start), past = spool_after(spool, end - 1);
	const struct spool_index *index = spool->index;

	past += past < index->count && index->chunks[past].start < end;
	return (uint64_t)(past - first) * SPOOL_CHUNK;
}

/* The next group of mappings, from i on, that has enough. */
static bool next_large(const struct mapping_list *mappings, const struct spool *spool, size_t i,
		       struct mapping_group *group)
{
	for (; mapping_group_next(mappings, i, watching_suits, group); i = group->past)
		if (size_in(spool, mappings->mappings[group->first].start,
			    mappings->mappings[group->past - 1].end) >= WATCHING_MAPPING)
			return true;
	return false;
}

bool watching_pays(const struct mapping_list *mappings, const struct spool *spool)
{
	struct mapping_group group;
	uint64_t size = 0;

	for (size_t i = 0; next_large(mappings, spool, i, &group); i = group.past)
		size += size_in(spool, mappings->mappings[group.first].start,
				mappings->mappings[group.past - 1].end);
	return size >= WATCHING_LEAST;
}

/* Memory reclaim drops such pages (mm/rmap.c, try_to_unmap_one()), and those that come are new. */
static bool has_droppable(const struct process *process)
{
	AUTO_FILE_TEXT struct file_text text = { 0 };
	uint64_t size;

	return process_read(process, "smaps_rollup", &text, NULL) != KIOKU_OK ||
	       task_status_numbers(file_text_bytes(&text), "LazyFree", &size, 1) != 1 || size != 0;
}

enum kioku_status watching_open(struct watching *watching, struct errand *errand, int *left,
				struct kioku_error *error)
{
	if (has_droppable(errand->process))
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "process %d has pages that it can do without (MADV_FREE)",
				 errand->process->pid);
	enum kioku_status status =
		userfault_open(&watching->userfault, USERFAULT_SYNC, errand, left, error);
	if (status != KIOKU_OK)
		userfault_close(&watching->userfault);
	return status;
}

static bool are_wanted(const struct mapping_group *group,
		       bool (*wants)(const struct mapping *mapping, const void *user),
		       const void *user)
{
	for (size_t i = group->first; i < group->past; i++)
		if (!wants(&group->list->mappings[i], user))
			return false;
	return true;
}

/* A page of what is neither's would be neither protected nor not: only in a stop. */
static bool hand_over(const struct userfault *from, const struct userfault *to, uint64_t start,
		      uint64_t end)
{
	if (!userfault_drop(from, start, end))
		return false;
	if (userfault_track(to, start, end))
		return true;
	(void)userfault_track(from, start, end);
	return false;
}

void watching_begin(struct watching *watching, const struct userfault *from,
		    const struct mapping_list *mappings, const struct spool *spool,
		    bool (*wants)(const struct mapping *mapping, const void *user),
		    const void *user)
{
	struct mapping_group group;
	size_t count = 0;

	for (size_t i = 0; next_large(mappings, spool, i, &group); i = group.past) {
		struct page_range range;
		mapping_group_range(&group, &range.start, &range.end);
		count += group.past - group.first;
		if (count <= MOST && are_wanted(&group, wants, user) &&
		    hand_over(from, &watching->userfault, range.start, range.end) &&
		    !page_ranges_add(&watching->watched, range.start, range.end))
			(void)hand_over(&watching->userfault, from, range.start, range.end);
	}
}

static bool has_content(const struct spool *spool, const struct spool_chunk *chunk)
{
	const uint8_t *states = spool->states[chunk->number];

	for (size_t i = 0; i < SPOOL_CHUNK_PAGES; i++)
		if (states[i] != SPOOL_NONE)
			return true;
	return false;
}

/* The runs of chunks that are in one mapping as a whole: where it ends, it may grow. */
static bool list_mapping(struct watching *watching, const struct mapping *mapping,
			 const struct spool *spool)
{
	const struct spool_index *index = spool->index;
	size_t i = spool_after(spool, mapping->start), run = 0;

	i += i < index->count && index->chunks[i].start < mapping->start;
	for (; i < index->count && index->chunks[i].start + SPOOL_CHUNK <= mapping->end; i++) {
		uint64_t start = index->chunks[i].start;
		if (!has_content(spool, &index->chunks[i])) {
			run = 0;
			continue;
		}
		run = run > 0 && index->chunks[i - 1].start + SPOOL_CHUNK == start ? run + 1 : 1;
		if (run >= LEAST_RUN &&
		    !page_ranges_add(&watching->listed,
				     run == LEAST_RUN ? start - (LEAST_RUN - 1) * SPOOL_CHUNK
						      : start,
				     start + SPOOL_CHUNK))
			return false;
	}
	return true;
}

static bool list(struct watching *watching, const struct mapping_list *mappings,
		 const struct spool *spool, const struct page_ranges *all)
{
	for (size_t i = 0; i < mappings->count; i++)
		if (page_ranges_have(&watching->watched, mappings->mappings[i].start) &&
		    !list_mapping(watching, &mappings->mappings[i], spool))
			return false;
	watching->is_listing = page_ranges_subtract(all, &watching->listed, &watching->rest);
	return watching->is_listing;
}

static enum kioku_status note_written(void *user, uint64_t start, uint64_t end,
				      struct kioku_error *error)
{
	struct watching *watching = user;

	return page_ranges_add(&watching->written, start, end) ? KIOKU_OK : error_no_memory(error);
}

/* False: it cannot be protected now. */
static bool protect(const struct watching *watching, const struct page_range *range)
{
	return userfault_protect(&watching->userfault, range->start, range->end);
}

/* Those that were noted and not copied since. False: there were more than can be noted. */
static bool noted_writes(struct watching *watching, const struct page_range **writes, size_t *count)
{
	bool complete = userfault_writes(&watching->userfault, writes, count);

	*writes += watching->copied_writes;
	*count -= watching->copied_writes;
	return complete;
}

/* Protects and copies what was written. What cannot be protected now is left for the stop. */
static enum kioku_status copy_written(struct watching *watching, struct tracked_pages *pages,
				      struct kioku_error *error)
{
	struct page_ranges *written = &watching->written;
	const struct page_range *writes;
	size_t left = 0, count;

	(void)noted_writes(watching, &writes, &count);
	for (size_t i = 0; i < written->count; i++) {
		struct page_range range = written->ranges[i];
		if (protect(watching, &range))
			TRY(tracked_pages_copy_all(pages, range.start, range.end, error));
		else
			written->ranges[left++] = range;
	}
	written->count = left;
	for (size_t i = 0; i < count && protect(watching, &writes[i]); i++) {
		TRY(tracked_pages_copy_all(pages, writes[i].start, writes[i].end, error));
		watching->copied_writes++;
	}
	return KIOKU_OK;
}

/* Bytes that were written, and not copied since. */
static uint64_t left_over(struct watching *watching)
{
	uint64_t size = page_ranges_size(&watching->written);
	const struct page_range *writes;
	size_t count;

	(void)noted_writes(watching, &writes, &count);
	for (size_t i = 0; i < count; i++)
		size += writes[i].end - writes[i].start;
	return size;
}

enum kioku_status watching_look(struct watching *watching, struct tracked_pages *pages,
				const struct mapping_list *mappings, const struct page_ranges *all,
				struct kioku_error *error)
{
	uint64_t before = UINT64_MAX;

	if (!list(watching, mappings, pages->copier.spool, all))
		return error_no_memory(error);
	TRY(tracked_pages_find_all_written(pages, &watching->listed, note_written, watching,
					   error));
	for (unsigned i = 0; i < PASSES; i++) {
		uint64_t left = left_over(watching);
		if (left <= FEW || left > before / 4 * 3)
			break;
		before = left;
		TRY(copy_written(watching, pages, error));
	}
	return KIOKU_OK;
}

bool watching_has_listed(struct watching *watching)
{
	const struct page_range *writes;
	size_t count;

	return watching->is_listing && userfault_writes(&watching->userfault, &writes, &count);
}

enum kioku_status watching_tell(struct watching *watching, page_range_fn *found, void *user,
				struct kioku_error *error)
{
	const struct page_range *writes;
	size_t count;

	(void)noted_writes(watching, &writes, &count);
	for (size_t i = 0; i < watching->written.count; i++)
		TRY(found(user, watching->written.ranges[i].start, watching->written.ranges[i].end,
			  error));
	for (size_t i = 0; i < count; i++)
		TRY(found(user, writes[i].start, writes[i].end, error));
	return KIOKU_OK;
}

void watching_end(struct watching *watching, const struct userfault *to)
{
	struct page_ranges *watched = &watching->watched;
	size_t left = 0;

	for (size_t i = 0; i < watched->count; i++)
		if (!hand_over(&watching->userfault, to, watched->ranges[i].start,
			       watched->ranges[i].end))
			watched->ranges[left++] = watched->ranges[i];
	watched->count = left;
}

void watching_release(struct watching *watching)
{
	for (size_t i = 0; i < watching->watched.count; i++)
		(void)userfault_untrack(&watching->userfault, watching->watched.ranges[i].start,
					watching->watched.ranges[i].end);
	userfault_close(&watching->userfault);
	page_ranges_release(&watching->watched);
	page_ranges_release(&watching->listed);
	page_ranges_release(&watching->rest);
	page_ranges_release(&watching->written);
}
