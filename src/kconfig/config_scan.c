/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kconfig/config_scan.h"

#include <stdlib.h>

#include "base/growing.h"
#include "base/scan.h"
#include "format/kconfig_format.h"
#include "source/source.h"

#define CHUNK 0x100000u /* bytes, whole pages */
#define AHEAD 16u       /* bytes behind a chunk, so that a mark is not cut there */
#define LEAST 3         /* whole lines that make a page worth a closer look */

static const char needle[] = "CONFIG_";

struct scanning {
	struct kioku_source *source;
	struct config_scan *scan;
	const struct config_progress *progress;
	uint64_t done, total;
	uint8_t buffer[CHUNK + AHEAD];
};

/* Whether there are options in it. What is cut off at its borders does not count. */
static bool has_lines(struct bytes page)
{
	struct kconfig_line line;
	struct bytes text;
	size_t offset = 0, found = 0;

	while (found < LEAST && scan_line(page, &offset, &text))
		found += offset < page.size && kconfig_line_decode(text, &line) == KCONFIG_OPTION;
	return found == LEAST;
}

static enum kioku_status look_at_page(struct scanning *scanning, struct bytes page,
				      uint64_t physical)
{
	struct config_scan *scan = scanning->scan;

	if (!has_lines(page))
		return KIOKU_OK;
	if (scan->count == CONFIG_PAGE_LIMIT) {
		scan->is_full = true;
		return KIOKU_OK;
	}
	if (!GROW(scan->pages, scan->count, scan->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	scan->pages[scan->count++] =
		(struct config_page){ .physical = physical / PAGE_SIZE * PAGE_SIZE };
	return KIOKU_OK;
}

/* The first limit bytes of a run are new. */
static enum kioku_status look_at(struct scanning *scanning, struct bytes run, size_t limit,
				 uint64_t physical)
{
	struct config_scan *scan = scanning->scan;

	for (size_t at = 0; at < limit;) {
		const uint8_t *found =
			memmem(run.data + at, limit - at, needle, sizeof(needle) - 1);
		if (!found)
			break;
		size_t page = (size_t)(found - run.data) / PAGE_SIZE * PAGE_SIZE;
		size_t size = limit - page < PAGE_SIZE ? limit - page : PAGE_SIZE;
		TRY(look_at_page(scanning, (struct bytes){ run.data + page, size },
				 physical + page));
		at = page + size;
	}
	for (size_t at = 0; at < limit;) {
		const uint8_t *found =
			memmem(run.data + at, run.size - at, IKCONFIG_START "\x1f\x8b\x08",
			       IKCONFIG_MARK_SIZE + 3);
		if (!found || found >= run.data + limit)
			break;
		if (scan->packed_count < CONFIG_PACKED_LIMIT)
			scan->packed[scan->packed_count++] =
				physical + (uint64_t)(found - run.data);
		else
			scan->is_full = true;
		at = (size_t)(found - run.data) + 1;
	}
	return KIOKU_OK;
}

/* What cannot be read as a whole, page by page. */
static enum kioku_status look_at_pages(struct scanning *scanning, uint64_t start, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += PAGE_SIZE) {
		struct bytes page = { scanning->buffer,
				      (size_t)(size - at < PAGE_SIZE ? size - at : PAGE_SIZE) };
		if (kioku_source_read(scanning->source, start + at, scanning->buffer, page.size,
				      NULL) == KIOKU_OK)
			TRY(look_at(scanning, page, page.size, start + at));
		else
			scanning->scan->lost += page.size;
	}
	return KIOKU_OK;
}

static enum kioku_status look_at_stretch(struct scanning *scanning, uint64_t start, uint64_t size)
{
	for (uint64_t at = 0; at < size;) {
		/* Pages are looked at, so that one that the stretch begins inside of comes first. */
		uint64_t inside = (start + at) % PAGE_SIZE;
		uint64_t limit = inside ? PAGE_SIZE - inside : CHUNK;
		limit = size - at < limit ? size - at : limit;
		uint64_t wanted = size - at < limit + AHEAD ? size - at : limit + AHEAD;
		struct bytes run;
		if (!source_map(scanning->source, start + at, wanted, &run) || run.size < wanted) {
			run = (struct bytes){ scanning->buffer, (size_t)wanted };
			if (kioku_source_read(scanning->source, start + at, scanning->buffer,
					      run.size, NULL) != KIOKU_OK)
				run.size = 0;
		}
		if (run.size)
			TRY(look_at(scanning, run, (size_t)limit, start + at));
		else
			TRY(look_at_pages(scanning, start + at, limit));
		at += limit;
		scanning->done += limit;
		if (scanning->progress->progress)
			scanning->progress->progress(scanning->progress->user, scanning->done,
						     scanning->total, scanning->scan->lost);
	}
	return KIOKU_OK;
}

enum kioku_status config_scan_run(struct kioku_source *source,
				  const struct config_progress *progress, struct config_scan *out)
{
	AUTO_FREE struct scanning *scanning = calloc(1, sizeof(*scanning));
	uint64_t physical = 0, size, end = source_end(source);

	if (!scanning)
		return KIOKU_ERROR_NO_MEMORY;
	scanning->source = source;
	scanning->scan = out;
	scanning->progress = progress;
	for (; (size = source_next_data(source, &physical, end)); physical += size)
		scanning->total += size;
	for (physical = 0; (size = source_next_data(source, &physical, end)); physical += size)
		TRY(look_at_stretch(scanning, physical, size));
	return KIOKU_OK;
}

void config_scan_release(struct config_scan *scan)
{
	free(scan->pages);
}
