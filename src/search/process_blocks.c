/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "search/process_blocks.h"

#include <stdlib.h>

#include "base/growing.h"
#include "kernel/swap.h"
#include "source/source.h"

#define RUN_LIMIT   (1u << 22)
#define LEAST_BYTES (UINT64_C(1) << 30)

enum {
	VMA_PFNMAP = 0x400, /* VM_PFNMAP, include/linux/mm.h: frames that are nobody's pages */
	VMA_IO = 0x4000,    /* VM_IO */
};

struct collecting {
	struct process_blocks *blocks;
	const struct vma *vma;
};

static enum kioku_status add(struct collecting *collecting, uint64_t start, uint64_t size)
{
	struct process_blocks *blocks = collecting->blocks;
	const struct vma *vma = collecting->vma;
	uint64_t end = start + size < vma->end ? start + size : vma->end;
	struct block_run *last = blocks->count ? &blocks->runs[blocks->count - 1] : NULL;

	start = start > vma->start ? start : vma->start;
	if (start >= end)
		return KIOKU_OK;
	if (end - start > blocks->limit - blocks->bytes || blocks->count == RUN_LIMIT)
		return KIOKU_ERROR_LIMIT;
	blocks->bytes += end - start;
	if (last && last->end == start && start != vma->start) {
		last->end = end;
		return KIOKU_OK;
	}
	if (!GROW(blocks->runs, blocks->count, blocks->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	blocks->runs[blocks->count++] = (struct block_run){ start, end };
	return KIOKU_OK;
}

static enum kioku_status add_mapped(void *user, const struct mapping *mapping)
{
	return add(user, mapping->virtual, mapping->size);
}

static enum kioku_status add_absent(void *user, uint64_t virtual, uint64_t size, uint64_t entry)
{
	struct collecting *collecting = user;

	switch (swap_decode(collecting->blocks->kernel, entry, NULL, NULL)) {
	case SWAP_ENTRY_NONE:
	case SWAP_ENTRY_MARKER: return KIOKU_OK;
	default: return add(collecting, virtual, size);
	}
}

static enum kioku_status add_vma(void *user, const struct vma *vma)
{
	struct process_blocks *blocks = user;
	struct collecting collecting = { blocks, vma };
	struct address_walk walk = { .first = vma->start,
				     .last = vma->end - 1,
				     .receive = add_mapped,
				     .absent = add_absent,
				     .user = &collecting };

	if (vma->flags & (VMA_IO | VMA_PFNMAP))
		return KIOKU_OK;
	enum kioku_status status = address_space_walk(blocks->space, &walk);
	if (walk.losses.tables || walk.losses.repeated)
		diagnose(&blocks->kernel->diagnostics, KIOKU_GAP,
			 "process %d: page tables of 0x%llx are lost", blocks->pid,
			 (unsigned long long)vma->start);
	return status;
}

enum kioku_status process_blocks_open(struct kioku_kernel *kernel, const struct task *task,
				      struct process_blocks *out, struct kioku_error *error)
{
	struct memory_map map;
	/* Pages may be mapped several times, and swapped out; no process sees more than that. */
	uint64_t limit = 4 * source_end(kernel->source);

	*out = (struct process_blocks){ .kernel = kernel,
					.pid = task->tgid,
					.limit = limit > LEAST_BYTES ? limit : LEAST_BYTES };
	TRY(memory_map_read(kernel, task->mm, &map, error));
	TRY(memory_map_open_space(kernel, &map, task->tgid, &out->space, error));
	enum kioku_status status = memory_map_each(kernel, &map, task->tgid, add_vma, out, error);
	if (status != KIOKU_ERROR_LIMIT)
		return status;
	diagnose(&kernel->diagnostics, KIOKU_GAP,
		 "process %d: it maps more than can be, and is left out from there on", task->tgid);
	return KIOKU_OK;
}

size_t process_blocks_read(struct process_blocks *blocks, uint64_t virtual, size_t size,
			   uint8_t *buffer)
{
	size_t done = 0;

	if (kioku_address_space_read(blocks->space, virtual, buffer, size, NULL) == KIOKU_OK)
		return size;
	while (done < size) {
		size_t step = PAGE_SIZE - (virtual + done) % PAGE_SIZE;
		step = step < size - done ? step : size - done;
		if (kioku_address_space_read(blocks->space, virtual + done, buffer + done, step,
					     NULL) != KIOKU_OK)
			break;
		done += step;
	}
	blocks->lost_pages += done == 0;
	return done;
}

void process_blocks_close(struct process_blocks *blocks)
{
	if (blocks->lost_pages)
		diagnose(&blocks->kernel->diagnostics, KIOKU_GAP,
			 "process %d: %llu of its pages cannot be had", blocks->pid,
			 (unsigned long long)blocks->lost_pages);
	kioku_address_space_close(blocks->space);
	free(blocks->runs);
	*blocks = (struct process_blocks){ 0 };
}
