/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A moment of a series, put together from its core and those of the moments before. */
#include <kioku/snapshot.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "format/series_format.h"
#include "source/driver.h"
#include "source/elf_table.h"
#include "source/made_source.h"

enum { PAGE = SERIES_PAGE, MOMENT_LIMIT = 1 << 16 };

/* The core of one moment. */
struct core {
	struct image_file file;
	struct page_set touched;
	struct range_map loads; /* offset: in the file */
	struct bytes notes;
	size_t series_at; /* in the notes: where that of the series begins, up to their end */
	struct series_moment moment;
	/* Where its stored pages are: offset is the first's number, which its digest has. */
	struct range_map stored;
	uint16_t machine;
};

struct series_source {
	struct core *cores; /* of moments 0 to count - 1 */
	size_t count;
	struct range_map whole; /* which core has what; kind: a moment */
	struct digest digest;
	pthread_mutex_t lock; /* what is unpacked, and digests, are of one thread at a time */
};

static void core_release(struct core *core)
{
	image_file_release(&core->file);
	page_set_release(&core->touched);
	range_map_release(&core->loads);
	range_map_release(&core->stored);
}

static void series_source_free(struct series_source *series)
{
	for (size_t i = 0; i < series->count; i++)
		core_release(&series->cores[i]);
	free(series->cores);
	range_map_release(&series->whole);
	digest_release(&series->digest);
	pthread_mutex_destroy(&series->lock);
	free(series);
}

/* --- one core */

static bool find_series_note(struct core *core, const struct elf_header *header)
{
	struct elf_note note;

	for (uint64_t at = 0, next = 0; elf_note_decode(core->notes, header, 4, &next, &note);
	     at = next) {
		if (!elf_note_is(&note, SERIES_NOTE_NAME, SERIES_NOTE_TYPE))
			continue;
		core->series_at = (size_t)at;
		return series_decode(note.description, &core->moment);
	}
	return false;
}

static enum kioku_status read_core(struct core *core, struct kioku_error *error)
{
	struct elf_header header;
	struct elf_segment segment;
	struct bytes table = { 0 };

	TRY(elf_table_read(&core->file, &header, &table, error));
	core->machine = header.machine;
	for (uint32_t i = 0; elf_segment_decode(table, &header, i, &segment); i++) {
		if (segment.type == PT_NOTE && !core->notes.data)
			TRY(image_file_keep(&core->file, segment.offset, segment.filesz,
					    &core->notes, error));
		if (segment.type == PT_LOAD &&
		    !range_map_add(&core->loads, (struct extent){ .start = segment.vaddr,
								  .size = segment.filesz,
								  .offset = segment.offset }))
			return error_no_memory(error);
	}
	if (!find_series_note(core, &header) || core->moment.moment >= MOMENT_LIMIT)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "it is no core of a series");
	return range_map_normalise(&core->loads) ? KIOKU_OK : error_no_memory(error);
}

static enum kioku_status open_core(int folder, const char *name, struct core *core,
				   struct kioku_error *error)
{
	const struct diagnostics silent = { 0 };
	AUTO_CLOSE int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat about;

	if (file < 0 || fstat(file, &about) != 0)
		return error_os(error, "%s", name);
	if (!S_ISREG(about.st_mode))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "%s is no file", name);
	TRY(image_file_map(&core->file, file, &core->touched, error));
	TRY(image_file_unpack(&core->file, &silent, error));
	return read_core(core, error);
}

/* --- all of them */

static bool is_before(const struct core *core, const struct core *last)
{
	return core->moment.moment < last->moment.moment &&
	       memcmp(core->moment.id, last->moment.id, SERIES_ID_SIZE) == 0;
}

/* Whatever else lies in the folder is no core, or of another series. */
static enum kioku_status find_others(struct series_source *series, int folder,
				     struct kioku_error *error)
{
	DIR *list = fdopendir(folder);
	const struct core *last = &series->cores[series->count - 1];

	if (!list) {
		close(folder);
		return error_os(error, "cannot list the folder");
	}
	for (struct dirent *entry; (entry = readdir(list));) {
		struct core core = { 0 };
		if (open_core(folder, entry->d_name, &core, NULL) == KIOKU_OK &&
		    is_before(&core, last) && !series->cores[core.moment.moment].notes.data) {
			series->cores[core.moment.moment] = core;
			core = (struct core){ 0 };
		}
		core_release(&core);
	}
	closedir(list);
	for (size_t i = 0; i < series->count; i++)
		if (!series->cores[i].notes.data)
			return error_set(error, KIOKU_ERROR_NOT_FOUND,
					 "moment %zu of the series is not in its folder", i);
	return KIOKU_OK;
}

static enum kioku_status corrupt(const struct core *core, struct kioku_error *error)
{
	return error_set(error, KIOKU_ERROR_CORRUPT,
			 "what moment %u says of its memory contradicts itself",
			 core->moment.moment);
}

/* Where the content of what has not changed since the moment before is. */
static bool take_unchanged(const struct range_map *before, const struct series_range *run,
			   struct range_map *out)
{
	uint64_t end = run->start + run->size;

	for (size_t i = range_map_after(before, run->start);
	     i < before->count && before->extents[i].start < end; i++) {
		struct extent part = before->extents[i];
		uint64_t part_end = part.start + part.size;
		part.start = part.start > run->start ? part.start : run->start;
		part.size = (part_end < end ? part_end : end) - part.start;
		if (!range_map_add(out, part))
			return false;
	}
	return true;
}

/* From the map of the moment before to that of this one. */
static enum kioku_status follow(struct core *core, struct range_map *whole,
				struct kioku_error *error)
{
	struct range_map next = { 0 };
	struct series_range run;
	uint64_t end = 0, pages = 0;
	bool fits = true;

	for (size_t i = 0; fits && i < core->moment.runs.count; i++) {
		if (!series_range_decode(&core->moment.runs, i, &end, &run) ||
		    run.what >= SERIES_STATE_COUNT) {
			range_map_release(&next);
			return corrupt(core, error);
		}
		if (run.what == SERIES_UNCHANGED)
			fits = take_unchanged(whole, &run, &next);
		if (run.what != SERIES_STORED)
			continue;
		fits = range_map_add(&core->stored, (struct extent){ .start = run.start,
								     .size = run.size,
								     .offset = pages * PAGE }) &&
		       range_map_add(&next, (struct extent){ .start = run.start,
							     .size = run.size,
							     .kind = (int)core->moment.moment });
		pages += run.size / PAGE;
	}
	range_map_release(whole);
	*whole = next;
	if (!fits || !range_map_normalise(whole) || !range_map_normalise(&core->stored))
		return error_no_memory(error);
	return pages * SERIES_DIGEST_SIZE == core->moment.digests.size ? KIOKU_OK
								       : corrupt(core, error);
}

/* --- reading */

static const uint8_t *digest_of(const struct core *core, uint64_t address)
{
	size_t hint = 0;
	const struct extent *run = range_map_find(&core->stored, address, &hint);
	uint64_t number = (run->offset + (address - run->start)) / PAGE;

	return core->moment.digests.data + number * SERIES_DIGEST_SIZE;
}

static enum kioku_status read_page(struct series_source *series, uint64_t address,
				   uint8_t page[PAGE], struct kioku_error *error)
{
	size_t hint = 0;
	uint8_t digest[DIGEST_SIZE];
	const struct extent *where = range_map_find(&series->whole, address, &hint);
	struct core *core = where ? &series->cores[where->kind] : NULL;

	hint = 0;
	const struct extent *load = core ? range_map_find(&core->loads, address, &hint) : NULL;
	if (!load ||
	    !image_file_copy(&core->file, load->offset + (address - load->start), page, PAGE))
		return error_at(error, KIOKU_ERROR_ABSENT, address, "no moment has it");
	if (!digest_add(&series->digest, page, PAGE) || !digest_finish(&series->digest, digest) ||
	    memcmp(digest, digest_of(core, address), SERIES_DIGEST_SIZE) != 0)
		return error_at(error, KIOKU_ERROR_CORRUPT, address,
				"the core of moment %u has other bytes than were taken",
				core->moment.moment);
	return KIOKU_OK;
}

static enum kioku_status read_access(void *access, uint64_t address, uint64_t offset, void *buffer,
				     size_t size, struct kioku_error *error)
{
	struct series_source *series = access;
	enum kioku_status status = KIOKU_OK;
	uint8_t page[PAGE], *out = buffer;

	pthread_mutex_lock(&series->lock);
	for (size_t done = 0, part; done < size && status == KIOKU_OK; done += part) {
		uint64_t at = address + done, start = at - at % PAGE;
		part = PAGE - (size_t)(at - start);
		part = part < size - done ? part : size - done;
		status = read_page(series, start, page, error);
		if (status == KIOKU_OK)
			memcpy(out + done, page + (at - start), part);
	}
	pthread_mutex_unlock(&series->lock);
	return status;
}

static void close_source(struct kioku_source *source)
{
	if (source->state)
		series_source_free(source->state);
}

static const struct source_access series_access = {
	.open = made_access_open,
	.close = made_access_close,
	.read = read_access,
	.states = made_access_states,
};

static const struct source_driver series_driver = {
	.name = "series",
	.help = "series",
	.access = &series_access,
	.close = close_source,
};

/* --- the source */

/* As the runs of the last moment say; what has not changed since an earlier one is there like the rest. */
static enum kioku_status fill_extents(const struct core *last, struct source_recipe *recipe,
				      struct kioku_error *error)
{
	static const enum kioku_range_state kinds[SERIES_STATE_COUNT] = {
		[SERIES_STORED] = KIOKU_RANGE_PRESENT,    [SERIES_ZERO] = KIOKU_RANGE_ZERO,
		[SERIES_EXCLUDED] = KIOKU_RANGE_EXCLUDED, [SERIES_LOST] = KIOKU_RANGE_UNREADABLE,
		[SERIES_UNCHANGED] = KIOKU_RANGE_PRESENT,
	};
	struct series_range range;
	uint64_t end = 0;

	for (size_t i = 0; i < last->moment.runs.count; i++)
		if (series_range_decode(&last->moment.runs, i, &end, &range) &&
		    !range_map_add(&recipe->extents, (struct extent){ .start = range.start,
								      .size = range.size,
								      .kind = kinds[range.what] }))
			return error_no_memory(error);
	return KIOKU_OK;
}

static enum kioku_status fill_segments(const struct core *last, struct source_recipe *recipe,
				       struct kioku_error *error)
{
	struct series_range range;
	uint64_t end = 0;

	recipe->segments = calloc(last->moment.segments.count + 1, sizeof(*recipe->segments));
	if (!recipe->segments)
		return error_no_memory(error);
	for (size_t i = 0; i < last->moment.segments.count; i++) {
		if (!series_range_decode(&last->moment.segments, i, &end, &range))
			return corrupt(last, error);
		recipe->segments[recipe->segment_count++] =
			(struct source_segment){ range.start, range.size, (uint32_t)range.what };
	}
	return KIOKU_OK;
}

static enum kioku_status make(struct series_source *series, const char *path,
			      struct kioku_source **out, struct kioku_error *error)
{
	const struct core *last = &series->cores[series->count - 1];
	AUTO_FREE char *description =
		strndup((const char *)last->moment.description.data, last->moment.description.size);
	AUTO_FREE char *where = NULL;
	struct source_recipe recipe = {
		.driver = &series_driver,
		.state = series,
		.elf_machine = last->machine,
		.description = description,
		.notes = { last->notes.data, last->series_at },
	};

	if (!description || asprintf(&where, "series:%s", path) < 0)
		return error_no_memory(error);
	recipe.where = where;
	enum kioku_status status = fill_extents(last, &recipe, error);
	if (status == KIOKU_OK)
		status = fill_segments(last, &recipe, error);
	if (status == KIOKU_OK)
		return source_make(&recipe, out, error);
	range_map_release(&recipe.extents);
	free(recipe.segments);
	return status;
}

static enum kioku_status open_series(struct series_source *series, const char *path,
				     struct kioku_source **out, struct kioku_error *error)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *folder_path =
		slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	struct core last = { 0 };

	if (!folder_path)
		return error_no_memory(error);
	TRY(digest_init(&series->digest, KIOKU_DIGEST_SHA256, error));
	enum kioku_status status = open_core(AT_FDCWD, path, &last, error);
	series->cores =
		status == KIOKU_OK ? calloc((size_t)last.moment.moment + 1, sizeof(last)) : NULL;
	if (!series->cores) {
		core_release(&last);
		return status == KIOKU_OK ? error_no_memory(error) : status;
	}
	series->count = (size_t)last.moment.moment + 1;
	series->cores[last.moment.moment] = last;
	int folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return error_os(error, "%s", folder_path);
	TRY(find_others(series, folder, error));
	for (size_t i = 0; i < series->count; i++)
		TRY(follow(&series->cores[i], &series->whole, error));
	return make(series, path, out, error);
}

enum kioku_status kioku_series_open(const char *path, struct kioku_source **out,
				    struct kioku_error *error)
{
	struct series_source *series = calloc(1, sizeof(*series));

	if (!series)
		return error_no_memory(error);
	pthread_mutex_init(&series->lock, NULL);
	enum kioku_status status = open_series(series, path, out, error);
	if (status != KIOKU_OK)
		series_source_free(series);
	return status;
}
