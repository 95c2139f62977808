/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening and describing a source; source_read.c reads it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "source/live_driver.h"
#include "source/made_source.h"
#include "source/manifest_facts.h"
#include "source/overlay.h"

/* Fills in the members that a caller compiled against an older header does not have. */
static enum kioku_status complete_options(const struct kioku_source_options *given,
					  struct kioku_source_options *out,
					  struct kioku_error *error)
{
	*out = (struct kioku_source_options){ 0 };
	if (given && given->size < sizeof(given->size))
		return error_set(error, KIOKU_ERROR_ARGUMENT, "options.size is not set");
	if (given)
		memcpy(out, given, given->size < sizeof(*out) ? given->size : sizeof(*out));
	out->size = sizeof(*out);
	return KIOKU_OK;
}

/* Splits FORMAT:PATH; a colon after anything that is no format's name belongs to the path. */
static const struct source_driver *forced_driver(const char *where, const char **path)
{
	const char *colon = strchr(where, ':');
	const struct source_driver *driver =
		colon ? source_driver_named(where, (size_t)(colon - where)) : NULL;

	*path = driver ? colon + 1 : where;
	return driver;
}

static enum kioku_status detect(struct kioku_source *source, struct kioku_error *error)
{
	uint8_t head[SOURCE_HEAD_SIZE];
	const char *problem;
	size_t size = source->file.size < sizeof(head) ? (size_t)source->file.size : sizeof(head);

	size = image_file_read(&source->file, 0, head, size, &problem);
	if (size == 0)
		return error_set(error, KIOKU_ERROR_CORRUPT, "its start: %s", problem);
	return source_driver_detect((struct bytes){ head, size }, source->file.size,
				    &source->driver, error);
}

static enum kioku_status open_remote(struct kioku_source *source,
				     const struct kioku_source_options *options,
				     struct kioku_error *error)
{
	if (options->placement_count > 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "placements are for raw images, but this is a %s",
				 source->driver->help);
	return source->driver->open(source, options, error);
}

static enum kioku_status open_source(struct kioku_source *source, const struct live_paths *paths,
				     const char *where, const struct kioku_source_options *given,
				     struct kioku_error *error)
{
	struct kioku_source_options options;
	const char *path;

	TRY(complete_options(given, &options, error));
	source->diagnostics = (struct diagnostics){ options.diagnostic, options.diagnostic_user };
	if (source_is_live_name(where))
		return live_open(source, where, paths, &options, error);
	source->driver = source_driver_of_url(where);
	if (source->driver)
		return open_remote(source, &options, error);
	source->driver = forced_driver(where, &path);
	TRY(source_open_file(source, path, error));
	if (source->driver != &raw_source)
		TRY(image_file_unflatten(&source->file, &source->diagnostics, error));
	if (!source->driver)
		TRY(detect(source, error));
	if (options.placement_count > 0 && source->driver != &raw_source)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "placements are for raw images, but this is a %s",
				 source->driver->help);

	CLEANUP(overlay_release) struct overlay overlay = { 0 };
	if (options.placement_count == 0) /* the caller knows better */
		TRY(overlay_open(&overlay, source, path, error));
	if (overlay_can_place(&overlay))
		TRY(overlay_place(&overlay, source, error));
	else
		TRY(source->driver->open(source, &options, error));
	TRY(manifest_facts_keep(&overlay, source, error));
	return overlay_apply(&overlay, source, error);
}

enum kioku_status source_open_on(const struct live_paths *paths, const char *where,
				 const struct kioku_source_options *options,
				 struct kioku_source **out, struct kioku_error *error)
{
	AUTO_SOURCE struct kioku_source *source = calloc(1, sizeof(*source));

	*out = NULL;
	if (!source)
		return error_no_memory(error);
	atomic_init(&source->references, 1);
	source->descriptor = -1;
	source->where = strdup(where);
	if (!source->where)
		return error_no_memory(error);
	enum kioku_status status = open_source(source, paths, where, options, error);
	if (status != KIOKU_OK) {
		error_prefix(error, "cannot open %s", where);
		return status;
	}
	*out = TAKE(source);
	return KIOKU_OK;
}

enum kioku_status kioku_source_open(const char *where, const struct kioku_source_options *options,
				    struct kioku_source **out, struct kioku_error *error)
{
	return source_open_on(&live_paths, where, options, out, error);
}

bool source_may_be_torn(const struct kioku_source *source)
{
	const char *format = kioku_source_format(source);

	return kioku_source_is_live(source) || source_is_remote(source) ||
	       source->manifest_count > 0 || strcmp(format, "lime") == 0 ||
	       strcmp(format, "avml") == 0;
}

void kioku_source_close(struct kioku_source *source)
{
	if (!source || atomic_fetch_sub(&source->references, 1) > 1)
		return;
	for (size_t i = 0; i < source->layout_count; i++) {
		range_map_release(&source->layouts[i].extents);
		free(source->layouts[i].ranges);
	}
	if (source->driver && source->driver->access)
		source->driver->access->close(source->access);
	remote_end(source);
	if (source->driver && source->driver->close)
		source->driver->close(source);
	made_source_release(source);
	range_map_release(&source->states);
	manifest_facts_release(source);
	free(source->where);
	free(source->cpus);
	recent_pages_release(&source->pages);
	page_set_release(&source->touched);
	image_file_release(&source->file);
	if (source->descriptor >= 0)
		close(source->descriptor);
	free(source);
}

/* x86-64 and arm64 have 52 bits; below this, no sum of an address and a size wraps around. */
#define PHYSICAL_END (1ull << 56)

bool source_add_range(const struct kioku_source *source, struct range_map *map,
		      struct extent extent)
{
	uint64_t room = extent.start < PHYSICAL_END ? PHYSICAL_END - extent.start : 0;

	if (extent.size > room) {
		diagnose(&source->diagnostics, KIOKU_GAP,
			 "0x%llx bytes at physical address 0x%llx lie beyond what any machine has",
			 (unsigned long long)(extent.size - room),
			 (unsigned long long)(extent.start + room));
		extent.size = room;
	}
	return extent.size == 0 || range_map_add(map, extent);
}

bool source_add_extent(const struct kioku_source *source, struct range_map *map, uint64_t physical,
		       uint64_t size, uint64_t file_offset)
{
	bool is_there;

	/* Past the end of the address space there is nothing to be said. */
	if (size > UINT64_MAX - physical)
		size = UINT64_MAX - physical;
	while (size > 0) {
		uint64_t run = image_file_run(&source->file, file_offset, size, &is_there);
		struct extent extent = { physical, run, is_there ? file_offset : 0,
					 is_there ? KIOKU_RANGE_PRESENT : KIOKU_RANGE_UNREADABLE };
		if (!source_add_range(source, map, extent))
			return false;
		physical += run;
		file_offset += run;
		size -= run;
	}
	return true;
}

/* The extents as the public sees them: neighbours in the same state are one range. */
static size_t list_ranges(const struct range_map *map, struct kioku_range *out)
{
	size_t count = 0;

	for (size_t i = 0; i < map->count; i++) {
		const struct extent *extent = &map->extents[i];
		struct kioku_range *last = count ? &out[count - 1] : NULL;
		if (last && (int)last->state == extent->kind &&
		    last->start + last->size == extent->start)
			last->size += extent->size;
		else
			out[count++] = (struct kioku_range){ extent->start, extent->size,
							     (enum kioku_range_state)extent->kind };
	}
	return count;
}

/* Whatever the format: what the file should hold and does not is a gap. Live machines say why. */
static void report_missing(const struct kioku_source *source, const struct source_layout *layout)
{
	const struct kioku_range *first = NULL;
	uint64_t missing = 0;

	for (size_t i = 0; i < layout->range_count; i++) {
		if (layout->ranges[i].state != KIOKU_RANGE_UNREADABLE)
			continue;
		first = first ? first : &layout->ranges[i];
		missing += layout->ranges[i].size;
	}
	if (first && source->descriptor >= 0)
		diagnose(&source->diagnostics, KIOKU_GAP,
			 "the image is truncated: %llu bytes of memory are missing, "
			 "the first at physical address 0x%llx",
			 (unsigned long long)missing, (unsigned long long)first->start);
}

enum kioku_status source_use_pages(struct kioku_source *source, size_t page_size,
				   struct kioku_error *error)
{
	return recent_pages_init(&source->pages, page_size) ? KIOKU_OK : error_no_memory(error);
}

/* Takes over a map and lists its ranges. */
static enum kioku_status fill_layout(struct source_layout *layout, struct range_map *map,
				     struct kioku_error *error)
{
	layout->extents = *map;
	*map = (struct range_map){ 0 };
	if (!range_map_normalise(&layout->extents))
		return error_no_memory(error);
	layout->ranges = calloc(layout->extents.count + 1, sizeof(*layout->ranges));
	if (!layout->ranges)
		return error_no_memory(error);
	layout->range_count = list_ranges(&layout->extents, layout->ranges);
	return KIOKU_OK;
}

enum kioku_status source_add_layout(struct kioku_source *source, struct range_map *map,
				    struct kioku_error *error)
{
	struct source_layout *layout = &source->layouts[source->layout_count++];

	TRY(fill_layout(layout, map, error));
	report_missing(source, layout);
	source->layout = &source->layouts[0];
	return KIOKU_OK;
}

enum kioku_status source_replace_layout(struct kioku_source *source, struct range_map *map,
					struct kioku_error *error)
{
	struct source_layout *layout = &source->layouts[0];

	range_map_release(&layout->extents);
	free(layout->ranges);
	layout->ranges = NULL;
	return fill_layout(layout, map, error);
}

const char *kioku_source_format(const struct kioku_source *source)
{
	return source->driver->name;
}

const char *source_where(const struct kioku_source *source)
{
	return source->where;
}

const char *source_address_name(const struct kioku_source *source)
{
	return source->process ? "address" : "physical address";
}

const struct kioku_range *kioku_source_ranges(const struct kioku_source *source, size_t *count)
{
	*count = source->layout->range_count;
	return source->layout->ranges;
}

const struct kioku_cpu *kioku_source_cpus(const struct kioku_source *source, size_t *count)
{
	*count = source->cpu_count;
	return source->cpus;
}

struct bytes source_notes(const struct kioku_source *source)
{
	return source->notes;
}

const char *kioku_source_vmcoreinfo(const struct kioku_source *source, size_t *size)
{
	*size = source->vmcoreinfo.size;
	return (const char *)source->vmcoreinfo.data;
}

struct kioku_source_stats kioku_source_stats(const struct kioku_source *source)
{
	if (source->remote)
		return source->driver->remote->stats(source->state);
	return (struct kioku_source_stats){
		.bytes = source->touched.count << PAGE_SET_SHIFT,
		.requests = source->requests,
		.rounds = source->rounds,
	};
}

bool kioku_source_is_ambiguous(const struct kioku_source *source)
{
	return source->layout_count > 1;
}

size_t source_placement_count(const struct kioku_source *source)
{
	return source->layout_count;
}

void source_select_placement(struct kioku_source *source, size_t index)
{
	source->layout = &source->layouts[index];
	source->hint = 0;
}

static bool ends_at(struct kioku_source *source, size_t index, uint64_t end)
{
	size_t selected = (size_t)(source->layout - source->layouts);

	source_select_placement(source, index);
	uint64_t has = source_end(source);
	source_select_placement(source, selected);
	return end <= has && has - end < (1u << 20);
}

size_t source_placement_ending_at(struct kioku_source *source, uint64_t end, size_t preferred)
{
	if (ends_at(source, preferred, end))
		return preferred;
	for (size_t i = 0; i < source->layout_count; i++)
		if (ends_at(source, i, end))
			return i;
	if (!source->may_rearrange || source->layout_count == SOURCE_LAYOUT_LIMIT ||
	    !source->driver->arrange || !source->driver->arrange(source, end))
		return SIZE_MAX;
	return source->layout_count - 1;
}
