/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "recover/content.h"

#include <stdlib.h>
#include <string.h>

#include "base/growing.h"
#include "source/source.h"

static const char not_cached[] = "not cached", swapped_out[] = "swapped out",
		  not_in_image[] = "not in the image", damaged[] = "damaged",
		  from_swap[] = "read from swap, may be stale";

/* --- what is missing */

enum kioku_status missing_flush(struct missing *missing)
{
	const struct kioku_missing out = { .path = missing->path,
					   .path_size = strlen(missing->path),
					   .start = missing->start,
					   .end = missing->end,
					   .reason = missing->reason,
					   .may_be_stale = missing->reason == from_swap };

	if (missing->end == 0)
		return KIOKU_OK;
	*(out.may_be_stale ? &missing->stale_bytes : &missing->bytes) +=
		missing->end - missing->start;
	missing->end = 0;
	return missing->function ? missing->function(missing->user, &out) : KIOKU_OK;
}

enum kioku_status missing_add(struct missing *missing, uint64_t start, uint64_t end,
			      const char *reason)
{
	if (end <= start)
		return KIOKU_OK;
	if (missing->end == start && missing->end > 0 && missing->reason == reason) {
		missing->end = end;
		return KIOKU_OK;
	}
	TRY(missing_flush(missing));
	missing->start = start;
	missing->end = end;
	missing->reason = reason;
	return KIOKU_OK;
}

/* --- where it is */

struct search {
	struct kioku_kernel *kernel;
	struct file_content *content;
	struct missing *missing;
	uint8_t page[PAGE_SIZE];
};

static uint64_t end_in_file(const struct file_content *content, uint64_t index, uint64_t count)
{
	uint64_t end = (index + count) * PAGE_SIZE;

	return end < content->size ? end : content->size;
}

static enum kioku_status keep(struct search *search, const struct page_run *run)
{
	struct file_content *content = search->content;
	uint64_t start = run->index * PAGE_SIZE;
	uint64_t end = end_in_file(content, run->index, run->count);
	struct segment *last =
		content->segment_count ? &content->segments[content->segment_count - 1] : NULL;

	if (!GROW(content->pieces, content->count, content->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	content->pieces[content->count++] = (struct piece){ start, *run };
	if (last && last->offset + last->size == start) {
		last->size += end - start;
		return KIOKU_OK;
	}
	if (!GROW(content->segments, content->segment_count, content->segment_capacity))
		return KIOKU_ERROR_NO_MEMORY;
	content->segments[content->segment_count++] = (struct segment){ start, end - start };
	return KIOKU_OK;
}

/* Says it of bytes that are lost, and of those that are kept and may be stale. */
static enum kioku_status tell(struct search *search, const struct page_run *run, const char *reason)
{
	return missing_add(search->missing, run->index * PAGE_SIZE,
			   end_in_file(search->content, run->index, run->count), reason);
}

static bool is_there(struct search *search, const struct page_run *run)
{
	return source_has(search->kernel->source, run->physical, run->count * PAGE_SIZE);
}

static enum kioku_status find_swapped(struct search *search, const struct page_run *page)
{
	uint64_t swap_reads = kioku_kernel_swap_reads(search->kernel);

	if (page_cache_read_swapped(search->kernel, page, 0, search->page, NULL) != KIOKU_OK)
		return tell(search, page, swapped_out);
	if (kioku_kernel_swap_reads(search->kernel) > swap_reads)
		TRY(tell(search, page, from_swap));
	return keep(search, page);
}

/* All of a run at once, or page by page. */
static enum kioku_status find_pages(struct search *search, const struct page_run *run)
{
	if (run->state == PAGE_RUN_PRESENT && is_there(search, run))
		return keep(search, run);
	for (uint64_t i = 0; i < run->count; i++) {
		struct page_run one = *run;
		one.index += i;
		one.count = 1;
		one.physical += i * PAGE_SIZE;
		one.within += i;
		if (run->state == PAGE_RUN_SWAPPED)
			TRY(find_swapped(search, &one));
		else
			TRY(is_there(search, &one) ? keep(search, &one)
						   : tell(search, &one, not_in_image));
	}
	return KIOKU_OK;
}

static enum kioku_status take_run(void *user, const struct page_run *run)
{
	struct search *search = user;
	struct page_run inside = *run;
	uint64_t pages =
		search->content->size / PAGE_SIZE + (search->content->size % PAGE_SIZE != 0);

	/* Beyond the end there may be pages that fallocate() made. */
	if (run->index >= pages)
		return KIOKU_OK;
	if (inside.count > pages - run->index)
		inside.count = pages - run->index;
	switch (run->state) {
	case PAGE_RUN_PRESENT:
	case PAGE_RUN_SWAPPED: return find_pages(search, &inside);
	case PAGE_RUN_ZERO: return KIOKU_OK;
	case PAGE_RUN_ABSENT: return tell(search, &inside, not_cached);
	case PAGE_RUN_LOST: break;
	}
	return tell(search, &inside, damaged);
}

enum kioku_status content_find(struct kioku_kernel *kernel, const struct inode *inode,
			       struct file_content *out, struct missing *missing,
			       struct kioku_error *error)
{
	struct search search = { .kernel = kernel, .content = out, .missing = missing };
	struct page_cache cache;

	*out = (struct file_content){ .size = (uint64_t)inode->size };
	if (inode->size < 0)
		return error_set(error, KIOKU_ERROR_CORRUPT, "its size is negative");
	TRY(page_cache_open(kernel, inode, &cache, error));
	TRY(page_cache_each(kernel, &cache, 0, PAGE_CACHE_LAST, take_run, &search, error));
	return missing_flush(missing);
}

void content_release(struct file_content *content)
{
	free(content->pieces);
	free(content->segments);
}

/* --- the bytes */

static enum kioku_status read_pages(struct kioku_kernel *kernel, const struct piece *piece,
				    uint64_t first, uint64_t count, uint8_t *out)
{
	if (piece->run.state == PAGE_RUN_SWAPPED)
		return page_cache_read_swapped(kernel, &piece->run, first, out, NULL);
	return kioku_source_read(kernel->source, piece->run.physical + first * PAGE_SIZE, out,
				 count * PAGE_SIZE, NULL);
}

struct writing {
	const struct file_content *content;
	struct output *output;
	uint8_t *buffer;
	uint64_t offset; /* of the buffer's first byte */
	size_t used;
};

static enum kioku_status write_out(struct writing *writing, struct kioku_error *error)
{
	size_t used = writing->used;

	writing->used = 0;
	/* The last page of a file has bytes behind its end. */
	if (writing->offset + used > writing->content->size)
		used = (size_t)(writing->content->size - writing->offset);
	return used ? writing->output->driver->data(writing->output, writing->offset,
						    writing->buffer, used, error)
		    : KIOKU_OK;
}

/* Pages into the buffer; those that cannot be read after all are found one by one. */
static enum kioku_status fetch(struct kioku_kernel *kernel, struct writing *writing,
			       const struct piece *piece, uint64_t first, uint64_t count,
			       struct missing *missing)
{
	uint8_t *out = writing->buffer + writing->used;

	writing->used += count * PAGE_SIZE;
	if (read_pages(kernel, piece, first, count, out) == KIOKU_OK)
		return KIOKU_OK;
	for (uint64_t i = 0; i < count; i++, out += PAGE_SIZE) {
		uint64_t index = piece->run.index + first + i;
		if (read_pages(kernel, piece, first + i, 1, out) == KIOKU_OK)
			continue;
		memset(out, 0, PAGE_SIZE);
		TRY(missing_add(missing, index * PAGE_SIZE, end_in_file(writing->content, index, 1),
				not_in_image));
	}
	return KIOKU_OK;
}

static enum kioku_status write_piece(struct kioku_kernel *kernel, struct writing *writing,
				     const struct piece *piece, struct missing *missing,
				     struct kioku_error *error)
{
	uint64_t step;

	for (uint64_t done = 0; done < piece->run.count; done += step) {
		uint64_t offset = piece->offset + done * PAGE_SIZE;
		if (writing->used == CONTENT_BUFFER || writing->offset + writing->used != offset)
			TRY(write_out(writing, error));
		if (writing->used == 0)
			writing->offset = offset;
		step = (CONTENT_BUFFER - writing->used) / PAGE_SIZE;
		step = step < piece->run.count - done ? step : piece->run.count - done;
		TRY(fetch(kernel, writing, piece, done, step, missing));
	}
	return KIOKU_OK;
}

enum kioku_status content_write(struct kioku_kernel *kernel, const struct file_content *content,
				struct output *output, uint8_t *buffer, struct missing *missing,
				struct kioku_error *error)
{
	struct writing writing = { .content = content, .output = output, .buffer = buffer };

	for (size_t i = 0; i < content->count; i++)
		TRY(write_piece(kernel, &writing, &content->pieces[i], missing, error));
	TRY(write_out(&writing, error));
	return missing_flush(missing);
}
