/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/growing.h"
#include "kernel/image.h"

/* No kernel is smaller; random tables that happen to look right map next to nothing. */
#define IMAGE_MINIMUM (1024 * 1024)
#define RUN_LIMIT     65536

enum { PAGE_UNKNOWN, PAGE_VALID, PAGE_LOST };

static enum kioku_status add_run(void *user, const struct mapping *mapping)
{
	struct image *image = user;

	if (image->run_count > 0) {
		struct mapping *last = &image->runs[image->run_count - 1];
		if (last->virtual + last->size == mapping->virtual &&
		    last->physical + last->size == mapping->physical &&
		    last->permissions == mapping->permissions) {
			last->size += mapping->size;
			return KIOKU_OK;
		}
	}
	if (image->run_count == RUN_LIMIT)
		return KIOKU_ERROR_LIMIT;
	if (!GROW(image->runs, image->run_count, image->run_capacity))
		return KIOKU_ERROR_NO_MEMORY;
	image->runs[image->run_count++] = *mapping;
	return KIOKU_OK;
}

enum kioku_status image_map(struct kioku_address_space *space, struct image *out,
			    struct kioku_error *error)
{
	struct image image = { 0 };
	struct address_walk walk = { .first = KERNEL_MAP_START,
				     .last = KERNEL_MAP_LAST,
				     .receive = add_run,
				     .user = &image };
	uint64_t consistent = 0, proved = 0;
	size_t count = 0;

	enum kioku_status status = address_space_walk(space, &walk);
	if (status == KIOKU_OK && image.run_count > 0) {
		image.start = image.runs[0].virtual;
		image.physical = image.runs[0].physical;
		/*
		 * A damaged entry or two must not cost the kernel; a random page has no such order. What is too
		 * far behind is no part of it: a kernel that cannot move has its modules 512 MiB after
		 * KERNEL_MAP_START (KERNEL_IMAGE_SIZE, arch/x86/include/asm/page_64_types.h).
		 */
		for (size_t i = 0; i < image.run_count; i++) {
			const struct mapping *run = &image.runs[i];
			uint64_t end = run->virtual + run->size;
			if (run->physical == image_to_physical(&image, run->virtual))
				consistent += run->size;
			if (consistent < (end - image.start) / 4)
				continue;
			image.end = end;
			proved = consistent;
			count = i + 1;
		}
		image.run_count = count;
	}
	if (status != KIOKU_OK || proved < IMAGE_MINIMUM) {
		image_release(&image);
		return error_set(error, KIOKU_ERROR_NOT_FOUND,
				 "the page tables at 0x%llx map no kernel image",
				 (unsigned long long)space->root);
	}
	*out = image;
	return KIOKU_OK;
}

void image_release(struct image *image)
{
	free(image->runs);
	*image = (struct image){ 0 };
}

bool image_run_is_rodata(const struct mapping *run)
{
	return !(run->permissions & (KIOKU_PERMISSION_WRITE | KIOKU_PERMISSION_EXECUTE));
}

/* Reads pages [first, last], all of them not fetched before; at once if that is possible. */
static bool fetch_pages(struct image_window *window, uint64_t first, uint64_t last)
{
	uint64_t start = first * PAGE_SIZE;
	uint64_t end = (last + 1) * PAGE_SIZE;

	if (end > window->window.size)
		end = window->window.size;
	bool complete =
		kioku_address_space_read(window->space, window->window.virtual_start + start,
					 window->buffer + start, end - start, NULL) == KIOKU_OK;
	if (complete || first == last) {
		memset(window->fetched + first, complete ? PAGE_VALID : PAGE_LOST,
		       last - first + 1);
		return complete;
	}
	for (uint64_t page = first; page <= last; page++)
		fetch_pages(window, page, page);
	return false;
}

static bool fetch(struct window *base, uint64_t offset, uint64_t size)
{
	struct image_window *window = (struct image_window *)base;
	uint64_t last = (offset + size - 1) / PAGE_SIZE;
	bool complete = true;

	for (uint64_t page = offset / PAGE_SIZE; page <= last; page++) {
		if (window->fetched[page] == PAGE_UNKNOWN) {
			uint64_t end = page;
			while (end < last && window->fetched[end + 1] == PAGE_UNKNOWN)
				end++;
			complete = fetch_pages(window, page, end) && complete;
			page = end;
		} else if (window->fetched[page] == PAGE_LOST) {
			complete = false;
		}
	}
	return complete;
}

enum kioku_status image_window_open(struct kioku_address_space *space, uint64_t virtual,
				    uint64_t size, struct image_window *out,
				    struct kioku_error *error)
{
	/* Reserved, not used: pages come into being as they are fetched. */
	uint8_t *buffer = mmap(NULL, size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *fetched = calloc(size / PAGE_SIZE + 1, 1);

	if (buffer == MAP_FAILED || !fetched) {
		free(fetched);
		if (buffer != MAP_FAILED)
			munmap(buffer, size);
		return error_no_memory(error);
	}
	*out = (struct image_window){
		.window = { .data = buffer,
			    .size = size,
			    .virtual_start = virtual,
			    .fetch = fetch },
		.space = space,
		.buffer = buffer,
		.fetched = fetched,
	};
	return KIOKU_OK;
}

void image_window_close(struct image_window *window)
{
	if (window->buffer)
		munmap(window->buffer, window->window.size);
	free(window->fetched);
	*window = (struct image_window){ 0 };
}

const struct mapping *image_next_data(struct kioku_address_space *space, const struct image *image,
				      size_t *index, struct image_window *out)
{
	while (*index < image->run_count) {
		const struct mapping *run = &image->runs[(*index)++];
		if (image_run_is_rodata(run) ||
		    image_window_open(space, run->virtual, run->size, out, NULL) != KIOKU_OK)
			continue;
		window_need(&out->window, 0, run->size);
		return run;
	}
	return NULL;
}
