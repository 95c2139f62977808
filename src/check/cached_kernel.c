/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "check/cached_kernel.h"
#include "format/bzimage_format.h"
#include "kernel/page_cache.h"

/* Bytes; a vmlinuz has from 5 to 20 million. */
#define SMALLEST (INT64_C(1) << 20)
#define LARGEST  (INT64_C(1) << 28)

struct search {
	struct kioku_kernel *kernel;
	struct kernel_file *out;
	bool found;
};

static bool is_kernel(struct kioku_kernel *kernel, const struct page_cache *cache)
{
	uint8_t page[PAGE_SIZE];
	struct bzimage image;

	return page_cache_read_page(kernel, cache, 0, page, NULL) == KIOKU_OK &&
	       bzimage_decode((struct bytes){ page, sizeof(page) }, &image);
}

static enum kioku_status load(struct search *search, const struct page_cache *cache)
{
	uint64_t pages = (cache->size + PAGE_SIZE - 1) / PAGE_SIZE;
	AUTO_FREE uint8_t *data = malloc(pages * PAGE_SIZE);

	if (!data)
		return KIOKU_ERROR_NO_MEMORY;
	for (uint64_t i = 0; i < pages; i++)
		TRY(page_cache_read_page(search->kernel, cache, i, data + i * PAGE_SIZE, NULL));
	TRY(kernel_file_parse((struct bytes){ data, cache->size }, search->out));
	search->found = search->out->build_id.size == search->kernel->build_id_size &&
			memcmp(search->out->build_id.data, search->kernel->build_id,
			       search->kernel->build_id_size) == 0;
	if (!search->found)
		kernel_file_close(search->out);
	return KIOKU_OK;
}

static enum kioku_status look_at_inode(void *user, const struct inode *inode)
{
	struct search *search = user;
	struct page_cache cache;

	if (search->found || !inode_is(inode, 0100000) || inode->size < SMALLEST ||
	    inode->size > LARGEST ||
	    page_cache_open(search->kernel, inode, &cache, NULL) != KIOKU_OK ||
	    cache.page_count < cache.size / PAGE_SIZE || !is_kernel(search->kernel, &cache))
		return KIOKU_OK;
	/* One that cannot be read is none: whatever is wrong with it. */
	return load(search, &cache) == KIOKU_ERROR_NO_MEMORY ? KIOKU_ERROR_NO_MEMORY : KIOKU_OK;
}

static enum kioku_status look_at_superblock(void *user, const struct superblock *superblock)
{
	struct search *search = user;

	return search->found ? KIOKU_OK
			     : inode_each(search->kernel, superblock, look_at_inode, search, NULL);
}

enum kioku_status cached_kernel_find(struct kioku_kernel *kernel, struct kernel_file *out,
				     struct kioku_error *error)
{
	struct search search = { .kernel = kernel, .out = out };

	if (kernel->build_id_size == 0)
		return KIOKU_ERROR_NOT_FOUND;
	TRY(superblock_each(kernel, look_at_superblock, &search, error));
	return search.found ? KIOKU_OK : KIOKU_ERROR_NOT_FOUND;
}
