/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/soft_dirty.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#include "base/cleanup.h"
#include "base/growing.h"
#include "snapshot/pagemap_entry.h"
#include "snapshot/soft_dirty_bits.h"
#include "snapshot/wait.h"

enum {
	PAGE = SPOOL_PAGE,
	/* Bytes that are copied between two looks at their frames, and nanoseconds that may pass between these. */
	STEP = 64 << 10,
	STEP_PAGES = STEP / PAGE,
	STEP_LIMIT = 250000,
	/* A page that is swapped out has a frame once it has been copied; and who copies may lose his CPU. */
	TRIES = 3,
};

/* Which page it is, and not whether it was written; 0: that is not known. */
static uint64_t frame_of(uint64_t entry)
{
	return entry & ENTRY_PRESENT ? entry & (ENTRY_PRESENT | ENTRY_FILE | ENTRY_FRAME) : 0;
}

/* --- which mappings it tells of */

static struct soft_dirty_device *device_of(const struct soft_dirty *tracking,
					   const struct mapping *mapping)
{
	for (size_t i = 0; i < tracking->device_count; i++) {
		struct soft_dirty_device *device = &tracking->devices[i];
		if (device->major == mapping->device_major &&
		    device->minor == mapping->device_minor)
			return device;
	}
	return NULL;
}

static bool learn_devices(struct soft_dirty *tracking, const struct mapping_list *before)
{
	for (size_t i = 0; i < before->count; i++) {
		const struct mapping *mapping = &before->mappings[i];
		if (mapping->inode == 0 || !(mapping->flags & MAPPING_FLAGS_KNOWN))
			continue;
		struct soft_dirty_device *device = device_of(tracking, mapping);
		if (!device) {
			if (!GROW(tracking->devices, tracking->device_count,
				  tracking->device_capacity))
				return false;
			device = &tracking->devices[tracking->device_count++];
			*device = (struct soft_dirty_device){ mapping->device_major,
							      mapping->device_minor, false };
		}
		device->has_huge_pages |= (mapping->flags & MAPPING_HUGETLB) != 0;
	}
	return true;
}

/* Of a mapping that has come since, on a device that was not there, nothing is known. */
static bool is_told_of(const struct soft_dirty *tracking, const struct mapping *mapping)
{
	const struct soft_dirty_device *device = device_of(tracking, mapping);

	return mapping->inode == 0 || (device && !device->has_huge_pages);
}

/* --- looking at all of it */

/* Where pages differ from what was copied. */
struct look {
	struct soft_dirty *tracking;
	const struct mapping *mapping;
	bool is_told_of;
	page_range_fn *changed;
	void *user;
};

enum verdict { SAME, CHANGED, GONE };

static enum verdict judge(const struct look *look, uint64_t entry, enum spool_state state,
			  uint64_t frame)
{
	bool is_there = entry & (ENTRY_PRESENT | ENTRY_SWAPPED);

	/* What is a file's, and no copy of it, is read there. */
	if (!is_there || (entry & ENTRY_FILE && !look->mapping->is_shared))
		return state == SPOOL_NONE ? SAME : GONE;
	if (state == SPOOL_CONTENT && look->is_told_of && !(entry & ENTRY_SOFT_DIRTY) &&
	    frame != 0 && frame == frame_of(entry))
		return SAME;
	return CHANGED;
}

static enum kioku_status tell(const struct look *look, enum verdict verdict, uint64_t start,
			      uint64_t end, struct kioku_error *error)
{
	if (verdict == GONE)
		spool_clear(look->tracking->input.spool, start, end);
	return verdict == CHANGED ? look->changed(look->user, start, end, error) : KIOKU_OK;
}

/* The place of a chunk in the spool; -1: nothing of it has been copied. */
static int64_t find_chunk(const struct spool *spool, uint64_t address)
{
	size_t i = spool_after(spool, address);

	if (i == spool->index->count || spool->index->chunks[i].start > address)
		return -1;
	return spool->index->chunks[i].number;
}

/* Of pages within one chunk. */
static enum kioku_status look_at_chunk(const struct look *look, uint64_t start, uint64_t end,
				       const uint64_t *entries, struct kioku_error *error)
{
	const struct soft_dirty *tracking = look->tracking;
	int64_t chunk = find_chunk(tracking->input.spool, start);
	size_t first = start % SPOOL_CHUNK / PAGE, count = (size_t)(end - start) / PAGE;
	enum verdict run = SAME;
	size_t began = 0;

	for (size_t i = 0; i <= count; i++) {
		enum verdict verdict = SAME;
		if (i < count)
			verdict = chunk < 0 ? judge(look, entries[i], SPOOL_NONE, 0)
					    : judge(look, entries[i],
						    tracking->input.spool->states[chunk][first + i],
						    tracking->frames[chunk][first + i]);
		if (i < count && verdict == run)
			continue;
		TRY(tell(look, run, start + began * PAGE, start + i * PAGE, error));
		run = verdict;
		began = i;
	}
	return KIOKU_OK;
}

static enum kioku_status look_at(const struct look *look, struct kioku_error *error)
{
	struct soft_dirty *tracking = look->tracking;
	uint64_t at = look->mapping->start, end = look->mapping->end;

	while (at < end) {
		uint64_t past = at - at % SPOOL_CHUNK + (uint64_t)SOFT_DIRTY_ENTRIES * PAGE;
		past = past < end ? past : end;
		TRY(page_copier_check(&tracking->copier, error));
		TRY(pagemap_read(tracking->copier.pagemap, at, past, tracking->entries, error));
		for (const uint64_t *entries = tracking->entries; at < past;) {
			uint64_t next = at - at % SPOOL_CHUNK + SPOOL_CHUNK;
			next = next < past ? next : past;
			TRY(look_at_chunk(look, at, next, entries, error));
			entries += (next - at) / PAGE;
			at = next;
		}
	}
	return KIOKU_OK;
}

/* Tells of all that has changed, mapping by mapping; all: also of what the bits do not tell of. */
static enum kioku_status look_at_all(struct soft_dirty *tracking, bool all, page_range_fn *changed,
				     void *user, struct kioku_error *error)
{
	uint64_t began = wait_now();

	TRY(process_mappings(tracking->input.process, false, &tracking->maps, error));
	for (size_t i = 0; i < tracking->maps.list.count; i++) {
		const struct mapping *mapping = &tracking->maps.list.mappings[i];
		const struct look look = { tracking, mapping, is_told_of(tracking, mapping),
					   changed, user };
		if ((all || look.is_told_of) && tracking_input_wants(&tracking->input, mapping))
			TRY(look_at(&look, error));
	}
	tracking->looking = wait_now() - began;
	return KIOKU_OK;
}

/* --- copying, while it runs */

static void note_frames(struct soft_dirty *tracking, uint64_t start, const uint64_t *frames,
			size_t count)
{
	int64_t chunk = find_chunk(tracking->input.spool, start);

	if (chunk >= 0)
		memcpy(&tracking->frames[chunk][start % SPOOL_CHUNK / PAGE], frames,
		       count * sizeof(*frames));
}

/* Copies pages, and finds out in which frames these are; 0: not known, as they were not the same all the time. */
static enum kioku_status try_step(struct soft_dirty *tracking, uint64_t start, uint64_t end,
				  uint64_t *frames, bool *all_known, struct kioku_error *error)
{
	uint64_t after[STEP_PAGES], began = wait_now();
	size_t count = (size_t)(end - start) / PAGE;
	int pagemap = tracking->copier.pagemap;

	TRY(pagemap_read(pagemap, start, end, frames, error));
	TRY(page_copier_copy_now(&tracking->copier, start, end, error));
	TRY(pagemap_read(pagemap, start, end, after, error));
	uint64_t time = wait_now() - began;
	tracking->copying += time;
	*all_known = true;
	for (size_t i = 0; i < count; i++) {
		uint64_t frame = frame_of(frames[i]);
		frames[i] = time <= STEP_LIMIT && frame == frame_of(after[i]) ? frame : 0;
		*all_known &= frames[i] != 0;
	}
	return KIOKU_OK;
}

static enum kioku_status copy_step(struct soft_dirty *tracking, uint64_t start, uint64_t end,
				   struct kioku_error *error)
{
	uint64_t frames[STEP_PAGES];
	bool all_known = false;

	for (unsigned i = 0; i < TRIES && !all_known; i++) {
		TRY(page_copier_wait(&tracking->copier, end - start, error));
		TRY(try_step(tracking, start, end, frames, &all_known, error));
	}
	note_frames(tracking, start, frames, (size_t)(end - start) / PAGE);
	return KIOKU_OK;
}

static enum kioku_status copy_noting_frames(void *user, uint64_t start, uint64_t end,
					    struct kioku_error *error)
{
	for (uint64_t at = start, past; at < end; at = past) {
		past = at - at % STEP + STEP;
		past = past < end ? past : end;
		TRY(copy_step(user, at, past, error));
	}
	return KIOKU_OK;
}

uint64_t soft_dirty_cost(const struct soft_dirty *tracking, uint64_t size)
{
	double copied = (double)tracking->copier.copied;

	return copied > 0 ? (uint64_t)((double)size * (double)tracking->copying / copied) : 0;
}

void soft_dirty_init(struct soft_dirty *tracking)
{
	*tracking = (struct soft_dirty){ .clear = -1 };
	page_copier_init(&tracking->copier);
}

enum kioku_status soft_dirty_open(struct soft_dirty *tracking, const struct tracking_input *input,
				  const struct mapping_list *before, struct kioku_error *error)
{
	size_t size = input->spool->limit * sizeof(*tracking->frames);

	soft_dirty_init(tracking);
	tracking->input = *input;
	TRY(page_copier_open(&tracking->copier, input->process, input->spool, &input->terms,
			     error));
	tracking->clear = soft_dirty_open_bits(input->process);
	if (tracking->clear < 0)
		return error_os(error, "cannot clear the soft-dirty bits of process %d",
				input->process->pid);
	void *frames = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (frames == MAP_FAILED)
		return error_no_memory(error);
	tracking->frames = frames;
	return learn_devices(tracking, before) ? KIOKU_OK : error_no_memory(error);
}

static enum kioku_status count(void *user, uint64_t start, uint64_t end, struct kioku_error *error)
{
	uint64_t *sum = user;

	(void)error;
	*sum += end - start;
	return KIOKU_OK;
}

enum kioku_status soft_dirty_look(struct soft_dirty *tracking, uint64_t *dirty,
				  struct kioku_error *error)
{
	*dirty = 0;
	return look_at_all(tracking, true, count, dirty, error);
}

static enum kioku_status list(void *user, uint64_t start, uint64_t end, struct kioku_error *error)
{
	struct soft_dirty *tracking = user;

	return page_ranges_add(&tracking->written, start, end) ? KIOKU_OK : error_no_memory(error);
}

/*
 * The bit of a stopped thread's stack is set by writing what is there: if it is a page of the process's own, as what
 * is written there would make it one otherwise.
 */
static void mark(struct soft_dirty *tracking, pid_t tid)
{
	struct soft_dirty_mark *mark = &tracking->marks[tracking->mark_count];
	int pagemap = tracking->copier.pagemap;
	uint64_t entry;

	errno = 0;
	long stack = ptrace(PTRACE_PEEKUSER, tid, offsetof(struct user, regs.rsp), 0);
	mark->address = (uint64_t)stack / PAGE * PAGE;
	long word = ptrace(PTRACE_PEEKDATA, tid, mark->address, 0);
	if (errno != 0 || !pagemap_read_one(pagemap, mark->address, &entry) || !frame_of(entry) ||
	    entry & ENTRY_FILE || ptrace(PTRACE_POKEDATA, tid, mark->address, word) != 0 ||
	    !pagemap_read_one(pagemap, mark->address, &entry))
		return;
	mark->frame = frame_of(entry);
	tracking->mark_count += entry & ENTRY_SOFT_DIRTY && mark->frame != 0;
}

/* A marked page that is in its frame still has its bit, if nobody else has cleared it. */
static bool marks_hold(const struct soft_dirty *tracking)
{
	size_t known = 0;

	for (size_t i = 0; i < tracking->mark_count; i++) {
		const struct soft_dirty_mark *mark = &tracking->marks[i];
		uint64_t entry;
		if (!pagemap_read_one(tracking->copier.pagemap, mark->address, &entry) ||
		    frame_of(entry) != mark->frame)
			continue;
		if (!(entry & ENTRY_SOFT_DIRTY))
			return false;
		known++;
	}
	return known > 0;
}

static enum kioku_status check(const struct soft_dirty *tracking, struct kioku_error *error)
{
	if (tracking->is_valid)
		return KIOKU_OK;
	return error_set(error, KIOKU_ERROR_REFUSED,
			 "the soft-dirty bits of process %d could not be cleared, or were cleared "
			 "by another meanwhile",
			 tracking->input.process->pid);
}

void soft_dirty_clear(struct soft_dirty *tracking, const struct tracee *tracee)
{
	bool is_first = !tracking->is_valid;

	tracking->written.count = 0;
	/* What the kernel's write between a look and the clearing would be lost. */
	if (!is_first && tracee->other_count > 0)
		return;
	tracking->is_valid = is_first || marks_hold(tracking);
	if (!tracking->is_valid ||
	    (!is_first && look_at_all(tracking, false, list, tracking, NULL) != KIOKU_OK))
		return;
	uint64_t began = wait_now();
	if (!soft_dirty_clear_bits(tracking->clear)) {
		tracking->is_valid = !is_first;
		return;
	}
	tracking->clearing = wait_now() - began;
	tracking->mark_count = 0;
	for (size_t i = 0; i < tracee->count && tracking->mark_count < SOFT_DIRTY_MARKS; i++)
		if (tracee->threads[i].is_stopped)
			mark(tracking, tracee->threads[i].tid);
}

enum kioku_status soft_dirty_copy(struct soft_dirty *tracking, struct kioku_error *error)
{
	const struct page_ranges *written = &tracking->written;

	TRY(check(tracking, error));
	if (!tracking->has_copied)
		TRY(look_at_all(tracking, false, copy_noting_frames, tracking, error));
	tracking->has_copied = true;
	for (size_t i = 0; i < written->count; i++)
		TRY(copy_noting_frames(tracking, written->ranges[i].start, written->ranges[i].end,
				       error));
	page_copier_hurry(&tracking->copier);
	return spool_flush(tracking->input.spool, error);
}

static enum kioku_status copy_now(void *user, uint64_t start, uint64_t end,
				  struct kioku_error *error)
{
	return page_copier_copy_now(user, start, end, error);
}

enum kioku_status soft_dirty_take(struct soft_dirty *tracking, struct kioku_error *error)
{
	const struct process *process = tracking->input.process;

	if (!page_copier_is_current(&tracking->copier))
		return error_set(error, KIOKU_ERROR_NOT_FOUND,
				 "process %d runs another program now", process->pid);
	page_copier_stopped(&tracking->copier, process->live_thread);
	tracking->is_valid &= marks_hold(tracking);
	TRY(check(tracking, error));
	return look_at_all(tracking, true, copy_now, &tracking->copier, error);
}

void soft_dirty_release(struct soft_dirty *tracking)
{
	if (tracking->frames)
		munmap(tracking->frames, tracking->input.spool->limit * sizeof(*tracking->frames));
	tracking->frames = NULL;
	cleanup_close(&tracking->clear);
	tracking->clear = -1;
	page_copier_close(&tracking->copier);
	process_maps_release(&tracking->maps);
	page_ranges_release(&tracking->written);
	free(TAKE(tracking->devices));
}
