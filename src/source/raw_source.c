/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Headerless images. Nothing says which physical address a byte had: the caller does, or it is the
 * byte's offset in the file, or, in a hypervisor's memory file, what lies above the hole that PCI
 * devices occupy below 4 GiB follows right after what lies below it.
 */
#include <stdlib.h>

#include "base/error.h"
#include "source/driver.h"

#define FOUR_GIB (1ull << 32)
#define PAGE     4096u

/* Raw images have no mark, so that they are what is left when nobody else is sure. */
static enum probe_verdict probe(struct bytes head, uint64_t file_size)
{
	return PROBE_MAYBE;
}

static int compare_starts(const void *left, const void *right)
{
	const struct kioku_placement *a = left, *b = right;

	return (a->start > b->start) - (a->start < b->start);
}

static enum kioku_status check_placement(const struct kioku_placement *placement,
					 const struct kioku_placement *before, uint64_t file_size,
					 struct kioku_error *error)
{
	const char *problem = NULL;

	if (placement->size == 0)
		problem = "it is empty";
	else if (placement->size > UINT64_MAX - placement->start)
		problem = "it passes the end of the address space";
	else if (placement->file_offset > file_size ||
		 placement->size > file_size - placement->file_offset)
		problem = "it lies outside the file";
	else if (before && placement->start - before->start < before->size)
		problem = "it overlaps another one";
	if (!problem)
		return KIOKU_OK;
	return error_set(
		error, KIOKU_ERROR_ARGUMENT,
		"placement of 0x%llx bytes at physical address 0x%llx, file offset 0x%llx: "
		"%s",
		(unsigned long long)placement->size, (unsigned long long)placement->start,
		(unsigned long long)placement->file_offset, problem);
}

/* The caller's placements, checked in ascending order so that overlaps are between neighbours. */
static enum kioku_status add_given(struct kioku_source *source,
				   const struct kioku_source_options *options,
				   struct kioku_error *error)
{
	size_t count = options->placement_count;
	CLEANUP(range_map_release) struct range_map map = { 0 };
	AUTO_FREE struct kioku_placement *sorted = calloc(count, sizeof(*sorted));

	if (!sorted)
		return error_no_memory(error);
	memcpy(sorted, options->placements, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), compare_starts);
	for (size_t i = 0; i < count; i++) {
		TRY(check_placement(&sorted[i], i ? &sorted[i - 1] : NULL, source->file.size,
				    error));
		if (!source_add_extent(source, &map, sorted[i].start, sorted[i].size,
				       sorted[i].file_offset))
			return error_no_memory(error);
	}
	return source_add_layout(source, &map, error);
}

/* A guess: memory goes on at 4 GiB where a hole begins. */
static enum kioku_status add_guess(struct kioku_source *source, uint64_t hole,
				   struct kioku_error *error)
{
	uint64_t size = source->file.size, low = size < hole ? size : hole;
	CLEANUP(range_map_release) struct range_map map = { 0 };

	if (!source_add_extent(source, &map, 0, low, 0) ||
	    !source_add_extent(source, &map, FOUR_GIB, size - low, low))
		return error_no_memory(error);
	return source_add_layout(source, &map, error);
}

static enum kioku_status open_raw(struct kioku_source *source,
				  const struct kioku_source_options *options,
				  struct kioku_error *error)
{
	/*
	 * Where QEMU ends low memory: hw/i386/pc_q35.c; hw/i386/pc_piix.c and microvm.c, as
	 * Firecracker and Cloud Hypervisor do; pc_piix.c for sizes that are not whole GiB; and what
	 * people say to max-ram-below-4g.
	 */
	static const uint64_t holes[] = { 0x80000000, 0xc0000000, 0xe0000000, 0x40000000 };

	if (options->placement_count > 0)
		return add_given(source, options, error);
	source->may_rearrange = true;
	TRY(add_guess(source, UINT64_MAX, error));
	for (size_t i = 0; i < sizeof(holes) / sizeof(*holes); i++)
		if (source->file.size > holes[0] && source->file.size > holes[i])
			TRY(add_guess(source, holes[i], error));
	return KIOKU_OK;
}

/* Any hole there is: how much of the file lies above 4 GiB tells where it began. */
static bool arrange(struct kioku_source *source, uint64_t end)
{
	uint64_t above = end > FOUR_GIB ? end - FOUR_GIB : 0;
	uint64_t hole = source->file.size - above;

	return above > 0 && above < source->file.size && hole < FOUR_GIB && hole % PAGE == 0 &&
	       add_guess(source, hole, NULL) == KIOKU_OK;
}

const struct source_driver raw_source = {
	.name = "raw",
	.alias = "padded",
	.help = "raw image",
	.probe = probe,
	.open = open_raw,
	.arrange = arrange,
};
