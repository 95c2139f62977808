/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images of swap areas, as acquire --swap and dd take them. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "kernel/swap_area.h"

enum { UUID_TEXT = 37, LIST_SIZE = 512 };

static const char *uuid_text(const uint8_t *uuid, char out[UUID_TEXT])
{
	char *at = out;

	for (size_t i = 0; i < SWAP_UUID_SIZE; i++)
		at += snprintf(at, 4, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			       uuid[i]);
	return out;
}

/* "0: vda2, 262143 pages, UUID ...". */
static size_t describe(const struct swap_area *area, char *out, size_t size)
{
	char uuid[UUID_TEXT];
	int written = snprintf(out, size, "%u: %s, %llu pages%s%s%s", area->type,
			       area->name[0] ? area->name : "(no name)",
			       (unsigned long long)area->max, area->has_uuid ? ", UUID " : "",
			       area->has_uuid ? uuid_text(area->uuid, uuid) : "",
			       area->file ? ", which has a file" : "");

	return written < 0 ? 0 : (size_t)written < size ? (size_t)written : size - 1;
}

static enum kioku_status fits_none(const struct swap *swap, const struct swap_header *header,
				   struct kioku_error *error)
{
	char list[LIST_SIZE] = "", uuid[UUID_TEXT];
	size_t used = 0;

	for (uint32_t i = 0; i < swap->area_count && used + 2 < sizeof(list); i++) {
		if (!swap->areas[i].is_used)
			continue;
		if (used)
			used += (size_t)snprintf(list + used, sizeof(list) - used, "; ");
		used += describe(&swap->areas[i], list + used, sizeof(list) - used);
	}
	return error_set(error, KIOKU_ERROR_REFUSED,
			 "it has %u pages, UUID %s, and is of none of this kernel's areas%s%s",
			 header->last_page + 1, uuid_text(header->uuid, uuid),
			 used ? ": " : ", for there are none", list);
}

/* The kernel counts the pages that there are, header included, and those that can be used. */
static bool has_size(const struct swap_area *area, const struct swap_header *header)
{
	return area->is_used && !area->file && area->max == (uint64_t)header->last_page + 1 &&
	       area->pages + header->bad_pages == header->last_page;
}

/* By its UUID if the kernel still has it; else by its size, if only one area has this. */
static struct swap_area *find_area(struct swap *swap, const struct swap_header *header)
{
	struct swap_area *found = NULL;
	unsigned count = 0;

	for (uint32_t i = 0; i < swap->area_count; i++) {
		struct swap_area *area = &swap->areas[i];
		if (!has_size(area, header))
			continue;
		if (area->has_uuid && memcmp(area->uuid, header->uuid, SWAP_UUID_SIZE) == 0)
			return area;
		if (!area->has_uuid) {
			found = area;
			count++;
		}
	}
	return count == 1 ? found : NULL;
}

struct opened {
	struct image_file *file;
	char *path;
	struct page_set touched;
	int descriptor;
};

static void opened_release(struct opened *opened)
{
	if (opened->file)
		image_file_release(opened->file);
	free(opened->file);
	free(opened->path);
	page_set_release(&opened->touched);
	if (opened->descriptor >= 0)
		close(opened->descriptor);
}

static enum kioku_status read_header(struct opened *opened, struct swap_header *out,
				     struct kioku_error *error)
{
	uint8_t page[SWAP_PAGE_SIZE] = { 0 };

	image_file_copy(opened->file, 0, page, sizeof(page));
	switch (swap_header_decode((struct bytes){ page, sizeof(page) }, out)) {
	case SWAP_HEADER_AREA: return KIOKU_OK;
	case SWAP_HEADER_HIBERNATED:
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "a hibernated system is in it, which is of another moment than "
				 "the image");
	case SWAP_HEADER_NONE: break;
	}
	return error_set(error, KIOKU_ERROR_CORRUPT,
			 "it does not begin with the header of a swap area");
}

static enum kioku_status add(struct kioku_kernel *kernel, const char *path,
			     struct kioku_error *error)
{
	CLEANUP(opened_release) struct opened opened = { .descriptor = -1 };
	struct swap_header header;
	struct swap *swap;

	TRY(swap_know(kernel, &swap, error));
	if (!swap->areas_known)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "the kernel's swap areas cannot be read without its symbols and "
				 "types");
	opened.descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (opened.descriptor < 0)
		return error_os(error, "cannot open it");
	opened.file = calloc(1, sizeof(*opened.file));
	opened.path = strdup(path);
	if (!opened.file || !opened.path)
		return error_no_memory(error);
	TRY(image_file_map(opened.file, opened.descriptor, &opened.touched, error));
	opened.file->touched = &opened.touched;
	TRY(image_file_unpack(opened.file, &kernel->diagnostics, error));
	TRY(read_header(&opened, &header, error));
	struct swap_area *area = find_area(swap, &header);
	if (!area)
		return fits_none(swap, &header, error);
	if (opened.file->size / PAGE_SIZE < area->max)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "%s has %llu of the %llu pages of its swap area", path,
			 (unsigned long long)(opened.file->size / PAGE_SIZE),
			 (unsigned long long)area->max);
	area->file = TAKE(opened.file);
	area->path = TAKE(opened.path);
	area->touched = opened.touched;
	area->file->touched = &area->touched;
	area->descriptor = opened.descriptor;
	opened = (struct opened){ .descriptor = -1 };
	return KIOKU_OK;
}

enum kioku_status swap_add_file(struct kioku_kernel *kernel, const char *path,
				struct kioku_error *error)
{
	struct kioku_error inner = { 0 };
	enum kioku_status status = add(kernel, path, &inner);

	return status == KIOKU_OK ? status
				  : error_set(error, status, "%s: %s", path, inner.message);
}

enum kioku_status kioku_kernel_add_swap(struct kioku_kernel *kernel, const char *path,
					struct kioku_error *error)
{
	return swap_add_file(kernel, path, error);
}

/* A count that is too low is better than a read that fails for it. */
static void count(const struct swap_area *area, struct page_set *set, uint64_t offset)
{
	if (set->leaf_count > 0 || page_set_init(set, area->max * PAGE_SIZE))
		page_set_add(set, offset * PAGE_SIZE, PAGE_SIZE);
}

enum kioku_status swap_file_read(struct swap_area *area, uint64_t offset, void *page,
				 struct kioku_error *error)
{
	char text[160];

	if (area->file && image_file_copy(area->file, offset * PAGE_SIZE, page, PAGE_SIZE)) {
		count(area, &area->read, offset);
		return KIOKU_OK;
	}
	count(area, &area->lacking, offset);
	if (area->file)
		return error_set(
			error, KIOKU_ERROR_PAGED_OUT,
			"it is in swap, page %llu of area %u, which its file does not have",
			(unsigned long long)offset, area->type);
	describe(area, text, sizeof(text));
	return error_set(error, KIOKU_ERROR_PAGED_OUT,
			 "it is in swap, page %llu of area %s: no file of it was given (--swap)",
			 (unsigned long long)offset, text);
}

/* What would be said too often of each page by itself. */
static void say_area_use(const struct kioku_kernel *kernel, const struct swap_area *area)
{
	unsigned long long read = area->read.count, lacking = area->lacking.count;
	char text[160];

	describe(area, text, sizeof(text));
	if (lacking > 0 && !area->file)
		diagnose(&kernel->diagnostics, KIOKU_NOTE,
			 "swap area %s: no file of it was given (--swap), and %llu of its pages "
			 "were asked for",
			 text, lacking);
	if (lacking > 0 && area->file)
		diagnose(&kernel->diagnostics, KIOKU_NOTE,
			 "swap area %u: %s does not have %llu of its pages that were asked for",
			 area->type, area->path, lacking);
	if (read > 0)
		diagnose(&kernel->diagnostics, KIOKU_WARNING,
			 "swap area %u: %llu of its pages were read from %s, and may be stale: "
			 "nothing tells whether it was copied at the moment of the image",
			 area->type, read, area->path);
}

void swap_say_use(const struct kioku_kernel *kernel)
{
	for (uint32_t i = 0; kernel->swap && i < kernel->swap->area_count; i++)
		say_area_use(kernel, &kernel->swap->areas[i]);
}

void swap_close(struct swap *swap)
{
	for (uint32_t i = 0; swap && i < swap->area_count; i++) {
		struct swap_area *area = &swap->areas[i];
		struct opened opened = { area->file, area->path, area->touched,
					 area->file ? area->descriptor : -1 };
		opened_release(&opened);
		page_set_release(&area->read);
		page_set_release(&area->lacking);
	}
	free(swap);
}
