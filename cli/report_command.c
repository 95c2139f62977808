/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One HTML page about an image: everything that an investigator reads first, and prints. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "message.h"
#include "report_overview.h"
#include "report_sections.h"
#include "whole_file.h"

/* --- what was said while it was made */

enum { SEVERITY, MESSAGE, COLUMNS };

static const struct kioku_column columns[COLUMNS] = {
	[SEVERITY] = { "severity", KIOKU_KIND_TEXT, "a gap is something that was lost", false },
	[MESSAGE] = { "message", KIOKU_KIND_TEXT, "what was found while the image was read",
		      false },
};

struct hearing {
	struct report_table table;
	uint64_t gaps;
};

static void hear(void *user, enum kioku_severity severity, const char *message)
{
	static const char *const names[] = { "note", "warning", "gap" };
	struct hearing *hearing = user;
	const struct kioku_cell cells[COLUMNS] = {
		[SEVERITY].value.text = { names[severity], strlen(names[severity]) },
		[MESSAGE].value.text = { message, strlen(message) },
	};

	hearing->gaps += severity == KIOKU_GAP;
	report_table_row(&hearing->table, cells, 0);
}

static bool hearing_begin(struct hearing *hearing)
{
	static const size_t selected[COLUMNS] = { SEVERITY, MESSAGE };

	if (!report_table_begin(&hearing->table, columns, selected, COLUMNS))
		return false;
	message_listen(hear, hearing);
	return true;
}

static void hearing_end(struct hearing *hearing)
{
	message_listen(NULL, NULL);
	report_table_release(&hearing->table);
}

/* --- the page */

static void write_contents(FILE *file, const struct sections *sections,
			   const struct report_entry *diagnostics)
{
	struct report_entry entries[SECTION_LIMIT + 2] = { { "overview", "Overview", false, 0 } };
	size_t count = 1;

	for (size_t i = 0; i < sections->count; i++)
		if (sections->texts[i].html)
			entries[count++] = sections->texts[i].entry;
	entries[count++] = *diagnostics;
	report_page_contents(file, entries, count);
}

static bool write_page(FILE *file, const struct session *session, const struct sections *sections,
		       struct hearing *hearing)
{
	const struct report_entry diagnostics = { "diagnostics", "Gaps and diagnostics", true,
						  hearing->table.row_count +
							  hearing->table.left_out };
	const struct report_entry *check = sections_find(sections, "check");
	const char *host = report_fact(session, "hostname");

	report_page_begin(file, host ? host : "unknown host", session->options.arguments[0]);
	write_contents(file, sections, &diagnostics);
	report_overview_write(file, session, check && check->has_count ? &check->count : NULL,
			      hearing->gaps);
	for (size_t i = 0; i < sections->count; i++)
		if (sections->texts[i].html)
			fwrite(sections->texts[i].html, 1, sections->texts[i].size, file);
	report_section_begin(
		file, &diagnostics,
		"What was said while this page was made. A <em>gap</em> is a row, a "
		"branch or a page of memory that was lost: what is there, is not all.");
	if (!report_table_write(&hearing->table, file, diagnostics.name, diagnostics.title))
		return false;
	report_section_end(file);
	report_page_end(file);
	return true;
}

static int make_page(struct session *session, const char *path)
{
	CLEANUP(sections_release) struct sections sections = { 0 };
	CLEANUP(hearing_end) struct hearing hearing = { 0 };
	CLEANUP(whole_file_release) struct whole_file whole = { 0 };

	if (!hearing_begin(&hearing))
		return message_error("out of memory");
	int status = session_open_kernel(session);
	if (status == STATUS_COMPLETE)
		status = sections_make(&sections, session);
	if (status == STATUS_COMPLETE)
		status = whole_file_create(&whole, path);
	if (status != STATUS_COMPLETE)
		return status;
	if (!write_page(whole.file, session, &sections, &hearing))
		return message_error("out of memory");
	return whole_file_finish(&whole);
}

static int run(struct session *session)
{
	const char *path = session->options.output;

	if (!path)
		return message_usage("report: -o is required; see kioku help report");
	if (strcmp(path, "-") == 0 && isatty(STDOUT_FILENO))
		return message_usage("report: a page is nothing for a terminal");
	if (session_is_source(session, path))
		return message_usage("report: \"%s\" is the image itself", path);
	return make_page(session, path);
}

const struct command report_command = {
	.name = "report",
	.help = "one HTML page about an image: findings, processes, timeline, sockets, files",
	.usage = "SOURCE",
	.details = "-o - is stdout. The page needs nothing else, and no network.",
	.options = OPTION_HELP | OPTION_OUTPUT | OPTIONS_KERNEL,
	.run = run,
};
