/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/error.h"
#include "source/driver.h"
#include "source/remote.h"

#define PAGE             4096u
#define UNIT             8u            /* bytes that are kept, or not, as one */
#define UNITS            (PAGE / UNIT) /* of a page */
#define CACHED_PAGES     (RECENT_PAGES_SIZE / PAGE)
#define CONVENTIONAL_END 0xa0000u   /* of a PC: below it there is only RAM */
#define BULK_SIZE        (4 * PAGE) /* reads as large as this are not made twice */
#define KEPT_LIMIT       16u

/* What is known of a page in the cache: which units of it came in, and how long ago. */
struct freshness {
	uint64_t units[UNITS / 64];
	uint32_t age; /* value of the clock when the oldest of them came */
};

struct remote {
	bool knows_ram;
	uint32_t clock;          /* source_age() moves it on */
	struct freshness *fresh; /* of each page of source->pages */
	struct span kept[KEPT_LIMIT];
	size_t kept_count;
};

/* --- what may be read */

bool source_is_remote(const struct kioku_source *source)
{
	return source->remote != NULL;
}

bool kioku_source_lacks_ranges(const struct kioku_source *source)
{
	return source->remote && !source->remote->knows_ram;
}

enum kioku_status remote_begin(struct kioku_source *source, struct range_map *known,
			       struct kioku_error *error)
{
	CLEANUP(range_map_release) struct range_map conventional = { 0 };
	struct remote *remote = source->remote = calloc(1, sizeof(*remote));

	if (!remote)
		return error_no_memory(error);
	remote->knows_ram = known != NULL;
	remote->fresh = calloc(CACHED_PAGES, sizeof(*remote->fresh));
	if (!remote->fresh || !recent_pages_init(&source->pages, PAGE))
		return error_no_memory(error);
	if (!known) {
		struct extent extent = { 0, CONVENTIONAL_END, 0, KIOKU_RANGE_PRESENT };
		if (!range_map_add(&conventional, extent))
			return error_no_memory(error);
		known = &conventional;
	}
	return source_add_layout(source, known, error);
}

void remote_end(struct kioku_source *source)
{
	if (!source->remote)
		return;
	free(source->remote->fresh);
	free(TAKE(source->remote));
}

enum kioku_status source_learn_ranges(struct kioku_source *source, struct range_map *ram,
				      struct kioku_error *error)
{
	source->remote->knows_ram = true;
	source->hint = 0;
	return source_replace_layout(source, ram, error);
}

bool source_admit(struct kioku_source *source, uint64_t physical, uint64_t size)
{
	CLEANUP(range_map_release) struct range_map map = { 0 };
	const struct range_map *now = &source->layout->extents;
	struct extent extent = { physical, size, physical, KIOKU_RANGE_PRESENT };

	if (source_has(source, physical, size))
		return true;
	if (!kioku_source_lacks_ranges(source))
		return false;
	for (size_t i = 0; i < now->count; i++)
		if (!range_map_add(&map, now->extents[i]))
			return false;
	source->hint = 0;
	return source_add_range(source, &map, extent) &&
	       source_replace_layout(source, &map, NULL) == KIOKU_OK &&
	       source_has(source, physical, size);
}

/* The first byte of a range that is not known to be RAM, or its end. */
static uint64_t first_foreign(struct kioku_source *source, uint64_t physical, uint64_t size)
{
	uint64_t at = physical;

	while (at - physical < size) {
		const struct extent *extent =
			range_map_find(&source->layout->extents, at, &source->hint);
		if (!extent || extent->kind != KIOKU_RANGE_PRESENT)
			return at;
		at = extent->start + extent->size;
	}
	return physical + size;
}

/* --- what came in lately */

void source_age(struct kioku_source *source)
{
	if (source->remote)
		source->remote->clock++;
}

void source_keep(struct kioku_source *source, uint64_t physical, uint64_t size)
{
	struct remote *remote = source->remote;

	if (remote && remote->kept_count < KEPT_LIMIT)
		remote->kept[remote->kept_count++] = (struct span){ physical, size };
}

/* Of a page that has become old: only what is kept. */
static void forget(const struct remote *remote, struct freshness *fresh, uint64_t page)
{
	uint64_t kept[UNITS / 64] = { 0 };

	for (size_t i = 0; i < remote->kept_count; i++) {
		const struct span *span = &remote->kept[i];
		for (uint64_t unit = 0; unit < UNITS; unit++) {
			uint64_t at = page + unit * UNIT;
			if (at >= span->start && at + UNIT <= span->start + span->size)
				kept[unit / 64] |= 1ull << unit % 64;
		}
	}
	for (size_t i = 0; i < UNITS / 64; i++)
		fresh->units[i] &= kept[i];
	fresh->age = remote->clock;
}

/* A page's content so far, with its freshness; NULL if nothing of it is there. */
static const uint8_t *look(struct kioku_source *source, uint64_t page, struct freshness **fresh)
{
	struct remote *remote = source->remote;
	const uint8_t *data = recent_pages_find(&source->pages, page);

	if (!data)
		return NULL;
	*fresh = &remote->fresh[(size_t)(data - source->pages.data) / PAGE];
	/* What came in one step before is as good as new: a step looks back at the one before. */
	if (remote->clock - (*fresh)->age > 1)
		forget(remote, *fresh, page);
	return data;
}

void source_forget(struct kioku_source *source, uint64_t physical, uint64_t size)
{
	struct freshness *fresh;

	for (uint64_t at = physical & ~(uint64_t)(UNIT - 1); source->remote && at < physical + size;
	     at += UNIT) {
		size_t unit = at % PAGE / UNIT;
		if (look(source, at - at % PAGE, &fresh))
			fresh->units[unit / 64] &= ~(1ull << unit % 64);
	}
}

static bool has_unit(const struct freshness *fresh, size_t unit)
{
	return fresh->units[unit / 64] >> unit % 64 & 1;
}

/*
 * Copies what is there of a part of one page. True if that is all; else the units from *first to
 * *last are what has to be fetched.
 */
static bool copy_known(struct kioku_source *source, uint64_t physical, uint8_t *out, size_t size,
		       size_t *first, size_t *last)
{
	size_t start = physical % PAGE, end = start + size;
	struct freshness *fresh;
	const uint8_t *data = look(source, physical - start, &fresh);

	*first = UNITS;
	*last = 0;
	for (size_t unit = start / UNIT; unit <= (end - 1) / UNIT; unit++) {
		if (data && has_unit(fresh, unit))
			continue;
		*first = *first < unit ? *first : unit;
		*last = unit;
	}
	if (data)
		memcpy(out, data + start, size);
	return *first == UNITS;
}

static void remember(struct kioku_source *source, const struct remote_read *read)
{
	struct remote *remote = source->remote;
	size_t start = read->physical % PAGE;
	uint64_t page = read->physical - start;
	struct freshness *fresh;

	if (!look(source, page, &fresh)) {
		uint8_t *data = recent_pages_claim(&source->pages, page);
		fresh = &remote->fresh[(size_t)(data - source->pages.data) / PAGE];
		*fresh = (struct freshness){ .age = remote->clock };
	}
	uint8_t *data = (uint8_t *)recent_pages_find(&source->pages, page);
	memcpy(data + start, read->buffer, read->size);
	for (size_t unit = (start + UNIT - 1) / UNIT; unit < (start + read->size) / UNIT; unit++)
		fresh->units[unit / 64] |= 1ull << unit % 64;
}

/* --- reading */

/* One part of what was asked for that has to come over the link. */
struct part {
	struct kioku_read *read;
	uint64_t physical; /* of the read, where its part begins */
	uint8_t *out;
	size_t size;
};

struct batch {
	struct part *parts;
	struct remote_read *reads; /* one for each part */
	uint8_t *scratch;          /* where those of cached pages come to */
	size_t count;
	size_t used; /* of scratch */
};

static void release_batch(struct batch *batch)
{
	free(batch->parts);
	free(batch->reads);
	free(batch->scratch);
}

static size_t part_of_page(uint64_t physical, size_t left)
{
	size_t part = PAGE - physical % PAGE;

	return part < left ? part : left;
}

static void add_bulk(struct batch *batch, struct kioku_read *read)
{
	batch->parts[batch->count] = (struct part){ .read = read };
	batch->reads[batch->count++] = (struct remote_read){ .physical = read->address,
							     .buffer = read->buffer,
							     .size = read->size };
}

/* As far as RAM reaches, whole units are fetched, for whoever asks for their other half next. */
static void add_units(struct kioku_source *source, struct batch *batch, struct part *part,
		      size_t first, size_t last)
{
	uint64_t page = part->physical - part->physical % PAGE;
	uint64_t start = page + first * UNIT, end = page + (last + 1) * UNIT;

	if (first_foreign(source, start, end - start) < end) {
		start = part->physical;
		end = start + part->size;
	}
	batch->parts[batch->count] = *part;
	batch->reads[batch->count++] = (struct remote_read){ .physical = start,
							     .buffer = batch->scratch + batch->used,
							     .size = end - start };
	batch->used += end - start;
}

static void add_pages(struct kioku_source *source, struct batch *batch, struct kioku_read *read)
{
	uint8_t *out = read->buffer;
	size_t first, last;

	for (size_t done = 0, size; done < read->size; done += size) {
		struct part part = { read, read->address + done, out + done, 0 };
		part.size = size = part_of_page(part.physical, read->size - done);
		if (!copy_known(source, part.physical, part.out, size, &first, &last))
			add_units(source, batch, &part, first, last);
	}
}

/* What came in goes to where it was wanted, and is kept. */
static void take(struct kioku_source *source, const struct part *part,
		 const struct remote_read *read)
{
	if (read->status != KIOKU_OK) {
		if (part->read->status == KIOKU_OK)
			part->read->status = read->status;
		return;
	}
	if (!part->out)
		return;
	uint64_t start = read->physical > part->physical ? read->physical : part->physical;
	uint64_t read_end = read->physical + read->size, part_end = part->physical + part->size;
	uint64_t end = read_end < part_end ? read_end : part_end;
	memcpy(part->out + (start - part->physical), read->buffer + (start - read->physical),
	       end - start);
	remember(source, read);
}

static bool make_room(struct batch *batch, const struct kioku_read *reads, size_t count)
{
	size_t parts = 0, bytes = 0;

	for (size_t i = 0; i < count; i++) {
		bool is_bulk = reads[i].size >= BULK_SIZE;
		parts += is_bulk ? 1 : reads[i].size / PAGE + 2;
		bytes += is_bulk ? 0 : reads[i].size + (reads[i].size / PAGE + 2) * 2 * UNIT;
	}
	batch->parts = calloc(parts + 1, sizeof(*batch->parts));
	batch->reads = calloc(parts + 1, sizeof(*batch->reads));
	batch->scratch = malloc(bytes + 1);
	return batch->parts && batch->reads && batch->scratch;
}

/* Returns the first read over the link that failed, or NULL. */
static const struct remote_read *read_batch(struct kioku_source *source, struct kioku_read *reads,
					    size_t count, struct batch *batch)
{
	const struct remote_read *failed = NULL;

	for (size_t i = 0; i < count; i++) {
		if (reads[i].status != KIOKU_OK)
			continue;
		if (reads[i].size >= BULK_SIZE)
			add_bulk(batch, &reads[i]);
		else
			add_pages(source, batch, &reads[i]);
	}
	if (batch->count > 0)
		source->driver->remote->read_many(source->state, batch->reads, batch->count);
	for (size_t i = 0; i < batch->count; i++) {
		take(source, &batch->parts[i], &batch->reads[i]);
		if (!failed && batch->reads[i].status != KIOKU_OK)
			failed = &batch->reads[i];
	}
	return failed;
}

void remote_read_many(struct kioku_source *source, struct kioku_read *reads, size_t count)
{
	CLEANUP(release_batch) struct batch batch = { 0 };

	for (size_t i = 0; i < count; i++) {
		uint64_t end = reads[i].address + reads[i].size;
		bool is_known = end >= reads[i].address &&
				first_foreign(source, reads[i].address, reads[i].size) == end;
		reads[i].status = is_known ? KIOKU_OK : KIOKU_ERROR_ABSENT;
	}
	if (make_room(&batch, reads, count)) {
		read_batch(source, reads, count, &batch);
		return;
	}
	for (size_t i = 0; i < count; i++)
		reads[i].status = KIOKU_ERROR_NO_MEMORY;
}

enum kioku_status remote_read(struct kioku_source *source, uint64_t physical, void *buffer,
			      size_t size, struct kioku_error *error)
{
	CLEANUP(release_batch) struct batch batch = { 0 };
	struct kioku_read read = { physical, buffer, size, KIOKU_OK };
	uint64_t foreign =
		size > UINT64_MAX - physical ? physical : first_foreign(source, physical, size);

	if (foreign - physical < size)
		return error_at(error, KIOKU_ERROR_ABSENT, foreign, "physical address 0x%llx is %s",
				(unsigned long long)foreign,
				source->remote->knows_ram ? "no RAM" : "not known to be RAM");
	if (!make_room(&batch, &read, 1))
		return error_no_memory(error);
	const struct remote_read *failed = read_batch(source, &read, 1, &batch);
	if (!failed)
		return KIOKU_OK;
	return error_at(error, failed->status, failed->failed_at, "physical address 0x%llx: %s",
			(unsigned long long)failed->failed_at, failed->problem);
}

void source_prefetch(struct kioku_source *source, const struct span *spans, size_t count)
{
	struct kioku_read reads[PREFETCH_LIMIT];
	uint8_t scratch[PREFETCH_SIZE];
	size_t used = 0, wanted = 0;

	if (!source->remote)
		return;
	for (size_t i = 0; i < count && i < PREFETCH_LIMIT; i++) {
		if (spans[i].size > sizeof(scratch) - used)
			break;
		reads[wanted++] = (struct kioku_read){ spans[i].start, scratch + used,
						       spans[i].size, KIOKU_OK };
		used += spans[i].size;
	}
	remote_read_many(source, reads, wanted);
}
