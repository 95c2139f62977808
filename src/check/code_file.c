/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check/code_file.h"

#include <string.h>

#include "base/growing.h"

enum { FILES_LIMIT = 4096 }; /* then all of them are forgotten */

void code_files_release(struct code_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->files[i].runs);
	free(files->files);
	*files = (struct code_files){ .kernel = files->kernel };
}

static enum kioku_status add_run(void *user, const struct page_run *run)
{
	struct code_file *file = user;

	if (run->state == PAGE_RUN_ABSENT || run->state == PAGE_RUN_LOST)
		return KIOKU_OK;
	if (!GROW(file->runs, file->count, file->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	file->runs[file->count++] = *run;
	return KIOKU_OK;
}

static enum kioku_status read_file(struct kioku_kernel *kernel, struct code_file *file)
{
	struct inode inode;

	TRY(inode_read(kernel, file->inode, &inode));
	TRY(page_cache_open(kernel, &inode, &file->cache, NULL));
	return page_cache_each(kernel, &file->cache, 0, PAGE_CACHE_LAST, add_run, file, NULL);
}

const struct code_file *code_files_find(struct code_files *files, uint64_t inode)
{
	for (size_t i = files->count; i-- > 0;)
		if (files->files[i].inode == inode)
			return &files->files[i];
	if (files->count == FILES_LIMIT)
		code_files_release(files);
	if (!GROW(files->files, files->count, files->capacity))
		return NULL;
	struct code_file *file = &files->files[files->count++];
	*file = (struct code_file){ .inode = inode };
	file->status = read_file(files->kernel, file);
	return file->status == KIOKU_ERROR_NO_MEMORY ? NULL : file;
}

const struct page_run *code_file_run(const struct code_file *file, uint64_t index)
{
	size_t first = 0, last = file->count;

	while (first < last) {
		size_t middle = first + (last - first) / 2;
		const struct page_run *run = &file->runs[middle];
		if (index < run->index)
			last = middle;
		else if (index - run->index >= run->count)
			first = middle + 1;
		else
			return run;
	}
	return NULL;
}

enum kioku_status code_file_read(struct kioku_kernel *kernel, const struct page_run *run,
				 uint64_t index, uint8_t out[PAGE_SIZE])
{
	uint64_t i = index - run->index;

	switch (run->state) {
	case PAGE_RUN_PRESENT:
		return kioku_source_read(kernel->source, run->physical + i * PAGE_SIZE, out,
					 PAGE_SIZE, NULL);
	case PAGE_RUN_SWAPPED: return page_cache_read_swapped(kernel, run, i, out, NULL);
	case PAGE_RUN_ZERO: memset(out, 0, PAGE_SIZE); return KIOKU_OK;
	case PAGE_RUN_ABSENT:
	case PAGE_RUN_LOST: break;
	}
	return KIOKU_ERROR_ABSENT;
}
