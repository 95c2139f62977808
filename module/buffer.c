// SPDX-License-Identifier: GPL-2.0-only
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "buffer.h"

/* 256 KiB of pages of 4 KiB; two pages at least. */
#define MOST  6
#define LEAST 1

int buffer_init(struct buffer *buffer)
{
	struct page *page = NULL;
	unsigned int order;

	/* For more than the least, nothing is reclaimed or moved: that memory is to be read. */
	for (order = MOST; order > LEAST; order--) {
		page = alloc_pages((GFP_KERNEL & ~__GFP_RECLAIM) | __GFP_COMP | __GFP_NOWARN,
				   order);
		if (page)
			break;
	}
	if (!page)
		page = alloc_pages(GFP_KERNEL | __GFP_COMP, order);
	if (!page)
		return -ENOMEM;
	buffer->data = page_address(page);
	buffer->size = (PAGE_SIZE << order) - PAGE_SIZE;
	return 0;
}

void buffer_release(struct buffer *buffer)
{
	if (buffer->data)
		put_page(virt_to_page(buffer->data));
	buffer->data = NULL;
}

int buffer_restart(struct buffer *buffer, size_t at, size_t kept)
{
	struct buffer fresh;
	int status;

	if (page_ref_count(virt_to_page(buffer->data)) == 1) {
		memmove(buffer->data, buffer->data + at, kept);
		return 0;
	}
	status = buffer_init(&fresh);
	if (status)
		return status;
	memcpy(fresh.data, buffer->data + at, kept);
	buffer_release(buffer);
	*buffer = fresh;
	return 0;
}
