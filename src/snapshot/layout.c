/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/layout.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/growing.h"
#include "snapshot/residency.h"

enum {
	PAGE = 4096,
	/* Untouched memory between pages that are stored is stored, too, if there is not more of it:
	 * each piece that is left out costs a program header. */
	GAP_LIMIT = 16 * PAGE,
};

struct making {
	struct layout *layout;
	const struct layout_input *input;
	size_t area; /* the next that may matter */
};

static bool is_named(const struct mapping *mapping, const char *start)
{
	size_t length = strlen(start);

	return mapping->name.size >= length && memcmp(mapping->name.data, start, length) == 0;
}

/* What the kernel maps by itself, as the vDSO, has no pages of the process. */
static bool is_special(const struct mapping *mapping)
{
	return is_named(mapping, "[") && !is_named(mapping, "[heap") &&
	       !is_named(mapping, "[stack") && !is_named(mapping, "[anon");
}

/* Registers of devices, which reading might change, and the kernel's own pages. */
static bool is_device(const struct mapping *mapping)
{
	return mapping->flags & (MAPPING_DEVICE | MAPPING_PFNMAP) ||
	       is_named(mapping, "[vsyscall]");
}

static bool add(struct making *making, uint64_t start, uint64_t end, uint64_t offset,
		enum kioku_range_state state)
{
	struct layout *layout = making->layout;

	if (state == KIOKU_RANGE_PRESENT)
		layout->memory += end - start;
	return range_map_add(&layout->extents, (struct extent){ .start = start,
								.size = end - start,
								.offset = offset,
								.kind = state });
}

static bool add_held(struct making *making, uint64_t start, uint64_t end)
{
	uint64_t where = making->input->kind == LAYOUT_OF_COPY ? LAYOUT_COPIED : 0;

	return add(making, start, end, where | start, KIOKU_RANGE_PRESENT);
}

/* A walk over pages: by the page tables of what is held, or by what was copied. */
struct page_walk {
	struct residency_walk tables;
	uint64_t at, end; /* of the copy */
};

static void begin_pages(const struct making *making, struct page_walk *walk, uint64_t start,
			uint64_t end)
{
	walk->at = start;
	walk->end = end;
	residency_begin(&walk->tables, making->input->pagemap, start, end);
}

static enum kioku_status next_pages(const struct making *making, struct page_walk *walk,
				    struct residency_run *run, struct kioku_error *error)
{
	if (making->input->kind != LAYOUT_OF_COPY)
		return residency_next(&walk->tables, run, error);
	struct spool_run copied = spool_next(making->input->spool, walk->at, walk->end);
	/* What was lost is found out by whoever reads it. */
	static const enum residency kinds[] = { [SPOOL_NONE] = RESIDENCY_NONE,
						[SPOOL_CONTENT] = RESIDENCY_ANONYMOUS,
						[SPOOL_LOST] = RESIDENCY_ANONYMOUS,
						[SPOOL_GUARD] = RESIDENCY_GUARD };
	*run = (struct residency_run){ copied.start, copied.size, kinds[copied.state] };
	walk->at += copied.size;
	return KIOKU_OK;
}

/* What is stored of a piece, from < to if anything is, and what to say of the rest of it. */
static bool add_piece(struct making *making, uint64_t from, uint64_t to, uint64_t end,
		      enum kioku_range_state other)
{
	return (from == to || add_held(making, from, to)) &&
	       (to == end || add(making, to, end, 0, other));
}

/* Pages that have content of their own; what to say of the others. Guard pages are left out. */
static enum kioku_status add_resident(struct making *making, uint64_t start, uint64_t end,
				      enum kioku_range_state other, struct kioku_error *error)
{
	struct page_walk walk;
	struct residency_run run;
	uint64_t from = start, to = start; /* what is to be stored; the same: nothing yet */

	begin_pages(making, &walk, start, end);
	for (;;) {
		TRY(next_pages(making, &walk, &run, error));
		if (run.size == 0)
			break;
		bool is_guard = run.kind == RESIDENCY_GUARD;
		if (!is_guard && run.kind != RESIDENCY_ANONYMOUS &&
		    !(run.kind == RESIDENCY_FILE && other == KIOKU_RANGE_ZERO))
			continue;
		bool is_near =
			from != to && run.start - to <= GAP_LIMIT && other == KIOKU_RANGE_ZERO;
		if (is_guard || !is_near) {
			if (!add_piece(making, from, to, run.start, other))
				return error_no_memory(error);
			from = run.start;
		}
		to = run.start + run.size;
		if (!is_guard)
			continue;
		if (!add(making, from, to, 0, KIOKU_RANGE_EXCLUDED))
			return error_no_memory(error);
		from = to;
	}
	return add_piece(making, from, to, end, other) ? KIOKU_OK : error_no_memory(error);
}

/* The size of the file that is mapped; 0: it is no ordinary one. False: it is not to be had. */
static bool file_size(const struct making *making, const struct mapping *mapping, uint64_t *out)
{
	struct stat about;
	char path[64];

	if (making->input->kind == LAYOUT_OF_COPY) {
		const struct mapped_file *file = mapped_files_find(making->input->files, mapping);
		*out = file ? file->size : 0;
		return file;
	}
	snprintf(path, sizeof(path), "map_files/%llx-%llx", (unsigned long long)mapping->start,
		 (unsigned long long)mapping->end);
	if (fstatat(making->input->folder, path, &about, 0) != 0)
		return false;
	*out = S_ISREG(about.st_mode) ? (uint64_t)about.st_size : 0;
	return true;
}

/* Where the pages of a mapping end that its file has. */
static uint64_t file_end(const struct making *making, const struct mapping *mapping)
{
	uint64_t size;

	if (!file_size(making, mapping, &size))
		return mapping->end; /* what is not there will be lost pages */
	size = (size + PAGE - 1) / PAGE * PAGE;
	uint64_t available = size > mapping->file_offset ? size - mapping->file_offset : 0;
	return available < mapping->end - mapping->start ? mapping->start + available
							 : mapping->end;
}

/* Whether a page of it was written to, which is the process's own since. */
static enum kioku_status is_written(const struct making *making, const struct mapping *mapping,
				    bool *out, struct kioku_error *error)
{
	struct page_walk walk;
	struct residency_run run;

	*out = false;
	begin_pages(making, &walk, mapping->start, mapping->end);
	do {
		TRY(next_pages(making, &walk, &run, error));
		*out |= run.kind == RESIDENCY_ANONYMOUS;
	} while (run.size > 0 && !*out);
	return KIOKU_OK;
}

static enum kioku_status add_file(struct making *making, const struct mapping *mapping,
				  uint64_t start, uint64_t end, struct kioku_error *error)
{
	uint64_t last = file_end(making, mapping);
	bool written = false;

	last = last < start ? start : last > end ? end : last;
	if (making->input->options->exclude_files) {
		/* A part of a file that relocations have changed is taken whole: gdb needs it so. */
		TRY(is_written(making, mapping, &written, error));
		if (!written && last > start) {
			/* The first page has the ELF header, and what says which file it is. */
			uint64_t kept = start == mapping->start && mapping->file_offset == 0
						? start + PAGE
						: start;
			if ((kept > start && !add_held(making, start, kept)) ||
			    (last > kept && !add(making, kept, last, 0, KIOKU_RANGE_EXCLUDED)))
				return error_no_memory(error);
			start = last;
		}
	}
	if (last > start && !add_held(making, start, last))
		return error_no_memory(error);
	return last < end ? add_resident(making, last, end, KIOKU_RANGE_EXCLUDED, error) : KIOKU_OK;
}

static bool is_copied(struct making *making, uint64_t address)
{
	const struct layout_input *input = making->input;

	while (making->area < input->area_count &&
	       input->areas[making->area].start + input->areas[making->area].size <= address)
		making->area++;
	return making->area < input->area_count && input->areas[making->area].start <= address;
}

static enum kioku_status add_copied(struct making *making, uint64_t start, uint64_t end,
				    struct kioku_error *error)
{
	struct spool_run run;

	for (uint64_t at = start; at < end; at += run.size) {
		run = spool_next(making->input->spool, at, end);
		if (!add(making, at, at + run.size, LAYOUT_COPIED | at,
			 run.content ? KIOKU_RANGE_PRESENT : KIOKU_RANGE_UNREADABLE))
			return error_no_memory(error);
	}
	return KIOKU_OK;
}

static void say_inconsistent(struct making *making, const struct mapping *mapping,
			     const char *reason)
{
	making->layout->inconsistent += mapping->end - mapping->start;
	diagnose(making->input->diagnostics, KIOKU_WARNING,
		 "%llu bytes at 0x%llx (%.*s) are not of the instant of the stop: %s",
		 (unsigned long long)(mapping->end - mapping->start),
		 (unsigned long long)mapping->start, (int)mapping->name.size,
		 (const char *)mapping->name.data, reason);
}

static enum kioku_status add_part(struct making *making, const struct mapping *mapping,
				  uint64_t start, uint64_t end, struct kioku_error *error)
{
	bool is_duplicate = making->input->kind == LAYOUT_OF_DUPLICATE;
	bool is_copy = making->input->kind == LAYOUT_OF_COPY;

	if (is_copied(making, start))
		return add_copied(making, start, end, error);
	if (is_device(mapping))
		return add(making, start, end, 0, KIOKU_RANGE_EXCLUDED) ? KIOKU_OK
									: error_no_memory(error);
	if (is_duplicate && mapping->flags & (MAPPING_DONTFORK | MAPPING_WIPEONFORK)) {
		say_inconsistent(making, mapping, "a duplicate does not get it");
		return add(making, start, end, LAYOUT_LIVE | start, KIOKU_RANGE_PRESENT)
			       ? KIOKU_OK
			       : error_no_memory(error);
	}
	if ((is_duplicate || is_copy) && mapping->is_shared && mapping->permissions & PROT_WRITE)
		say_inconsistent(making, mapping,
				 is_copy ? "it is shared, and others may have written to it"
					 : "it is shared, and goes on changing");
	else if (is_duplicate && mapping->flags & MAPPING_HUGETLB)
		say_inconsistent(making, mapping, "a duplicate may lose huge pages");
	if (is_copy && is_special(mapping))
		return add(making, start, end, LAYOUT_LIVE | start, KIOKU_RANGE_PRESENT)
			       ? KIOKU_OK
			       : error_no_memory(error);
	if (is_special(mapping) || (mapping->is_shared && mapping->inode == 0))
		return add_held(making, start, end) ? KIOKU_OK : error_no_memory(error);
	if (mapping->inode != 0)
		return add_file(making, mapping, start, end, error);
	return add_resident(making, start, end, KIOKU_RANGE_ZERO, error);
}

static bool add_segment(struct layout *layout, const struct mapping *mapping, uint64_t start,
			uint64_t end)
{
	uint32_t permissions = mapping->permissions;

	if (!GROW(layout->segments, layout->segment_count, layout->segment_capacity))
		return false;
	layout->segments[layout->segment_count++] = (struct source_segment){
		.start = start,
		.size = end - start,
		.flags = (permissions & PROT_READ ? PF_R : 0) |
			 (permissions & PROT_WRITE ? PF_W : 0) |
			 (permissions & PROT_EXEC ? PF_X : 0),
	};
	return true;
}

static bool holds_stack(const struct making *making, const struct mapping *mapping)
{
	const struct layout_input *input = making->input;

	for (size_t i = 0; i < input->thread_count; i++) {
		uint64_t pointer = input->threads[i].general.rsp;
		if (pointer >= mapping->start && pointer < mapping->end)
			return true;
	}
	return is_named(mapping, "[stack");
}

static bool has_name(const struct mapping *mapping, const char *name)
{
	const char *text = (const char *)mapping->name.data;
	size_t size = mapping->name.size, length = strlen(name);

	if (strcmp(name, "heap") == 0)
		return is_named(mapping, "[heap");
	if (size < length || memcmp(text + size - length, name, length) != 0)
		return false;
	return size == length || text[size - length - 1] == '/';
}

static bool is_of_stacks(const struct kioku_area *area)
{
	return area->name && strcmp(area->name, "stack") == 0;
}

/* The part of a mapping from an address on that lies in an area; false: none. */
static bool clip(const struct mapping *mapping, bool is_stack, const struct kioku_area *area,
		 uint64_t from, struct kioku_area *out)
{
	*out = (struct kioku_area){ .start = from, .end = mapping->end };
	if (area->name)
		return from < mapping->end &&
		       (is_of_stacks(area) ? is_stack : has_name(mapping, area->name));
	uint64_t first = area->start / PAGE * PAGE;
	uint64_t last =
		area->end > UINT64_MAX - PAGE ? area->end : (area->end + PAGE - 1) / PAGE * PAGE;
	out->start = first > from ? first : from;
	out->end = last < mapping->end ? last : mapping->end;
	return out->start < out->end;
}

/* The first part of a mapping, from an address on, that lies in any of the areas. */
static bool next_part(const struct making *making, const struct mapping *mapping, uint64_t from,
		      struct kioku_area *out)
{
	const struct kioku_snapshot_options *options = making->input->options;
	const struct kioku_area all = { NULL, 0, UINT64_MAX };
	const struct kioku_area *areas = options->areas ? options->areas : &all;
	size_t count = options->areas ? options->area_count : 1;
	struct kioku_area part = { 0 };
	bool found = false, is_stack = holds_stack(making, mapping);

	for (size_t i = 0; i < count; i++) {
		if (!clip(mapping, is_stack, &areas[i], from, &part) ||
		    (found && part.start >= out->start))
			continue;
		*out = part;
		found = true;
	}
	return found;
}

bool layout_may_want(const struct kioku_snapshot_options *options, const struct mapping *mapping)
{
	struct kioku_area part;

	/* Any memory that is written to may be a thread's stack. */
	for (size_t i = 0; i < options->area_count; i++)
		if (clip(mapping, mapping->permissions & PROT_WRITE, &options->areas[i],
			 mapping->start, &part))
			return true;
	return options->area_count == 0;
}

/* A mapping, as far as it is wanted. */
static enum kioku_status add_mapping(struct making *making, const struct mapping *mapping,
				     struct kioku_error *error)
{
	struct kioku_area part = { 0 };

	for (uint64_t at = mapping->start; next_part(making, mapping, at, &part); at = part.end) {
		if (!add_segment(making->layout, mapping, part.start, part.end))
			return error_no_memory(error);
		TRY(add_part(making, mapping, part.start, part.end, error));
	}
	return KIOKU_OK;
}

enum kioku_status layout_make(struct layout *layout, const struct layout_input *input,
			      struct kioku_error *error)
{
	struct making making = { .layout = layout, .input = input };
	const struct mapping_list *now = input->mappings, *before = input->before;
	size_t missing = 0;

	*layout = (struct layout){ 0 };
	for (size_t i = 0; i <= now->count; i++) {
		uint64_t next = i < now->count ? now->mappings[i].start : UINT64_MAX;
		/* What the duplicate did not get lies between what it has. */
		for (; missing < before->count && before->mappings[missing].start < next; missing++)
			if (input->kind == LAYOUT_OF_DUPLICATE &&
			    before->mappings[missing].flags & MAPPING_DONTFORK)
				TRY(add_mapping(&making, &before->mappings[missing], error));
		if (i == now->count)
			break;
		struct mapping mapping = now->mappings[i];
		const struct mapping *known = mapping_list_find(before, mapping.start);
		mapping.flags |= known ? known->flags : 0;
		TRY(add_mapping(&making, &mapping, error));
	}
	return range_map_normalise(&layout->extents) ? KIOKU_OK : error_no_memory(error);
}

void layout_release(struct layout *layout)
{
	range_map_release(&layout->extents);
	free(layout->segments);
	*layout = (struct layout){ 0 };
}

static bool is_for_stop(enum layout_kind kind, const struct mapping *mapping, bool reads_all)
{
	const uint32_t not_inherited = MAPPING_DONTFORK | MAPPING_WIPEONFORK | MAPPING_HUGETLB;

	if (is_device(mapping))
		return false;
	if (!reads_all && !(mapping->permissions & PROT_READ) &&
	    mapping->anonymous + mapping->swapped > 0)
		return true;
	return (mapping->is_shared && mapping->permissions & PROT_WRITE) ||
	       (kind == LAYOUT_OF_DUPLICATE && mapping->flags & not_inherited);
}

struct guardian_area *layout_areas(enum layout_kind kind, const struct mapping_list *mappings,
				   bool reads_all, uint64_t limit, size_t *area_count)
{
	struct guardian_area *areas = calloc(mappings->count + 1, sizeof(*areas));
	uint64_t taken = 0;

	*area_count = 0;
	for (size_t i = 0; areas && i < mappings->count; i++) {
		const struct mapping *mapping = &mappings->mappings[i];
		uint64_t size = mapping->end - mapping->start;
		if (!is_for_stop(kind, mapping, reads_all) || size > limit - taken)
			continue;
		taken += size;
		areas[(*area_count)++] =
			(struct guardian_area){ .start = mapping->start, .size = size };
	}
	return areas;
}
