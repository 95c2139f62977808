/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kconfig/config_files.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/address_set.h"
#include "kernel/frame_use.h"
#include "kernel/page_cache.h"
#include "source/source.h"

#define SIZE_LIMIT \
	(16u << 20) /* bytes of a file; distributions' configurations have a fiftieth of it */

struct reading {
	struct kioku_kernel *kernel;
	struct config_reader reader;
	uint64_t size, lost_pages;
	uint8_t page[PAGE_SIZE];
	struct path_text path;
};

static enum kioku_status take_run(void *user, const struct page_run *run)
{
	struct reading *reading = user;
	uint64_t end = (reading->size + PAGE_SIZE - 1) / PAGE_SIZE;

	for (uint64_t i = 0; i < run->count && run->index + i < end; i++) {
		uint64_t start = (run->index + i) * PAGE_SIZE;
		uint64_t size =
			reading->size - start < PAGE_SIZE ? reading->size - start : PAGE_SIZE;
		uint64_t physical = run->physical + i * PAGE_SIZE;
		enum kioku_status status = KIOKU_ERROR_ABSENT;
		reading->reader.has_physical = run->state == PAGE_RUN_PRESENT;
		if (run->state == PAGE_RUN_PRESENT)
			status = kioku_source_read(reading->kernel->source, physical, reading->page,
						   PAGE_SIZE, NULL);
		else if (run->state == PAGE_RUN_SWAPPED)
			status = page_cache_read_swapped(reading->kernel, run, i, reading->page,
							 NULL);
		if (status == KIOKU_OK) {
			TRY(config_reader_feed(&reading->reader,
					       (struct bytes){ reading->page, (size_t)size },
					       physical));
			continue;
		}
		reading->lost_pages++;
		config_reader_break(&reading->reader);
	}
	return KIOKU_OK;
}

/* More of what the file has is something else than configurations: scripts and documentation have examples. */
static bool is_configuration(const struct config_text *text)
{
	return text->count > text->foreign && text->count > 0;
}

static enum kioku_status read_file(struct reading *reading, const struct inode *inode,
				   const struct page_cache *cache, const char *path,
				   struct config_texts *texts)
{
	size_t first = texts->count;
	struct config_text *text = config_texts_add(texts, CONFIG_FILE);

	if (!text)
		return texts->is_full ? KIOKU_OK : KIOKU_ERROR_NO_MEMORY;
	text->path = path;
	reading->size = (uint64_t)inode->size;
	reading->lost_pages = 0;
	config_reader_begin(&reading->reader, texts, text, true);
	enum kioku_status status = page_cache_each(reading->kernel, cache, 0, PAGE_CACHE_LAST,
						   take_run, reading, NULL);
	if (status == KIOKU_OK)
		status = config_reader_end(&reading->reader);
	if (status == KIOKU_ERROR_NO_MEMORY)
		return status;
	/* Nobody knows which of several it is that has lost something. */
	for (size_t i = texts->count; i-- > first;) {
		texts->list[i]->lost_pages = reading->lost_pages + (status != KIOKU_OK);
		if (!is_configuration(texts->list[i]))
			config_texts_drop(texts, i);
	}
	return KIOKU_OK;
}

/* False: it is no file that may be read as a whole. */
static bool open_file(struct reading *reading, const struct frame_reader *frames, uint64_t address,
		      struct inode *inode, struct page_cache *cache)
{
	struct frame_use use = { .kind = FRAME_FILE, .inode = address };

	if (inode_read(reading->kernel, address, inode) != KIOKU_OK || !inode_is(inode, S_IFREG) ||
	    inode->size <= 0 || inode->size > SIZE_LIMIT ||
	    page_cache_open(reading->kernel, inode, cache, NULL) != KIOKU_OK)
		return false;
	if (frame_use_name(frames, &use, &reading->path) != KIOKU_OK)
		reading->path.size = 0;
	return true;
}

static enum kioku_status find_file(struct reading *reading, const struct frame_reader *frames,
				   struct config_page *page, struct address_set *seen,
				   struct address_set *unfit, struct config_texts *texts)
{
	struct frame_use use;
	struct inode inode;
	struct page_cache cache;
	const char *path = NULL;

	if (frame_use_read(frames, page->physical, &use) != KIOKU_OK || use.kind != FRAME_FILE ||
	    !use.inode || address_set_has(unfit, use.inode))
		return KIOKU_OK;
	page->inode = use.inode;
	if (address_set_has(seen, use.inode))
		return KIOKU_OK;
	bool fits = open_file(reading, frames, use.inode, &inode, &cache);
	if (address_set_add(fits ? seen : unfit, use.inode) == ADDRESS_NO_MEMORY)
		return KIOKU_ERROR_NO_MEMORY;
	if (!fits) {
		page->inode = 0;
		return KIOKU_OK;
	}
	if (reading->path.size) {
		path = arena_copy(&texts->arena, reading->path.data, reading->path.size);
		if (!path)
			return KIOKU_ERROR_NO_MEMORY;
	}
	return read_file(reading, &inode, &cache, path, texts);
}

enum kioku_status config_files_read(struct kioku_kernel *kernel, struct config_scan *scan,
				    struct config_texts *texts)
{
	CLEANUP(address_set_release) struct address_set seen = { 0 }, unfit = { 0 };
	AUTO_FREE struct reading *reading = calloc(1, sizeof(*reading));
	struct frame_reader frames;

	if (!reading)
		return KIOKU_ERROR_NO_MEMORY;
	if (kernel->proof == PROOF_NONE || frame_reader_open(kernel, &frames, NULL) != KIOKU_OK)
		return KIOKU_OK;
	reading->kernel = kernel;
	for (size_t i = 0; i < scan->count; i++)
		TRY(find_file(reading, &frames, &scan->pages[i], &seen, &unfit, texts));
	return KIOKU_OK;
}
