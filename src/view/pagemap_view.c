/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "address/address.h"
#include "view/permissions.h"
#include "view/view.h"

static const struct kioku_column columns[] = {
	{ "start", KIOKU_KIND_ADDRESS, "virtual address of the first byte", 0 },
	{ "end", KIOKU_KIND_ADDRESS, "virtual address after the last byte", 0 },
	{ "size", KIOKU_KIND_SIZE, "bytes", 0 },
	{ "page_size", KIOKU_KIND_SIZE, "bytes of each page: 4 KiB, 2 MiB or 1 GiB", 0 },
	{ "permissions", KIOKU_KIND_TEXT, PERMISSIONS_HELP, 0 },
	{ "physical", KIOKU_KIND_ADDRESS, "of the first page; the others lie anywhere", 1 },
};

struct merge {
	struct view_run *run;
	struct mapping range; /* size 0: none yet */
};

static enum kioku_status give_range(struct merge *merge)
{
	const struct mapping *range = &merge->range;
	char permissions[PERMISSIONS_SIZE];

	if (range->size == 0)
		return KIOKU_OK;
	permissions_text(range->permissions, permissions);
	uint64_t end = range->virtual + range->size;
	struct kioku_cell cells[] = {
		cell_number(range->virtual),
		/* The end of the last page of all does not fit in 64 bits. */
		cell_number(end ? end : UINT64_MAX),
		cell_number(range->size),
		cell_number(range->page_size),
		cell_text(permissions, strlen(permissions)),
		cell_number(range->physical),
	};
	return view_row(merge->run, cells);
}

static enum kioku_status add_mapping(void *user, const struct mapping *mapping)
{
	struct merge *merge = user;
	struct mapping *range = &merge->range;

	if (range->size && range->virtual + range->size == mapping->virtual &&
	    range->page_size == mapping->page_size && range->permissions == mapping->permissions) {
		range->size += mapping->size;
		return KIOKU_OK;
	}
	TRY(give_range(merge));
	*range = *mapping;
	return KIOKU_OK;
}

static enum kioku_status run_pagemap(struct view_run *run, struct kioku_error *error)
{
	AUTO_ADDRESS_SPACE struct kioku_address_space *owned = NULL;
	struct kioku_address_space *space;
	struct merge merge = { .run = run };
	struct address_walk walk = { .last = UINT64_MAX, .receive = add_mapping, .user = &merge };
	const struct walk_losses *losses = &walk.losses;
	bool user_only;

	TRY(view_space(run, &space, &owned, &user_only, error));
	if (user_only)
		walk.last = INT64_MAX;
	enum kioku_status status = address_space_walk(space, &walk);
	TRY(give_range(&merge));
	if (losses->tables)
		diagnose(&run->kernel->diagnostics, KIOKU_GAP,
			 "pagemap: %llu page tables are not in the image, the first of them for "
			 "0x%016llx",
			 (unsigned long long)losses->tables, (unsigned long long)losses->first);
	if (losses->repeated)
		diagnose(&run->kernel->diagnostics, KIOKU_GAP,
			 "pagemap: page tables that point at each other, or are shared as KASAN "
			 "does, "
			 "were left out %llu times",
			 (unsigned long long)losses->repeated);
	return status;
}

const struct kioku_view pagemap_view = {
	.name = "pagemap",
	.help = "every mapped range of an address space",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_SPACE,
	.run = run_pagemap,
};
