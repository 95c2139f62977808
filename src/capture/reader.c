/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/reader.h"

#include <stdio.h>
#include <string.h>

enum kioku_status reader_init(struct reader *reader, struct kioku_source *source, unsigned timeout,
			      struct kioku_error *error)
{
	reader->address_name = source_address_name(source);
	return fetcher_init(&reader->fetcher, reader->run, source, timeout, error);
}

void reader_release(struct reader *reader)
{
	fetcher_release(&reader->fetcher);
	for (size_t i = 0; i < reader->error_count; i++)
		free(reader->errors[i].reason);
	free(reader->errors);
	reader->errors = NULL;
}

/* Adds to what the manifest lists; the page states tell all of it anyway. */
static void list_error(struct reader *reader, const struct manifest_error *lost)
{
	if (reader->error_count == reader->error_capacity) {
		size_t capacity = reader->error_capacity ? 2 * reader->error_capacity : 16;
		struct manifest_error *errors =
			reallocarray(reader->errors, capacity, sizeof(*errors));
		if (!errors || capacity > READER_ERRORS_LIMIT) {
			reader->errors = errors ? errors : reader->errors;
			return;
		}
		reader->errors = errors;
		reader->error_capacity = capacity;
	}
	struct manifest_error *error = &reader->errors[reader->error_count];
	*error = *lost;
	error->reason = strdup(reader->reason);
	reader->error_count += error->reason != NULL;
}

/* Says what was lost, once for neighbours that were lost for the same reason. */
static void end_lost(struct reader *reader)
{
	const struct manifest_error *lost = &reader->lost;

	if (lost->size == 0)
		return;
	diagnose(&reader->run->diagnostics, KIOKU_GAP,
		 "%llu bytes of memory at %s 0x%llx are lost: %s", (unsigned long long)lost->size,
		 reader->address_name, (unsigned long long)lost->physical, reader->reason);
	list_error(reader, lost);
	reader->lost.size = 0;
}

static void lose(struct reader *reader, uint64_t physical, uint64_t size, const char *reason)
{
	struct manifest_error *lost = &reader->lost;

	if (lost->size > 0 && lost->physical + lost->size == physical &&
	    strncmp(reader->reason, reason, sizeof(reader->reason) - 1) == 0) {
		lost->size += size;
		return;
	}
	end_lost(reader);
	*lost = (struct manifest_error){ .physical = physical, .size = size };
	snprintf(reader->reason, sizeof(reader->reason), "%s", reason);
}

/* Where the index-th page of a block lies in it. */
static size_t page_offset(const struct capture_block *block, size_t index)
{
	size_t skipped = block->physical % CAPTURE_PAGE;

	return index == 0 ? 0 : index * CAPTURE_PAGE - skipped;
}

static size_t page_size(const struct capture_block *block, size_t index)
{
	return (size_t)plan_page_bytes(block->physical, block->size, index);
}

/* Reads pages [first, end) of a slot at once. */
static enum fetch_result read_pages(struct reader *reader, struct memory_slot *slot, size_t first,
				    size_t end, struct kioku_error *error)
{
	const struct capture_block *block = &slot->block;
	size_t offset = page_offset(block, first);
	size_t last = end - 1;
	size_t size = page_offset(block, last) + page_size(block, last) - offset;

	return fetcher_read(&reader->fetcher, block->physical + offset, &slot->buffer, offset, size,
			    NULL, error);
}

static void lose_page(struct reader *reader, struct memory_slot *slot, size_t page,
		      enum page_state state, const char *reason)
{
	const struct capture_block *block = &slot->block;
	size_t offset = page_offset(block, page), size = page_size(block, page);

	slot->states[page] = (uint8_t)state;
	memset(slot->buffer + offset, 0, size);
	if (page_state_is_loss(state))
		lose(reader, block->physical + offset, size, reason);
}

/* What reading one page ran into, without the address, so that neighbours say the same. */
static const char *fault_reason(const struct kioku_error *error)
{
	return error->status == KIOKU_ERROR_OS && error->os_errno
		       ? strerror(error->os_errno)
		       : kioku_status_name(error->status);
}

/* False: the source is given up. */
static bool read_one(struct reader *reader, struct memory_slot *slot, size_t page)
{
	struct kioku_error error = { 0 };
	char reason[128];

	switch (read_pages(reader, slot, page, page + 1, &error)) {
	case FETCH_SKIPPED: /* not asked for */
	case FETCH_DONE: return true;
	case FETCH_FAILED:
		snprintf(reason, sizeof(reason), "cannot be read: %s", fault_reason(&error));
		lose_page(reader, slot, page, PAGE_FAULTED, reason);
		return true;
	case FETCH_TIMED_OUT:
		lose_page(reader, slot, page, PAGE_TIMED_OUT, "reading takes too long");
		return true;
	case FETCH_OVER: break;
	}
	run_fail(reader->run, &error);
	return false;
}

static bool read_each(struct reader *reader, struct memory_slot *slot, size_t first, size_t end)
{
	for (size_t page = first; page < end; page++)
		if (!read_one(reader, slot, page))
			return false;
	return true;
}

static bool read_run(struct reader *reader, struct memory_slot *slot, size_t first, size_t end)
{
	struct kioku_error error = { 0 };
	enum fetch_result result = read_pages(reader, slot, first, end, &error);

	if (result == FETCH_OVER)
		run_fail(reader->run, &error);
	if (result == FETCH_DONE || result == FETCH_OVER)
		return result == FETCH_DONE;
	return read_each(reader, slot, first, end);
}

static const char *state_reason(enum page_state state)
{
	return state == PAGE_POISONED ? "marked by a hardware memory error"
				      : "the source does not have them";
}

/* A block that could not be had at once: around the pages that are not to be read. */
static bool read_around(struct reader *reader, struct memory_slot *slot, size_t count,
			enum fetch_result why)
{
	for (size_t page = 0; page < count;) {
		size_t end = page + 1;
		enum page_state state = (enum page_state)slot->states[page];
		while (end < count && slot->states[end] == state)
			end++;
		/* What has failed once in one piece would fail, or hang, again. */
		if (page_state_is_content(state) &&
		    !(why == FETCH_SKIPPED ? read_run(reader, slot, page, end)
					   : read_each(reader, slot, page, end)))
			return false;
		for (; page < end; page++)
			if (!page_state_is_content(state))
				lose_page(reader, slot, page, state, state_reason(state));
	}
	return true;
}

static void find_zeros(struct memory_slot *slot, size_t count)
{
	for (size_t page = 0; page < count; page++)
		if (slot->states[page] == PAGE_READ &&
		    bytes_are_zero(slot->buffer + page_offset(&slot->block, page),
				   page_size(&slot->block, page)))
			slot->states[page] = PAGE_ZERO;
}

/* Fills in a slot whose block says what to read. */
static bool fill(struct reader *reader, struct memory_slot *slot)
{
	struct capture_block *block = &slot->block;
	size_t count = (size_t)plan_pages(block->physical, block->size);
	struct kioku_error error = { 0 };

	memset(slot->states, PAGE_READ, sizeof(slot->states));
	block->begin = run_seconds(reader->run);
	enum fetch_result result = fetcher_read(&reader->fetcher, block->physical, &slot->buffer, 0,
						block->size, slot->states, &error);
	if (result == FETCH_OVER)
		run_fail(reader->run, &error);
	if (result == FETCH_OVER ||
	    (result != FETCH_DONE && !read_around(reader, slot, count, result)))
		return false;
	block->end = run_seconds(reader->run);
	find_zeros(slot, count);
	block->data = slot->buffer;
	block->states = slot->states;
	return true;
}

/* Known from the start not to be there. */
static void lose_range(struct reader *reader, const struct plan_range *range)
{
	if (page_state_is_loss(range->absent))
		lose(reader, range->start, range->size, state_reason(range->absent));
}

void reader_run(struct reader *reader)
{
	struct plan_walk walk = { 0 };
	const struct plan_range *range;
	uint64_t physical, size;
	bool goes_on = true;

	while (goes_on && !atomic_load(&reader->run->stop) &&
	       (range = plan_next(reader->plan, &walk, &physical, &size))) {
		if (!range->is_stored) {
			lose_range(reader, range);
			continue;
		}
		run_sleep_until(reader->run,
				rate_take(&reader->rate, run_seconds(reader->run), size));
		int slot = ring_claim(reader->ring);
		if (slot == RING_OVER) {
			goes_on = false;
			break;
		}
		reader->slots[slot].block.physical = physical;
		reader->slots[slot].block.size = (size_t)size;
		goes_on = fill(reader, &reader->slots[slot]);
		if (goes_on)
			ring_publish(reader->ring);
	}
	end_lost(reader);
	reader->complete = goes_on && walk.range == reader->plan->count;
	ring_end(reader->ring);
}
