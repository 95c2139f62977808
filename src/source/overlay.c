/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "source/overlay.h"

/* Bytes: segments of 1 MiB for some TiB, and more runs of pages than any machine has. */
#define TEXT_LIMIT (512u << 20)
#define RUN_LIMIT  (1u << 24)

#define PAGE_MASK  (CAPTURE_PAGE - 1ull)

/* --- reading it */

static enum kioku_status read_all(int descriptor, char *out, size_t size, struct kioku_error *error)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = read(descriptor, out + done, size - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_os(error, "read");
		if (got == 0)
			return error_set(error, KIOKU_ERROR_CORRUPT, "it became shorter");
		done += (size_t)got;
	}
	return KIOKU_OK;
}

/* NOT_FOUND: there is none. */
static enum kioku_status read_text(const char *path, char **out, size_t *size,
				   struct kioku_error *error)
{
	AUTO_CLOSE int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat status;

	if (descriptor < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG))
		return KIOKU_ERROR_NOT_FOUND;
	if (descriptor < 0)
		return error_os(error, "open");
	if (fstat(descriptor, &status) != 0)
		return error_os(error, "fstat");
	if (!S_ISREG(status.st_mode) || status.st_size > TEXT_LIMIT)
		return error_set(error, KIOKU_ERROR_CORRUPT, "it is no file, or too large");
	*size = (size_t)status.st_size;
	*out = malloc(*size + 1);
	return *out ? read_all(descriptor, *out, *size, error) : error_no_memory(error);
}

static bool is_text(const char *text, const char *expected)
{
	return strcmp(text ? text : "", expected) == 0;
}

/* --- what it says */

/* A run of pages in one state, within a range. */
struct run {
	uint64_t start, size; /* bytes */
	enum page_state state;
};

struct run_walk {
	const struct manifest *manifest;
	size_t range;
	const char *states; /* the rest of the range's; NULL: at its start */
	uint64_t page;      /* the next one's address */
};

static bool next_run(struct run_walk *walk, struct run *out)
{
	for (; walk->range < walk->manifest->range_count; walk->range++, walk->states = NULL) {
		const struct manifest_range *range = &walk->manifest->ranges[walk->range];
		uint64_t end = range->start + range->size, count;

		if (!walk->states) {
			walk->states = range->states ? range->states : "";
			walk->page = range->start & ~PAGE_MASK;
		}
		const char *rest = page_states_next(walk->states, &out->state, &count);
		if (!rest || walk->page >= end)
			continue;
		walk->states = rest;
		uint64_t left = (end - walk->page + PAGE_MASK) / CAPTURE_PAGE;
		uint64_t stop = count < left ? walk->page + count * CAPTURE_PAGE : end;
		out->start = walk->page > range->start ? walk->page : range->start;
		out->size = (stop < end ? stop : end) - out->start;
		walk->page = stop;
		return true;
	}
	return false;
}

/* Whether a range has bytes in a raw image: one of which nothing could be had was left out. */
static bool is_stored(const struct manifest_range *range)
{
	enum page_state state;
	uint64_t count;
	const char *rest = range->states ? range->states : "";

	while ((rest = page_states_next(rest, &state, &count)))
		if (state != PAGE_EXCLUDED && state != PAGE_MISSING)
			return true;
	return false;
}

/* How much a raw image holds, which must fit its size. False: nothing that it says does. */
static bool measure_raw(struct overlay *overlay, uint64_t size)
{
	const struct manifest *manifest = &overlay->manifest;
	uint64_t all = 0;

	overlay->stored_size = 0;
	for (size_t i = 0; i < manifest->range_count; i++) {
		all += manifest->ranges[i].size;
		overlay->stored_size +=
			is_stored(&manifest->ranges[i]) ? manifest->ranges[i].size : 0;
	}
	if (size == overlay->stored_size || (!manifest->complete && size < overlay->stored_size))
		return true;
	overlay->stores_all = true;
	overlay->stored_size = all;
	return size == all || (!manifest->complete && size < all);
}

static bool has_too_many_runs(const struct manifest *manifest)
{
	struct run_walk walk = { .manifest = manifest };
	uint64_t count = 0;
	struct run run;

	while (count <= RUN_LIMIT && next_run(&walk, &run))
		count += run.state != PAGE_READ;
	return count > RUN_LIMIT;
}

/* NULL, or why it is not about this file. */
static const char *disagreement(struct overlay *overlay, const struct kioku_source *source)
{
	const struct manifest *manifest = &overlay->manifest;
	const struct image_file *file = &source->file;
	bool is_raw = is_text(manifest->image_format, "raw");
	bool is_headerless = is_raw || is_text(manifest->image_format, "padded");
	const char *codec = is_text(manifest->image_codec, "none") ? "" : manifest->image_codec;

	if (!(is_headerless && source->driver == &raw_source) &&
	    !is_text(manifest->image_format, source->driver->name))
		return "it is about an image in another format";
	if (!is_text(image_file_codec(file), codec ? codec : ""))
		return "it is about an image that is compressed in another way";
	if (manifest->image_size != file->mapped.size)
		return "it is about an image of another size";
	if (is_raw && !measure_raw(overlay, file->size))
		return "its ranges do not fit the size of the image";
	return has_too_many_runs(manifest) ? "it has too many runs of pages" : NULL;
}

enum kioku_status overlay_open(struct overlay *overlay, struct kioku_source *source,
			       const char *path, struct kioku_error *error)
{
	AUTO_FREE char *name = NULL, *text = NULL;
	struct kioku_error problem = { 0 };
	size_t size = 0;

	if (asprintf(&name, "%s.manifest.json", path) < 0) {
		name = NULL;
		return error_no_memory(error);
	}
	enum kioku_status status = read_text(name, &text, &size, &problem);
	if (status == KIOKU_ERROR_NOT_FOUND)
		return KIOKU_OK;
	if (status == KIOKU_OK)
		status = manifest_decode((struct bytes){ (uint8_t *)text, size },
					 &overlay->manifest, &problem);
	if (status == KIOKU_ERROR_NO_MEMORY)
		return error_no_memory(error);
	const char *reason = status == KIOKU_OK ? disagreement(overlay, source) : problem.message;
	overlay->is_used = !reason;
	if (reason)
		diagnose(&source->diagnostics, KIOKU_WARNING, "%s is not used: %s", name, reason);
	return KIOKU_OK;
}

void overlay_release(struct overlay *overlay)
{
	manifest_release(&overlay->manifest);
}

/* --- laying it over the image */

bool overlay_can_place(const struct overlay *overlay)
{
	return overlay->is_used && (is_text(overlay->manifest.image_format, "raw") ||
				    is_text(overlay->manifest.image_format, "padded"));
}

enum kioku_status overlay_place(const struct overlay *overlay, struct kioku_source *source,
				struct kioku_error *error)
{
	const struct manifest *manifest = &overlay->manifest;
	bool is_padded = is_text(manifest->image_format, "padded");
	CLEANUP(range_map_release) struct range_map map = { 0 };
	uint64_t offset = 0;

	for (size_t i = 0; i < manifest->range_count; i++) {
		const struct manifest_range *range = &manifest->ranges[i];
		if (!overlay->stores_all && !is_stored(range))
			continue;
		if (!source_add_extent(source, &map, range->start, range->size,
				       is_padded ? range->start : offset))
			return error_no_memory(error);
		offset += range->size;
	}
	return source_add_layout(source, &map, error);
}

static enum kioku_range_state range_state(enum page_state state)
{
	return state == PAGE_READ       ? KIOKU_RANGE_PRESENT
	       : state == PAGE_ZERO     ? KIOKU_RANGE_ZERO
	       : state == PAGE_EXCLUDED ? KIOKU_RANGE_EXCLUDED
					: KIOKU_RANGE_UNREADABLE;
}

/* Adds what an extent has outside of states, which are ascending and disjoint. False: no memory. */
static bool add_rest(struct range_map *map, const struct extent *extent,
		     const struct range_map *states)
{
	uint64_t at = extent->start, end = extent->start + extent->size;

	for (size_t i = range_map_after(states, at); at < end; i++) {
		uint64_t stop = i < states->count && states->extents[i].start < end
					? states->extents[i].start
					: end;
		if (stop > at &&
		    !range_map_add(map, (struct extent){ at, stop - at,
							 extent->offset + (at - extent->start),
							 extent->kind }))
			return false;
		if (stop == end)
			break;
		at = states->extents[i].start + states->extents[i].size;
	}
	return true;
}

static bool is_there(const struct range_map *extents, const struct run *run)
{
	size_t i = range_map_after(extents, run->start);

	if (i == extents->count || extents->extents[i].kind > KIOKU_RANGE_ZERO)
		return false;
	const struct extent *extent = &extents->extents[i];
	return extent->start <= run->start &&
	       run->size <= extent->size - (run->start - extent->start);
}

/*
 * Pages that were lost are zeros in the image, so that they take the place of what is there; pages
 * that were zero only fill what is not.
 */
static bool lay_over(const struct overlay *overlay, struct kioku_source *source,
		     struct range_map *map)
{
	const struct range_map *extents = &source->layout->extents;
	struct run_walk walk = { .manifest = &overlay->manifest };
	struct run run;

	for (size_t i = 0; i < extents->count; i++)
		if (!add_rest(map, &extents->extents[i], &source->states))
			return false;
	while (next_run(&walk, &run))
		if (run.state != PAGE_READ &&
		    !(run.state == PAGE_ZERO && is_there(extents, &run)) &&
		    !range_map_add(map, (struct extent){ run.start, run.size, 0,
							 (int)range_state(run.state) }))
			return false;
	return range_map_normalise(map);
}

/* Lists what is not in the image, and says how much of it was lost. */
static enum kioku_status list_states(const struct overlay *overlay, struct kioku_source *source,
				     struct kioku_error *error)
{
	struct run_walk walk = { .manifest = &overlay->manifest };
	uint64_t lost = 0, first = 0;
	struct run run;

	while (next_run(&walk, &run)) {
		if (page_state_is_content(run.state))
			continue;
		if (!range_map_add(&source->states,
				   (struct extent){ run.start, run.size, 0, (int)run.state }))
			return error_no_memory(error);
		if (!page_state_is_loss(run.state))
			continue;
		first = lost ? first : run.start;
		lost += run.size;
	}
	if (lost)
		diagnose(&source->diagnostics, KIOKU_GAP,
			 "%llu bytes of memory were lost when the image was made, the first at "
			 "physical address 0x%llx",
			 (unsigned long long)lost, (unsigned long long)first);
	return range_map_normalise(&source->states) ? KIOKU_OK : error_no_memory(error);
}

enum kioku_status overlay_apply(const struct overlay *overlay, struct kioku_source *source,
				struct kioku_error *error)
{
	CLEANUP(range_map_release) struct range_map map = { 0 };

	if (!overlay->is_used || source->layout_count != 1)
		return KIOKU_OK;
	TRY(list_states(overlay, source, error));
	if (!lay_over(overlay, source, &map))
		return error_no_memory(error);
	return source_replace_layout(source, &map, error);
}
