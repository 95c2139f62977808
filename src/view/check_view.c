/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* check: what hides, and what was tampered with. */
#include "check/check.h"
#include "view/view.h"

enum {
	COLUMN_SEVERITY,
	COLUMN_CHECK,
	COLUMN_PID,
	COLUMN_SUBJECT,
	COLUMN_FOUND,
	COLUMN_EXPECTED,
	COLUMN_COMPARED,
	COLUMN_CERTAINTY,
	COLUMN_ADDRESS,
	COLUMNS
};

static const struct kioku_column columns[COLUMNS] = {
	[COLUMN_SEVERITY] = { "severity", KIOKU_KIND_TEXT, "finding, or note", 0 },
	[COLUMN_CHECK] = { "check", KIOKU_KIND_TEXT, "which check says so", 0 },
	[COLUMN_PID] = { "pid", KIOKU_KIND_INTEGER, "of the process that it is about", 0 },
	[COLUMN_SUBJECT] = { "subject", KIOKU_KIND_TEXT, "what it is about", 0 },
	[COLUMN_FOUND] = { "found", KIOKU_KIND_TEXT, "what there is", 0 },
	[COLUMN_EXPECTED] = { "expected", KIOKU_KIND_TEXT, "what should be", 0 },
	[COLUMN_COMPARED] = { "compared", KIOKU_KIND_TEXT, "what was compared with what", 1 },
	[COLUMN_CERTAINTY] = { "certainty", KIOKU_KIND_TEXT, "certain, likely or possible", 0 },
	[COLUMN_ADDRESS] = { "address", KIOKU_KIND_ADDRESS, "of what it is about, virtual", 1 },
};

static const char *severity_name(enum check_severity severity)
{
	return severity == CHECK_FINDING ? "finding" : "note";
}

static const char *certainty_name(enum check_certainty certainty)
{
	switch (certainty) {
	case CHECK_CERTAIN: return "certain";
	case CHECK_LIKELY: return "likely";
	case CHECK_POSSIBLE: break;
	}
	return "possible";
}

static enum kioku_status give_result(void *user, const char *check,
				     const struct check_result *result)
{
	struct view_run *run = user;
	const struct kioku_cell none = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	const struct kioku_cell cells[COLUMNS] = {
		[COLUMN_SEVERITY] = cell_string(severity_name(result->severity)),
		[COLUMN_CHECK] = cell_string(check),
		[COLUMN_PID] = result->pid >= 0 ? cell_integer(result->pid) : none,
		[COLUMN_SUBJECT] = cell_string_if_any(result->subject),
		[COLUMN_FOUND] = cell_string(result->found),
		[COLUMN_EXPECTED] = cell_string(result->expected),
		[COLUMN_COMPARED] = cell_string(result->compared),
		[COLUMN_CERTAINTY] = cell_string(certainty_name(result->certainty)),
		[COLUMN_ADDRESS] = result->address ? cell_number(result->address) : none,
	};

	return view_row(run, cells);
}

static enum kioku_status run_checks(struct view_run *run, struct kioku_error *error)
{
	const struct checks_options options = { .glob = run->options.name,
						.kernel_file = run->options.kernel_file };

	return checks_run(run->kernel, &options, give_result, run, error);
}

const struct kioku_view check_view = {
	.name = "check",
	.help = "what hides, and what was tampered with",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_NAME | KIOKU_VIEW_KERNEL_FILE,
	.needs_symbols = true,
	.run = run_checks,
};
