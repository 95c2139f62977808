/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a source, and finding what there is to read. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "source/live_driver.h"

#define PAGE_MASK 4095ull

static enum kioku_status absent(const struct extent *extent, uint64_t physical,
				struct kioku_error *error)
{
	const char *reason =
		!extent ? "is not in the image"
		: extent->kind == KIOKU_RANGE_EXCLUDED
			? "was left out of the image"
			: "is missing: it could not be read, or the image is truncated";

	return error_at(error, KIOKU_ERROR_ABSENT, physical, "physical address 0x%llx %s",
			(unsigned long long)physical, reason);
}

/* The page at physical, from the cache or through the driver. */
static enum kioku_status find_page(struct kioku_source *source, uint64_t physical,
				   const uint8_t **out, struct kioku_error *error)
{
	*out = recent_pages_find(&source->pages, physical);
	if (*out)
		return KIOKU_OK;
	uint8_t *page = recent_pages_claim(&source->pages, physical);
	enum kioku_status status = source->driver->read_page(source, physical, page, error);
	if (status != KIOKU_OK)
		recent_pages_forget(&source->pages, physical);
	*out = page;
	return status;
}

/* At most size bytes at physical, up to the end of their page; *size: how many. */
static enum kioku_status read_in_page(struct kioku_source *source, uint64_t physical, uint8_t *out,
				      size_t *size, struct kioku_error *error)
{
	size_t page_size = source->pages.page_size;
	size_t skipped = physical & (page_size - 1);
	const uint8_t *page;

	*size = *size < page_size - skipped ? *size : page_size - skipped;
	enum kioku_status status = find_page(source, physical - skipped, &page, error);
	if (status == KIOKU_OK)
		memcpy(out, page + skipped, *size);
	else if (error)
		error->address = physical;
	return status;
}

/* Some of the bytes of a PRESENT extent, as the source keeps them: a source_part_fn. */
static enum kioku_status read_part(void *user, const struct extent *extent, uint64_t physical,
				   uint8_t *out, size_t *size, struct kioku_error *error)
{
	struct kioku_source *source = user;
	uint64_t offset = extent->offset + (physical - extent->start);

	if (source->pages.page_size > 0)
		return read_in_page(source, physical, out, size, error);
	if (source->driver->access) {
		page_set_add(&source->touched, physical, *size);
		return source->driver->access->read(source->access, physical, offset, out, *size,
						    error);
	}
	const char *problem;
	size_t got = image_file_read(&source->file, offset, out, *size, &problem);
	if (got == *size)
		return KIOKU_OK;
	return error_at(error, KIOKU_ERROR_ABSENT, physical + got,
			"the byte at physical address 0x%llx cannot be read: %s",
			(unsigned long long)(physical + got), problem);
}

enum kioku_status source_read_parts(const struct source_layout *layout, size_t *hint,
				    uint64_t physical, void *buffer, size_t size,
				    source_part_fn *function, void *user, struct kioku_error *error)
{
	uint8_t *out = buffer;

	/* No extent reaches the last address, so physical cannot wrap around. */
	while (size > 0) {
		const struct extent *extent = range_map_find(&layout->extents, physical, hint);
		if (!extent || extent->kind > KIOKU_RANGE_ZERO)
			return absent(extent, physical, error);

		uint64_t left = extent->size - (physical - extent->start);
		size_t part = left < size ? (size_t)left : size;
		if (extent->kind == KIOKU_RANGE_ZERO)
			memset(out, 0, part);
		else
			TRY(function(user, extent, physical, out, &part, error));
		out += part;
		physical += part;
		size -= part;
	}
	return KIOKU_OK;
}

enum kioku_status source_read(struct kioku_source *source, uint64_t physical, void *buffer,
			      size_t size, struct kioku_error *error)
{
	if (source->remote)
		return remote_read(source, physical, buffer, size, error);
	return source_read_parts(source->layout, &source->hint, physical, buffer, size, read_part,
				 source, error);
}

enum kioku_status kioku_source_read(struct kioku_source *source, uint64_t physical, void *buffer,
				    size_t size, struct kioku_error *error)
{
	source->requests++;
	source->rounds++;
	return source_read(source, physical, buffer, size, error);
}

void kioku_source_read_many(struct kioku_source *source, struct kioku_read *reads, size_t count)
{
	if (source->remote) {
		remote_read_many(source, reads, count);
		return;
	}
	source->requests += count;
	source->rounds += count > 0;
	for (size_t i = 0; i < count; i++)
		reads[i].status =
			source_read(source, reads[i].address, reads[i].buffer, reads[i].size, NULL);
}

bool source_map(struct kioku_source *source, uint64_t physical, uint64_t size, struct bytes *out)
{
	const struct extent *extent =
		range_map_find(&source->layout->extents, physical, &source->hint);

	if (!extent || extent->kind != KIOKU_RANGE_PRESENT || source->pages.page_size > 0 ||
	    source->driver->access)
		return false;
	uint64_t skipped = physical - extent->start;
	uint64_t left = extent->size - skipped;
	source->requests++;
	source->rounds++;
	return image_file_look(&source->file, extent->offset + skipped, size < left ? size : left,
			       out);
}

/*
 * Moves *offset to the next data of the file and returns how much there is before end, or 0. File
 * systems that cannot tell holes, and block devices, are all data.
 */
static uint64_t next_file_data(int descriptor, uint64_t *offset, uint64_t end)
{
	off_t data = lseek(descriptor, (off_t)*offset, SEEK_DATA);
	if (data < 0)
		return errno == ENXIO ? 0 : end - *offset;
	if ((uint64_t)data >= end)
		return 0;

	off_t hole = lseek(descriptor, data, SEEK_HOLE);
	if (hole > data && (uint64_t)hole < end)
		end = (uint64_t)hole;
	*offset = (uint64_t)data;
	return end - *offset;
}

uint64_t source_next_data(struct kioku_source *source, uint64_t *physical, uint64_t end)
{
	const struct range_map *map = &source->layout->extents;

	for (size_t i = range_map_after(map, *physical); i < map->count; i++) {
		const struct extent *extent = &map->extents[i];
		uint64_t start = *physical > extent->start ? *physical : extent->start;
		uint64_t stop = extent->start + extent->size;
		stop = stop < end ? stop : end;
		if (start >= stop)
			return 0;
		if (extent->kind != KIOKU_RANGE_PRESENT)
			continue;
		if (!source_is_plain(source) || source->driver->access) {
			*physical = start;
			return stop - start;
		}

		uint64_t offset = extent->offset + (start - extent->start);
		uint64_t size = next_file_data(source->descriptor, &offset,
					       extent->offset + (stop - extent->start));
		if (size == 0)
			continue;
		/* The file's pages may lie across those of memory, which are what callers look at. */
		uint64_t first = (extent->start + (offset - extent->offset)) & ~PAGE_MASK;
		uint64_t last = extent->start + (offset - extent->offset) + (size - 1);
		*physical = first > start ? first : start;
		return ((last | PAGE_MASK) < stop ? (last | PAGE_MASK) + 1 : stop) - *physical;
	}
	return 0;
}

bool source_has(const struct kioku_source *source, uint64_t physical, uint64_t size)
{
	const struct range_map *map = &source->layout->extents;

	for (size_t i = range_map_after(map, physical); size > 0; i++) {
		if (i == map->count || map->extents[i].start > physical ||
		    map->extents[i].kind > KIOKU_RANGE_ZERO)
			return false;
		uint64_t left = map->extents[i].size - (physical - map->extents[i].start);
		if (left >= size)
			return true;
		physical += left;
		size -= left;
	}
	return true;
}

uint64_t source_end(const struct kioku_source *source)
{
	const struct source_layout *layout = source->layout;

	if (layout->range_count == 0)
		return 0;
	const struct kioku_range *last = &layout->ranges[layout->range_count - 1];
	return last->start + last->size;
}

/* What the image's manifest says. */
static uint64_t listed_run(const struct kioku_source *source, uint64_t physical, uint64_t size,
			   enum page_state *state)
{
	size_t next = range_map_after(&source->states, physical);

	*state = PAGE_MISSING;
	if (next == source->states.count)
		return size;
	const struct extent *extent = &source->states.extents[next];
	uint64_t end = extent->start;
	if (extent->start <= physical) {
		*state = (enum page_state)extent->kind;
		end += extent->size;
	}
	return end - physical < size ? end - physical : size;
}

uint64_t source_absent_run(const struct kioku_source *source, uint64_t physical, uint64_t size,
			   enum page_state *state)
{
	bool offline;

	if (!kioku_source_is_live(source))
		return listed_run(source, physical, size, state);
	uint64_t run = live_offline_run(source->state, physical, size, &offline);
	*state = offline ? PAGE_OFFLINE : PAGE_MISSING;
	return run;
}
