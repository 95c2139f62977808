/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "address/address.h"
#include "view/permissions.h"
#include "view/view.h"

enum { VIRTUAL, PHYSICAL, SIZE, PERMISSIONS, LEVEL, INDEX, ENTRY_PHYSICAL, ENTRY, COUNT };

static const struct kioku_column columns[COUNT] = {
	[VIRTUAL] = { "virtual", KIOKU_KIND_ADDRESS, "the address asked about", 0 },
	[PHYSICAL] = { "physical", KIOKU_KIND_ADDRESS, "where it lies in memory", 0 },
	[SIZE] = { "page_size", KIOKU_KIND_SIZE, "bytes that its page table entry maps", 0 },
	[PERMISSIONS] = { "permissions", KIOKU_KIND_TEXT, PERMISSIONS_HELP, 0 },
	[LEVEL] = { "level", KIOKU_KIND_TEXT, "page table level of the entry", 0 },
	[INDEX] = { "index", KIOKU_KIND_UNSIGNED, "its index in the table, 0 to 511", 0 },
	[ENTRY_PHYSICAL] = { "entry_physical", KIOKU_KIND_ADDRESS, "where the entry lies", 0 },
	[ENTRY] = { "entry", KIOKU_KIND_ADDRESS, "its value", 0 },
};

static enum kioku_status give_step(struct view_run *run, const struct kioku_translation *result,
				   uint32_t index, bool complete)
{
	const struct kioku_translation_step *step = &result->steps[index];
	bool last = complete && index + 1 == result->step_count;
	char permissions[PERMISSIONS_SIZE];
	struct kioku_cell absent = cell_absent(KIOKU_CELL_NOT_APPLICABLE);

	permissions_text(result->permissions, permissions);
	struct kioku_cell cells[COUNT] = {
		[VIRTUAL] = cell_number(run->options.address),
		[PHYSICAL] = last ? cell_number(result->physical) : absent,
		[SIZE] = last ? cell_number(result->page_size) : absent,
		[PERMISSIONS] = last ? cell_text(permissions, strlen(permissions)) : absent,
		[LEVEL] = cell_text(step->level, strlen(step->level)),
		[INDEX] = cell_number(step->index),
		[ENTRY_PHYSICAL] = cell_number(step->entry_physical),
		[ENTRY] = cell_number(step->entry),
	};
	return view_row(run, cells);
}

static enum kioku_status run_translate(struct view_run *run, struct kioku_error *error)
{
	AUTO_ADDRESS_SPACE struct kioku_address_space *owned = NULL;
	struct kioku_address_space *space;
	struct kioku_translation result;
	bool user_only;

	TRY(view_space(run, &space, &owned, &user_only, error));
	enum kioku_status status = kioku_translate(space, run->options.address, &result, error);
	uint32_t first = run->options.steps || result.step_count == 0 ? 0 : result.step_count - 1;
	for (uint32_t i = first; i < result.step_count; i++)
		if (run->options.steps || status == KIOKU_OK)
			TRY(give_step(run, &result, i, status == KIOKU_OK));
	return status;
}

const struct kioku_view translate_view = {
	.name = "translate",
	.help = "the physical address of a virtual one",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_ADDRESS | KIOKU_VIEW_SPACE | KIOKU_VIEW_STEPS,
	.run = run_translate,
};
