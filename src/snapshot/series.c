/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/series.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/growing.h"
#include "format/series_format.h"
#include "snapshot/process_memory.h"

enum { PAGE = SERIES_PAGE, BLOCK = 64 }; /* pages that are read at once */

struct page {
	uint64_t address;
	uint8_t digest[SERIES_DIGEST_SIZE];
};

struct pages {
	struct page *pages; /* ascending */
	size_t count, capacity;
};

/* One process of a series, which is known by its number and when it started. */
struct member {
	int32_t pid;
	uint64_t start_ticks;
	uint8_t id[SERIES_ID_SIZE];
	uint32_t moment; /* the next one */
	bool is_cleared; /* its soft-dirty bits, by us */
	struct pages before;
};

struct kioku_series {
	struct member *members;
	size_t count, capacity;
};

/* A moment in the making. */
struct making {
	const struct process_memory *memory;
	struct digest digest;
	const struct pages *before;
	size_t known; /* index of before: whatever is looked for lies behind it */
	struct pages now;
	struct pages stored;
	struct extent *runs; /* kind: enum series_state */
	size_t run_count, run_capacity;
	bool failed; /* no memory, or no digest */
};

struct kioku_series *kioku_series_new(void)
{
	return calloc(1, sizeof(struct kioku_series));
}

void kioku_series_free(struct kioku_series *series)
{
	if (!series)
		return;
	for (size_t i = 0; i < series->count; i++)
		free(series->members[i].before.pages);
	free(series->members);
	free(series);
}

static struct member *known_member(const struct kioku_series *series, const struct process *process)
{
	for (size_t i = 0; i < series->count; i++) {
		struct member *member = &series->members[i];
		if (member->pid == process->pid && member->start_ticks == process->start_ticks)
			return member;
	}
	return NULL;
}

static struct member *find_member(struct kioku_series *series, const struct process *process)
{
	struct member *known = known_member(series, process);

	if (known)
		return known;
	if (!GROW(series->members, series->count, series->capacity))
		return NULL;
	struct member *member = &series->members[series->count];
	*member = (struct member){ .pid = process->pid, .start_ticks = process->start_ticks };
	if (getrandom(member->id, sizeof(member->id), 0) != sizeof(member->id))
		return NULL;
	series->count++;
	return member;
}

enum kioku_status series_note_cleared(struct kioku_series *series, const struct process *process,
				      struct kioku_error *error)
{
	struct member *member = find_member(series, process);

	if (!member)
		return error_no_memory(error);
	member->is_cleared = true;
	return KIOKU_OK;
}

bool series_has_cleared(const struct kioku_series *series, const struct process *process)
{
	const struct member *member = known_member(series, process);

	return member && member->is_cleared;
}

static void add_page(struct making *making, struct pages *pages, const struct page *page)
{
	if (GROW(pages->pages, pages->count, pages->capacity))
		pages->pages[pages->count++] = *page;
	else
		making->failed = true;
}

/* Of an extent, size bytes from an address on. */
static void add_run(struct making *making, const struct extent *extent, uint64_t address,
		    uint64_t size, enum series_state state)
{
	struct extent *last = making->run_count > 0 ? &making->runs[making->run_count - 1] : NULL;
	uint64_t offset = extent->offset + (address - extent->start);

	if (last && last->kind == (int)state && last->start + last->size == address &&
	    last->offset + last->size == offset) {
		last->size += size;
		return;
	}
	if (GROW(making->runs, making->run_count, making->run_capacity))
		making->runs[making->run_count++] = (struct extent){
			.start = address, .size = size, .offset = offset, .kind = state
		};
	else
		making->failed = true;
}

static bool has_changed(struct making *making, const struct page *page)
{
	const struct pages *before = making->before;

	while (making->known < before->count &&
	       before->pages[making->known].address < page->address)
		making->known++;
	return making->known == before->count ||
	       before->pages[making->known].address != page->address ||
	       memcmp(before->pages[making->known].digest, page->digest, sizeof(page->digest)) != 0;
}

static void take_page(struct making *making, const struct extent *extent, uint64_t address,
		      const uint8_t *content)
{
	struct page page = { .address = address };
	uint8_t whole[DIGEST_SIZE];

	if (!digest_add(&making->digest, content, PAGE) || !digest_finish(&making->digest, whole)) {
		making->failed = true;
		return;
	}
	memcpy(page.digest, whole, sizeof(page.digest));
	bool changed = has_changed(making, &page);
	add_page(making, &making->now, &page);
	if (changed)
		add_page(making, &making->stored, &page);
	add_run(making, extent, address, PAGE, changed ? SERIES_STORED : SERIES_UNCHANGED);
}

static void take_present(struct making *making, const struct extent *extent)
{
	uint8_t block[BLOCK * PAGE];

	for (uint64_t at = 0, size; at < extent->size && !making->failed; at += size) {
		uint64_t address = extent->start + at, offset = extent->offset + at;
		size = extent->size - at < sizeof(block) ? extent->size - at : sizeof(block);
		bool whole = process_memory_read(making->memory, address, offset, block, size,
						 NULL) == KIOKU_OK;
		for (uint64_t i = 0; i < size; i += PAGE) {
			if (whole || process_memory_read(making->memory, address + i, offset + i,
							 block + i, PAGE, NULL) == KIOKU_OK)
				take_page(making, extent, address + i, block + i);
			else
				add_run(making, extent, address + i, PAGE, SERIES_LOST);
		}
	}
}

static void take_all(struct making *making, const struct range_map *extents)
{
	static const enum series_state states[] = { [KIOKU_RANGE_ZERO] = SERIES_ZERO,
						    [KIOKU_RANGE_EXCLUDED] = SERIES_EXCLUDED,
						    [KIOKU_RANGE_UNREADABLE] = SERIES_LOST };

	for (size_t i = 0; i < extents->count; i++) {
		const struct extent *extent = &extents->extents[i];
		if (extent->kind == KIOKU_RANGE_PRESENT)
			take_present(making, extent);
		else
			add_run(making, extent, extent->start, extent->size, states[extent->kind]);
	}
}

static enum kioku_status encode(const struct making *making, const struct member *member,
				const struct layout *layout, const char *description,
				uint8_t **note, size_t *note_size, struct kioku_error *error)
{
	AUTO_FREE uint8_t *digests = malloc(making->stored.count * SERIES_DIGEST_SIZE + 1);
	struct series_moment moment = {
		.moment = member->moment,
		.segments = { .count = layout->segment_count },
		.runs = { .count = making->run_count },
		.digests = { digests, making->stored.count * SERIES_DIGEST_SIZE },
		.description = { (const uint8_t *)description, strlen(description) },
	};

	memcpy(moment.id, member->id, sizeof(moment.id));
	for (size_t i = 0; digests && i < making->stored.count; i++)
		memcpy(digests + i * SERIES_DIGEST_SIZE, making->stored.pages[i].digest,
		       SERIES_DIGEST_SIZE);
	*note_size = series_size(&moment);
	*note = malloc(*note_size);
	if (!digests || !*note)
		return error_no_memory(error);
	series_encode(&moment, *note);
	for (size_t i = 0; i < layout->segment_count; i++) {
		const struct source_segment *segment = &layout->segments[i];
		const struct series_range range = { segment->start, segment->size, segment->flags };
		series_range_encode(&moment.segments, i, &range);
	}
	for (size_t i = 0; i < making->run_count; i++) {
		const struct extent *run = &making->runs[i];
		const struct series_range range = { run->start, run->size, (uint64_t)run->kind };
		series_range_encode(&moment.runs, i, &range);
	}
	return KIOKU_OK;
}

/* What is left of the layout. */
static bool replace_extents(const struct making *making, struct range_map *extents)
{
	static const enum kioku_range_state states[SERIES_STATE_COUNT] = {
		[SERIES_STORED] = KIOKU_RANGE_PRESENT,     [SERIES_ZERO] = KIOKU_RANGE_ZERO,
		[SERIES_EXCLUDED] = KIOKU_RANGE_EXCLUDED,  [SERIES_LOST] = KIOKU_RANGE_UNREADABLE,
		[SERIES_UNCHANGED] = KIOKU_RANGE_EXCLUDED,
	};

	range_map_release(extents);
	for (size_t i = 0; i < making->run_count; i++) {
		struct extent run = making->runs[i];
		run.kind = states[run.kind];
		if (!range_map_add(extents, run))
			return false;
	}
	return range_map_normalise(extents);
}

enum kioku_status series_reduce(struct kioku_series *series, const struct process *process,
				const struct process_memory *memory, struct layout *layout,
				const char *description, uint8_t **note, size_t *note_size,
				struct kioku_error *error)
{
	struct member *member = find_member(series, process);
	struct making making = { .memory = memory };

	if (!member)
		return error_no_memory(error);
	making.before = &member->before;
	enum kioku_status status = digest_init(&making.digest, KIOKU_DIGEST_SHA256, error);
	if (status == KIOKU_OK)
		take_all(&making, &layout->extents);
	if (status == KIOKU_OK && making.failed)
		status = error_no_memory(error);
	if (status == KIOKU_OK)
		status = encode(&making, member, layout, description, note, note_size, error);
	if (status == KIOKU_OK && !replace_extents(&making, &layout->extents))
		status = error_no_memory(error);
	if (status == KIOKU_OK) {
		free(member->before.pages);
		member->before = making.now;
		making.now = (struct pages){ 0 };
		member->moment++;
	}
	layout->stored = making.stored.count * PAGE;
	digest_release(&making.digest);
	free(making.now.pages);
	free(making.stored.pages);
	free(making.runs);
	return status;
}
