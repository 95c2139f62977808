/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pages of a process that its page tables do not map, but say something of. */
#include "kernel/memory_map.h"
#include "kernel/swap.h"

struct process_absent {
	struct absent_pages pages; /* first: read and release get a pointer to it */
	struct kioku_kernel *kernel;
};

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

static void release(struct absent_pages *absent)
{
	free(absent);
}

enum kioku_status process_absent_open(struct kioku_kernel *kernel, struct absent_pages **out,
				      struct kioku_error *error)
{
	struct process_absent *absent = malloc(sizeof(*absent));

	if (!absent)
		return error_no_memory(error);
	*absent = (struct process_absent){ { read_page, release }, kernel };
	*out = &absent->pages;
	return KIOKU_OK;
}
