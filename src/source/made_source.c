/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "source/made_source.h"

#include "base/error.h"
#include "format/manifest_format.h"
#include "source/live_driver.h"

struct made_source {
	struct kioku_source source; /* first: kioku_source_close() frees all of it */
	struct source_process process;
	struct live_machine machine; /* if it is local */
	uint8_t *notes;
};

enum kioku_status made_access_open(const struct kioku_source *source, void **out,
				   struct kioku_error *error)
{
	*out = source->state;
	return KIOKU_OK;
}

void made_access_close(void *access)
{
}

bool made_access_states(void *access, uint64_t address, size_t count, uint8_t *states)
{
	return false;
}

static bool is_pages(uint64_t start, uint64_t size)
{
	return start % CAPTURE_PAGE == 0 && size % CAPTURE_PAGE == 0 && size > 0 &&
	       size <= UINT64_MAX - start;
}

static enum kioku_status check_segments(const struct source_process *process,
					struct kioku_error *error)
{
	uint64_t end = 0;

	if (process->segment_count == 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "a process without mappings");
	for (size_t i = 0; i < process->segment_count; i++) {
		const struct source_segment *segment = &process->segments[i];
		if (!is_pages(segment->start, segment->size) || segment->start < end)
			return error_at(error, KIOKU_ERROR_ARGUMENT, segment->start,
					"a mapping that is no whole pages, or overlaps another");
		end = segment->start + segment->size;
	}
	return KIOKU_OK;
}

/* Whether all of an extent lies in segments; *index: of the first that ends behind its start. */
static bool is_mapped(const struct source_process *process, const struct extent *extent,
		      size_t *index)
{
	uint64_t at = extent->start, end = extent->start + extent->size;

	for (; *index < process->segment_count; ++*index) {
		const struct source_segment *segment = &process->segments[*index];
		uint64_t segment_end = segment->start + segment->size;
		if (segment_end <= at)
			continue;
		if (segment->start > at)
			return false;
		at = segment_end;
		if (at >= end)
			return true;
	}
	return false;
}

static enum kioku_status check_extents(const struct source_process *process,
				       const struct range_map *map, struct kioku_error *error)
{
	size_t index = 0;

	for (size_t i = 0; i < map->count; i++) {
		const struct extent *extent = &map->extents[i];
		if (!is_pages(extent->start, extent->size) || !is_mapped(process, extent, &index))
			return error_at(error, KIOKU_ERROR_ARGUMENT, extent->start,
					"memory that is no whole pages of mappings");
	}
	return KIOKU_OK;
}

static enum kioku_status copy_description(struct source_process *process, const char *text,
					  struct kioku_error *error)
{
	struct bytes bytes = { (const uint8_t *)text, text ? strlen(text) : 0 };

	if (!text)
		return KIOKU_OK;
	enum kioku_status status = manifest_object_line(bytes, &process->description, error);
	if (status != KIOKU_ERROR_CORRUPT)
		return status;
	error_prefix(error, "the description of the process");
	if (error)
		error->status = KIOKU_ERROR_ARGUMENT;
	return KIOKU_ERROR_ARGUMENT;
}

static enum kioku_status copy_notes(struct made_source *made, struct bytes notes,
				    struct kioku_error *error)
{
	if (notes.size == 0)
		return KIOKU_OK;
	made->notes = malloc(notes.size);
	if (!made->notes)
		return error_no_memory(error);
	memcpy(made->notes, notes.data, notes.size);
	made->source.notes = (struct bytes){ made->notes, notes.size };
	return KIOKU_OK;
}

static enum kioku_status fill(struct made_source *made, const struct source_recipe *recipe,
			      struct range_map *extents, struct kioku_error *error)
{
	struct kioku_source *source = &made->source;

	if (!source->where || !range_map_normalise(extents))
		return error_no_memory(error);
	TRY(check_segments(&made->process, error));
	TRY(check_extents(&made->process, extents, error));
	TRY(copy_description(&made->process, recipe->description, error));
	TRY(copy_notes(made, recipe->notes, error));
	if (recipe->is_local && !live_machine_learn(&made->machine, &live_paths))
		return error_no_memory(error);
	source->machine = recipe->is_local ? &made->machine : NULL;
	TRY(source_add_layout(source, extents, error));
	return recipe->driver->access->open(source, &source->access, error);
}

enum kioku_status source_make(struct source_recipe *recipe, struct kioku_source **out,
			      struct kioku_error *error)
{
	struct made_source *made = calloc(1, sizeof(*made));
	CLEANUP(range_map_release) struct range_map extents = recipe->extents;
	AUTO_FREE struct source_segment *segments = TAKE(recipe->segments);

	recipe->extents = (struct range_map){ 0 };
	*out = NULL;
	if (!made)
		return error_no_memory(error);
	made->process = (struct source_process){ .segments = TAKE(segments),
						 .segment_count = recipe->segment_count,
						 .elf_machine = recipe->elf_machine };
	made->source = (struct kioku_source){
		.references = 1,
		.where = strdup(recipe->where),
		.driver = recipe->driver,
		.descriptor = -1,
		.state = recipe->state,
		.process = &made->process,
		.diagnostics = recipe->diagnostics,
	};
	enum kioku_status status = fill(made, recipe, &extents, error);
	if (status == KIOKU_OK) {
		*out = &made->source;
		recipe->state = NULL;
		return KIOKU_OK;
	}
	error_prefix(error, "cannot read %s", recipe->where);
	made->source.state = NULL;
	kioku_source_close(&made->source);
	return status;
}

const struct source_process *source_process(const struct kioku_source *source)
{
	return source->process;
}

void made_source_release(struct kioku_source *source)
{
	struct made_source *made = (struct made_source *)source;

	if (!source->process)
		return;
	free(made->process.segments);
	free(made->process.description);
	live_machine_release(&made->machine);
	free(made->notes);
}
