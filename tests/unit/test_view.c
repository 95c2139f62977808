/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What rows rest on: a view of the test's own, which reads a structure between its first row and its second. */
#include "test_kernel.h"
#include "view/view.h"

#define ROWS 2

struct thing {
	uint32_t value;
};
static const struct member members[] = { MEMBER(struct thing, value, "value") };
static const struct record record = RECORD(struct thing, "thing", members);

static enum kioku_status run_view(struct view_run *run, struct kioku_error *error)
{
	struct kioku_cell cells[2] = { cell_number(1), cell_absent(KIOKU_CELL_NOT_APPLICABLE) };
	struct thing thing;

	TRY(view_row(run, cells));
	TRY(record_read_at(run->kernel, &record, MADE_BASE + 0x1000, &thing));
	cells[0] = cell_number(thing.value);
	return view_row(run, cells);
}

static const struct kioku_column columns[] = {
	{ "value", KIOKU_KIND_UNSIGNED, "a number", false },
	{ "other", KIOKU_KIND_UNSIGNED, "nothing", false },
};
static const struct kioku_view view = {
	.name = "things", .help = "things", VIEW_COLUMNS(columns), .run = run_view
};

struct seen {
	size_t count;
	char bases[ROWS][16]; /* "" where it does not apply */
	enum kioku_presence others[ROWS];
};

static enum kioku_status see(void *user, const struct kioku_cell *cells, size_t count)
{
	struct seen *seen = user;

	CHECK(count == 3 && seen->count < ROWS);
	seen->others[seen->count] = cells[1].presence;
	if (cells[2].presence == KIOKU_CELL_PRESENT)
		memcpy(seen->bases[seen->count], cells[2].value.text.data,
		       cells[2].value.text.size);
	seen->count++;
	return KIOKU_OK;
}

static struct seen run(struct made *made, const struct kioku_view_options *options)
{
	struct seen seen = { 0 };

	CHECK_EQUAL(kioku_view_run(&view, &made->kernel, options, see, &seen, NULL), KIOKU_OK);
	CHECK_EQUAL(seen.count, ROWS);
	return seen;
}

static void open(struct made *made)
{
	made_open(made, "struct thing 8 value u32@4\n");
	made_put(made, MADE_BASE + 0x1004, 4, 7);
}

static void every_view_has_it_last(void)
{
	for (const struct kioku_view *const *at = kioku_views(); *at; at++) {
		size_t count = kioku_view_column_count(*at);
		CHECK(count >= 2 && count <= 64);
		CHECK(strcmp(kioku_view_column(*at, count - 1)->name, "basis") == 0);
		CHECK(kioku_view_column(*at, count - 1)->optional &&
		      !kioku_view_column(*at, count));
		for (size_t i = 0; i + 1 < count; i++)
			CHECK(strcmp(kioku_view_column(*at, i)->name, "basis") != 0);
	}
}

static void types(void)
{
	struct made made;

	open(&made);
	/* Each run begins anew. */
	for (unsigned i = 0; i < 2; i++) {
		struct seen seen = run(&made, NULL);
		CHECK(strcmp(seen.bases[0], "") == 0 && strcmp(seen.bases[1], "types") == 0);
		CHECK_EQUAL(seen.others[1], KIOKU_CELL_NOT_APPLICABLE);
	}
	CHECK_EQUAL(kioku_kernel_basis(&made.kernel), KIOKU_BASIS_TYPES);
	made_close(&made);
}

/* What was found by inferred types cannot say that something does not apply; what was found without can. */
static void inferred(void)
{
	struct made made;

	open(&made);
	made.kernel.types_are_inferred = true;
	struct seen seen = run(&made, NULL);
	CHECK(strcmp(seen.bases[0], "") == 0 && strcmp(seen.bases[1], "inferred") == 0);
	CHECK_EQUAL(seen.others[0], KIOKU_CELL_NOT_APPLICABLE);
	CHECK_EQUAL(seen.others[1], KIOKU_CELL_UNSUPPORTED);
	/* An address space that came from outside was found by them. */
	struct kioku_address_space space = made.kernel.space;
	const struct kioku_view_options options = { .size = sizeof(options), .space = &space };
	seen = run(&made, &options);
	CHECK(strcmp(seen.bases[0], "inferred") == 0);
	made_close(&made);
}

/* Symbols may be what is forced, and everything rests on them. */
static void forced(void)
{
	struct made made;

	open(&made);
	made.kernel.forced = "a file is used although it does not fit";
	made.kernel.types_are_inferred = true;
	struct seen seen = run(&made, NULL);
	CHECK(strcmp(seen.bases[0], "forced") == 0 && strcmp(seen.bases[1], "forced") == 0);
	CHECK_EQUAL(seen.others[0], KIOKU_CELL_NOT_APPLICABLE);
	CHECK_EQUAL(seen.others[1], KIOKU_CELL_UNSUPPORTED);
	made_close(&made);
}

TAP_MAIN(TEST(every_view_has_it_last), TEST(types), TEST(inferred), TEST(forced))
