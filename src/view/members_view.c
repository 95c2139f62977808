/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* members: where what views read lies in this kernel's structures, and how that is known. */
#include <string.h>

#include "kernel/member_evidence.h"
#include "view/view.h"

enum { COLUMN_TYPE, COLUMN_MEMBER, COLUMN_OFFSET, COLUMN_SIZE, COLUMN_EVIDENCE, COLUMNS };

static const struct kioku_column columns[COLUMNS] = {
	[COLUMN_TYPE] = { "type", KIOKU_KIND_TEXT, "the struct", 0 },
	[COLUMN_MEMBER] = { "member", KIOKU_KIND_TEXT, "its path in the struct", 0 },
	[COLUMN_OFFSET] = { "offset", KIOKU_KIND_INTEGER, "bytes from the start of the struct", 0 },
	[COLUMN_SIZE] = { "size", KIOKU_KIND_INTEGER, "bytes", 0 },
	[COLUMN_EVIDENCE] = { "evidence", KIOKU_KIND_TEXT, "what says so", 0 },
};

/* The name that this kernel has for a member, and where it is; the newest if it has none. */
static const char *find(const struct kioku_types *types, const struct record *record,
			const struct member *member, struct type_place *place)
{
	for (size_t i = 0; i < MEMBER_NAMES && member->names[i]; i++)
		if (types_find_place(types, record->type, member->names[i], place))
			return member->names[i];
	*place = (struct type_place){ 0 };
	return member->names[0];
}

static enum kioku_status give(struct view_run *run, const struct record *record,
			      const struct member *member)
{
	struct kioku_kernel *kernel = run->kernel;
	struct kioku_cell cells[COLUMNS];
	struct type_place place;
	const char *name = find(kernel->types, record, member, &place);
	const char *source = kernel->types_evidence;
	struct bytes evidence = { (const uint8_t *)source, strlen(source) };

	/* What a kernel that describes itself does not have is not missing. */
	if (place.size == 0 && !kernel->types_are_inferred)
		return KIOKU_OK;
	if (kernel->types_are_inferred)
		evidence = member_evidence_find(kernel->member_evidence, record->type, name);
	cells[COLUMN_TYPE] = cell_string(record->type);
	cells[COLUMN_MEMBER] = cell_string(name);
	cells[COLUMN_OFFSET] = place.size ? cell_integer((int64_t)place.offset)
					  : cell_absent(KIOKU_CELL_UNSUPPORTED);
	cells[COLUMN_SIZE] = place.size ? cell_integer((int64_t)place.size)
					: cell_absent(KIOKU_CELL_UNSUPPORTED);
	cells[COLUMN_EVIDENCE] = evidence.data
					 ? cell_text((const char *)evidence.data, evidence.size)
					 : cell_absent(KIOKU_CELL_UNSUPPORTED);
	return view_row(run, cells);
}

/* Whether a member of a view's record was there already, as one of the same struct. */
static bool is_known(const struct kioku_view *const *view, const struct record *const *record,
		     const struct member *member)
{
	for (const struct kioku_view *const *at = kioku_views(); at <= view; at++) {
		for (const struct record *const *seen = (*at)->records; seen && *seen; seen++) {
			if (at == view && seen == record)
				return false;
			if (strcmp((*seen)->type, (*record)->type) != 0)
				continue;
			for (size_t i = 0; i < (*seen)->count; i++)
				if (strcmp((*seen)->members[i].names[0], member->names[0]) == 0)
					return true;
		}
	}
	return false;
}

static enum kioku_status run_members(struct view_run *run, struct kioku_error *error)
{
	const struct kioku_view *const *view = kioku_views();

	if (!run->kernel->types)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "this image has no type information (BTF)");
	run->kernel->was_read = true; /* not it, but by what it would be */
	for (; *view; view++) {
		const struct record *const *record = (*view)->records;
		for (; record && *record; record++)
			for (size_t i = 0; i < (*record)->count; i++)
				if (!is_known(view, record, &(*record)->members[i]))
					TRY(give(run, *record, &(*record)->members[i]));
	}
	return KIOKU_OK;
}

const struct kioku_view members_view = {
	.name = "members",
	.help = "where the structures' members are that views need, and how that is known",
	VIEW_COLUMNS(columns),
	.run = run_members,
};
