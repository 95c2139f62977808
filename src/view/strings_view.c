/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "search/process_blocks.h"
#include "search/string_finder.h"
#include "source/source.h"
#include "view/owner_cells.h"

#define CHUNK (1u << 20)

enum column { PHYSICAL, PID, COMM, VIRTUAL, OWNER, NAME, USERS, USER_COUNT, ENCODING, TEXT };

static const struct kioku_column columns[] = {
	{ "physical", KIOKU_KIND_ADDRESS, "where in memory its first byte is", 0 },
	{ "pid", KIOKU_KIND_INTEGER, "of the process, or of the first one that maps it", 1 },
	{ "comm", KIOKU_KIND_TEXT, "that one's name, which the process can change", 1 },
	{ "virtual", KIOKU_KIND_ADDRESS, "where that one has it, or else the kernel", 1 },
	OWNER_COLUMN_KIND,
	OWNER_COLUMN_NAME,
	OWNER_COLUMN_USERS,
	OWNER_COLUMN_USER_COUNT,
	{ "encoding", KIOKU_KIND_TEXT, "ascii or utf16le", 0 },
	{ "text", KIOKU_KIND_TEXT, "the string", 0 },
};

enum { COLUMNS = sizeof(columns) / sizeof(*columns) };

struct listing {
	struct view_run *run;
	struct string_finder finder;
	bool with_owners;
	struct owner_cells owners;
	const struct task *task;           /* NULL: physical memory */
	struct kioku_address_space *space; /* of task */
	uint64_t done, total, lost;        /* bytes */
	uint8_t buffer[CHUNK + STRING_OVERLAP];
	char text[STRING_LIMIT];
};

static void listing_free(struct listing *listing)
{
	if (listing)
		owner_cells_release(&listing->owners);
	free(listing);
}
DEFINE_CLEANUP(listing, struct listing, listing_free)

static void fill_process(struct listing *listing, uint64_t virtual, struct kioku_cell *cells)
{
	const struct task *task = listing->task;
	uint64_t physical, contiguous;
	enum kioku_status status =
		address_space_locate(listing->space, virtual, &physical, &contiguous, NULL);

	cells[PHYSICAL] =
		status == KIOKU_OK ? cell_number(physical) : cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	cells[PID] = cell_integer(task->tgid);
	cells[COMM] = cell_text(task->comm, strnlen(task->comm, sizeof(task->comm)));
	cells[VIRTUAL] = cell_number(virtual);
}

static void fill_owner(struct listing *listing, struct kioku_cell *cells)
{
	struct kioku_cell all[OWNER_CELLS];

	if (!listing->with_owners || cells[PHYSICAL].presence != KIOKU_CELL_PRESENT)
		return;
	owner_cells_fill(&listing->owners, cells[PHYSICAL].value.number, all);
	cells[OWNER] = all[OWNER_KIND];
	cells[NAME] = all[OWNER_NAME];
	cells[USERS] = all[OWNER_USERS];
	cells[USER_COUNT] = all[OWNER_USER_COUNT];
	if (listing->task)
		return;
	cells[PID] = all[OWNER_PID];
	cells[COMM] = all[OWNER_COMM];
	cells[VIRTUAL] = all[OWNER_VIRTUAL];
}

/* data: of the string's first byte. */
static enum kioku_status give(struct listing *listing, const struct found_string *found,
			      const uint8_t *data)
{
	struct kioku_cell cells[COLUMNS];
	const char *encoding = found->encoding == STRING_ASCII ? "ascii" : "utf16le";
	size_t size = string_text(found, data, listing->text);

	for (size_t i = 0; i < COLUMNS; i++)
		cells[i] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	cells[PHYSICAL] = cell_number(found->address);
	if (listing->task)
		fill_process(listing, found->address, cells);
	fill_owner(listing, cells);
	cells[ENCODING] = cell_text(encoding, strlen(encoding));
	cells[TEXT] = cell_text(listing->text, size);
	return view_row(listing->run, cells);
}

/*
 * Where it is known whose pages are, a string ends with its page, unless somebody has the next page behind
 * it. What is left of it there is a string if it is long enough.
 */
static enum kioku_status give_parts(struct listing *listing, struct found_string found,
				    const uint8_t *data)
{
	size_t stride = found.encoding == STRING_UTF16 ? 2 : 1;
	struct found_string part = found;
	uint64_t end = found.address + found.size;

	if (listing->task || !listing->with_owners)
		return give(listing, &found, data);
	for (uint64_t border = (found.address / PAGE_SIZE + 1) * PAGE_SIZE; border < end;
	     border += PAGE_SIZE) {
		if (owners_are_neighbours(&listing->owners.owners, border - PAGE_SIZE, border))
			continue;
		/* A character of UTF-16 may lie across it, and is nobody's then. */
		part.size = (border - part.address) / stride * stride;
		if (part.size / stride >= listing->finder.minimum)
			TRY(give(listing, &part, data + (part.address - found.address)));
		part.address += (border - part.address + stride - 1) / stride * stride;
	}
	part.size = end - part.address;
	if (part.address >= end || part.size / stride < listing->finder.minimum)
		return KIOKU_OK;
	return give(listing, &part, data + (part.address - found.address));
}

static enum kioku_status scan(struct listing *listing, const struct string_window *window)
{
	struct found_string found;

	while (string_finder_next(&listing->finder, window, &found))
		TRY(give_parts(listing, found, window->data + (found.address - window->address)));
	listing->done += window->limit;
	if (listing->run->options.progress)
		listing->run->options.progress(listing->run->options.progress_user, listing->done,
					       listing->total, listing->lost);
	return KIOKU_OK;
}

static struct string_window window_at(const uint8_t *data, uint64_t address, uint64_t left)
{
	return (struct string_window){
		.data = data,
		.address = address,
		.size = left < CHUNK + STRING_OVERLAP ? (size_t)left : CHUNK + STRING_OVERLAP,
		.limit = left < CHUNK ? (size_t)left : CHUNK,
	};
}

/* --- physical memory */

/* What cannot be read as a whole, page by page; strings end where something is missing. */
static enum kioku_status scan_pages(struct listing *listing, uint64_t start, uint64_t size)
{
	for (uint64_t at = start; at < start + size; at += PAGE_SIZE) {
		struct string_window window =
			window_at(listing->buffer, at,
				  start + size - at < PAGE_SIZE ? start + size - at : PAGE_SIZE);
		if (kioku_source_read(listing->run->kernel->source, at, listing->buffer,
				      window.size, NULL) == KIOKU_OK)
			TRY(scan(listing, &window));
		else
			listing->lost += window.size;
	}
	return KIOKU_OK;
}

static enum kioku_status scan_stretch(struct listing *listing, uint64_t start, uint64_t size)
{
	struct kioku_source *source = listing->run->kernel->source;

	for (uint64_t done = 0; done < size; done += CHUNK) {
		struct string_window window = window_at(listing->buffer, start + done, size - done);
		struct bytes run;
		if (source_map(source, window.address, window.size, &run) &&
		    run.size >= window.size)
			window.data = run.data;
		else if (kioku_source_read(source, window.address, listing->buffer, window.size,
					   NULL) != KIOKU_OK) {
			TRY(scan_pages(listing, window.address, window.limit));
			continue;
		}
		TRY(scan(listing, &window));
	}
	return KIOKU_OK;
}

static enum kioku_status scan_physical(struct listing *listing)
{
	struct kioku_source *source = listing->run->kernel->source;
	uint64_t physical = 0, size, end = source_end(source);

	while ((size = source_next_data(source, &physical, end))) {
		listing->total += size;
		physical += size;
	}
	physical = 0;
	while ((size = source_next_data(source, &physical, end))) {
		TRY(scan_stretch(listing, physical, size));
		physical += size;
	}
	if (listing->lost)
		diagnose(&listing->run->kernel->diagnostics, KIOKU_GAP,
			 "strings: %llu bytes of memory could not be read",
			 (unsigned long long)listing->lost);
	return KIOKU_OK;
}

/* --- processes */

static enum kioku_status scan_run(struct listing *listing, struct process_blocks *blocks,
				  const struct block_run *run)
{
	for (uint64_t at = run->start; at < run->end;) {
		struct string_window window = window_at(listing->buffer, at, run->end - at);
		size_t size = process_blocks_read(blocks, at, window.size, listing->buffer);
		if (size == 0) {
			at += PAGE_SIZE;
			continue;
		}
		window.limit = size < window.limit ? size : window.limit;
		window.size = size;
		TRY(scan(listing, &window));
		at += window.limit;
	}
	return KIOKU_OK;
}

static enum kioku_status scan_process(void *user, const struct task *task)
{
	struct listing *listing = user;
	struct kioku_kernel *kernel = listing->run->kernel;
	CLEANUP(process_blocks_close) struct process_blocks blocks = { .kernel = kernel };
	struct kioku_error error = { 0 };

	if (!view_wants_pid(listing->run, task->tgid) || !task_has_memory(task))
		return KIOKU_OK;
	enum kioku_status status = process_blocks_open(kernel, task, &blocks, &error);
	if (status == KIOKU_ERROR_NO_MEMORY)
		return status;
	if (status != KIOKU_OK) {
		diagnose(&kernel->diagnostics, KIOKU_GAP, "process %d: %s", task->tgid,
			 error.message);
		return KIOKU_OK;
	}
	listing->task = task;
	listing->space = blocks.space;
	listing->done = 0;
	listing->total = blocks.bytes;
	for (unsigned i = 0; i < 3; i++)
		listing->finder.done[i] = 0;
	for (size_t i = 0; i < blocks.count; i++)
		TRY(scan_run(listing, &blocks, &blocks.runs[i]));
	return KIOKU_OK;
}

static enum kioku_status run_strings(struct view_run *run, struct kioku_error *error)
{
	CLEANUP(cleanup_listing) struct listing *listing = calloc(1, sizeof(*listing));
	const struct kioku_view_options *options = &run->options;

	if (!listing)
		return error_no_memory(error);
	listing->run = run;
	listing->finder.minimum = options->minimum ? options->minimum : 4;
	listing->finder.encodings = STRING_ASCII | STRING_UTF16;
	if (options->encoding && strcmp(options->encoding, "ascii") == 0)
		listing->finder.encodings = STRING_ASCII;
	else if (options->encoding && strcmp(options->encoding, "utf16le") == 0)
		listing->finder.encodings = STRING_UTF16;
	else if (options->encoding && strcmp(options->encoding, "all") != 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "no such encoding: %s",
				 options->encoding);
	if (listing->finder.minimum > STRING_LIMIT)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "strings are at most %u long",
				 STRING_LIMIT);
	for (size_t i = OWNER; i <= USER_COUNT; i++)
		listing->with_owners |= view_wants_column(run, i);
	/* These are known by the owners, where no process was asked for. */
	for (size_t i = PID; i <= VIRTUAL && options->pid_count == 0; i++)
		listing->with_owners |= view_wants_column(run, i);
	if (listing->with_owners)
		TRY(owner_cells_open(&listing->owners, run->kernel, error));
	if (options->pid_count == 0)
		return scan_physical(listing);
	return task_each_process(run->kernel, TASK_IDENTITY | TASK_MEMBERS, scan_process, listing,
				 error);
}

const struct kioku_view strings_view = {
	.name = "strings",
	.help = "texts in memory, and whose they are",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_PID | KIOKU_VIEW_STRINGS,
	.run = run_strings,
};
