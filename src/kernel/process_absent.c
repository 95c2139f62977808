/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pages of a process that its page tables do not map, but say something of. */
#include "kernel/memory_map.h"
#include "kernel/page_cache.h"
#include "kernel/swap.h"

struct process_absent {
	struct absent_pages pages; /* first: read and release get a pointer to it */
	struct kioku_kernel *kernel;
	struct memory_map map;
	int32_t pid;
	struct vma_list list; /* empty until a page is asked for that no entry says anything of */
	bool is_listed;
	uint64_t file; /* the struct file whose pages were asked for last, and these; 0: none */
	struct page_cache cache;
};

static enum kioku_status open_cache(struct process_absent *absent, uint64_t file,
				    struct kioku_error *error)
{
	struct kioku_kernel *kernel = absent->kernel;
	struct inode inode;
	struct file details;

	if (absent->file == file)
		return KIOKU_OK;
	absent->file = 0;
	TRY(file_read(kernel, file, &details));
	TRY(inode_read(kernel, details.inode, &inode));
	TRY(page_cache_open(kernel, &inode, &absent->cache, error));
	absent->file = file;
	return KIOKU_OK;
}

/*
 * A page that the process has not touched yet: of a file it is what the kernel has of that, for private
 * mappings, too, as these have pages of their own only once they were written to.
 */
static enum kioku_status read_untouched(struct process_absent *absent, uint64_t page, uint8_t *out,
					struct kioku_error *error)
{
	if (!absent->is_listed)
		TRY(memory_map_list(absent->kernel, &absent->map, absent->pid, &absent->list,
				    error));
	absent->is_listed = true;
	const struct vma *vma = vma_list_find(&absent->list, page);
	if (!vma || !vma->file)
		return error_at(error, KIOKU_ERROR_UNMAPPED, page, "0x%llx is not mapped",
				(unsigned long long)page);
	enum kioku_status status = open_cache(absent, vma->file, error);
	if (status != KIOKU_OK)
		return error_at(error, status, page, "the file at 0x%llx cannot be read",
				(unsigned long long)page);
	return page_cache_read_page(absent->kernel, &absent->cache,
				    vma->page_offset + (page - vma->start) / PAGE_SIZE, out, error);
}

static enum kioku_status read_page(struct absent_pages *absent, uint64_t page, uint64_t virtual,
				   uint64_t size, uint64_t entry, uint8_t *out,
				   struct kioku_error *error)
{
	struct kioku_kernel *kernel = ((struct process_absent *)absent)->kernel;
	unsigned long long address = page;
	struct swap_slot slot;
	uint64_t physical;

	switch (swap_decode(kernel, entry, &slot, &physical)) {
	case SWAP_ENTRY_SLOT:
		/* A huge page that is swapped out as one has 512 entries: there is none for all of it. */
		if (size == PAGE_SIZE)
			return swap_read(kernel, slot, out, NULL, error);
		break;
	case SWAP_ENTRY_MIGRATION:
		return kioku_source_read(kernel->source, physical + (page - virtual), out,
					 PAGE_SIZE, error);
	case SWAP_ENTRY_POISON:
		return error_at(error, KIOKU_ERROR_ABSENT, page,
				"the page at 0x%llx was lost with broken memory", address);
	case SWAP_ENTRY_DEVICE:
		return error_at(error, KIOKU_ERROR_ABSENT, page,
				"the page at 0x%llx is in the memory of a device", address);
	case SWAP_ENTRY_NONE:
		return read_untouched((struct process_absent *)absent, page, out, error);
	case SWAP_ENTRY_MARKER:
		return error_at(error, KIOKU_ERROR_UNMAPPED, page, "0x%llx is not mapped", address);
	case SWAP_ENTRY_UNKNOWN: break;
	}
	return error_at(
		error, KIOKU_ERROR_PAGED_OUT, page,
		"the page at 0x%llx is not there, and its entry 0x%llx says nothing that is "
		"understood",
		address, (unsigned long long)entry);
}

static void release(struct absent_pages *pages)
{
	struct process_absent *absent = (struct process_absent *)pages;

	vma_list_release(&absent->list);
	free(absent);
}

enum kioku_status process_absent_open(struct kioku_kernel *kernel, const struct memory_map *map,
				      int32_t pid, struct absent_pages **out,
				      struct kioku_error *error)
{
	struct process_absent *absent = malloc(sizeof(*absent));

	if (!absent)
		return error_no_memory(error);
	*absent = (struct process_absent){
		.pages = { read_page, release }, .kernel = kernel, .map = *map, .pid = pid
	};
	*out = &absent->pages;
	return KIOKU_OK;
}
