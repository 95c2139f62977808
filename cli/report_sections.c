/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "message.h"
#include "output.h"
#include "report_html.h"
#include "report_overview.h"
#include "report_sections.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A view, as a section of the page, as events of the timeline, or both. */
struct plan {
	const char *view;  /* NULL: the timeline, which all others feed */
	const char *title; /* NULL: it has no section of its own */
	const char *intro;
	const char *columns; /* in this order; NULL: those that the view shows by default */
	const char *fstype;
	const char *event; /* what a row says has happened; NULL: nothing has */
	const char *time, *pid, *subject, *detail; /* columns of the event */
};

/* In the order in which they are read. */
static const struct plan plans[] = {
	{ .view = "check",
	  .title = "Findings",
	  .intro = "What hides, and what was tampered with. A <em>finding</em> is what no clean "
		   "machine "
		   "has; a <em>note</em> is worth a look.",
	  .columns = "severity,check,pid,subject,found,expected,compared,certainty,address" },
	{ .view = "pstree",
	  .title = "Processes",
	  .intro = "Each below the one that started it.",
	  .columns = "comm,pid,ppid,uid,threads,state,start_time,task" },
	{ .view = "ps",
	  .event = "process started",
	  .time = "start_time",
	  .pid = "pid",
	  .subject = "comm" },
	{ .view = "args",
	  .title = "Command lines",
	  .intro = "What processes were started with; they can change it themselves." },
	{ .title = "Timeline",
	  .intro = "Boot, starts of processes that were still known, files in tmpfs, commands "
		   "typed, "
		   "and the kernel's log. What has no time stands at the end." },
	{ .view = "sockets",
	  .title = "Sockets",
	  .intro = "Of all network namespaces, with the processes that have them open." },
	{ .view = "interfaces", .title = "Network interfaces" },
	{ .view = "files",
	  .title = "Files in tmpfs",
	  .intro = "They are in memory only. A <em>deleted</em> file is still open or mapped.",
	  .columns = "path,type,mode,uid,gid,size,modified,changed,accessed,deleted,inode,target,"
		     "mount",
	  .fstype = "tmpfs",
	  .event = "file modified",
	  .time = "modified",
	  .subject = "type",
	  .detail = "path" },
	{ .view = "modules",
	  .title = "Kernel modules",
	  .columns = "name,base,size,references,users,state,taints,version,srcversion" },
	{ .view = "mounts", .title = "Mounts" },
	{ .view = "history",
	  .event = "command typed",
	  .time = "time",
	  .pid = "pid",
	  .subject = "comm",
	  .detail = "command" },
	{ .view = "dmesg",
	  .event = "kernel message",
	  .time = "time",
	  .subject = "level",
	  .detail = "text" },
};

/* --- one view */

struct making {
	const struct plan *plan;
	struct report_table table;
	struct timeline *timeline;
	struct timeline_columns event_columns;
	struct kioku_column *columns; /* all that the view has */
	size_t selected[64];
	size_t selected_count;
	int depth; /* the column that makes a tree; -1: none */
};

static void cleanup_making(struct making *making)
{
	report_table_release(&making->table);
	free(making->columns);
}

static enum kioku_status take_row(void *user, const struct kioku_cell *cells, size_t count)
{
	struct making *making = user;
	const struct plan *plan = making->plan;

	if (plan->event)
		timeline_add(making->timeline, plan->event, &making->event_columns, cells);
	const struct kioku_cell *depth = making->depth >= 0 ? &cells[making->depth] : NULL;
	if (plan->title)
		report_table_row(
			&making->table, cells,
			depth && depth->presence == KIOKU_CELL_PRESENT ? depth->value.number : 0);
	return making->timeline->is_out_of_memory ? KIOKU_ERROR_NO_MEMORY : KIOKU_OK;
}

static void select_column(struct making *making, size_t column)
{
	if (making->selected_count < COUNT(making->selected))
		making->selected[making->selected_count++] = column;
}

/* Columns that this build does not have are left out. mark: see output_mark_column(). False: no memory. */
static bool select_columns(struct making *making, const struct kioku_view *view, int mark)
{
	size_t count;
	const char *list = making->plan->columns;
	AUTO_FREE char *copy = list ? strdup(list) : NULL;
	char *rest = copy;

	making->columns = output_columns(view, &count);
	if (!making->columns || (list && !copy))
		return false;
	for (size_t i = 0; !list && i < count; i++)
		if (!making->columns[i].optional)
			select_column(making, i);
	for (char *name; (name = strsep(&rest, ","));) {
		int column = output_find_column(view, name);
		if (column >= 0)
			select_column(making, (size_t)column);
	}
	if (mark >= 0)
		select_column(making, (size_t)mark);
	making->depth = kioku_view_option_mask(view) & KIOKU_VIEW_TREE
				? output_find_column(view, "depth")
				: -1;
	return true;
}

/* The view's rows go to the table and the timeline; *problem says why they end early, or is "". */
static int run_view(struct making *making, struct session *session, const struct kioku_view *view,
		    struct kioku_error *problem)
{
	const struct kioku_view_options options = {
		.size = sizeof(options),
		.fstype = making->plan->fstype,
	};
	int mark = output_mark_column(view, session->kernel);

	if (!select_columns(making, view, mark) ||
	    !report_table_begin(&making->table, making->columns, making->selected,
				making->selected_count))
		return message_error("out of memory");
	making->table.is_tree = making->depth >= 0;
	making->event_columns = timeline_columns(view, making->plan->time, making->plan->pid,
						 making->plan->subject, making->plan->detail);
	making->event_columns.basis = mark;
	enum kioku_status status =
		kioku_view_run(view, session->kernel, &options, take_row, making, problem);
	if (status == KIOKU_ERROR_NO_MEMORY)
		return message_error("out of memory");
	if (status == KIOKU_OK)
		problem->message[0] = '\0';
	else
		message_finding(KIOKU_GAP, "%s: %s", making->plan->view, problem->message);
	return STATUS_COMPLETE;
}

/* problem: why rows are missing, or "". False: out of memory. */
static bool write_section(struct section_text *text, struct report_table *table, const char *intro,
			  const char *problem)
{
	FILE *file = open_memstream(&text->html, &text->size);
	bool is_done = true;

	if (!file)
		return false;
	text->entry.has_count = problem[0] == '\0' || table->row_count > 0;
	text->entry.count = table->row_count + table->left_out;
	report_section_begin(file, &text->entry, intro);
	if (problem[0]) {
		fputs("<p class=\"gap\">Not all is here: ", file);
		html_string(file, problem);
		fputs("</p>\n", file);
	}
	if (text->entry.has_count)
		is_done = report_table_write(table, file, text->entry.name, text->entry.title);
	report_section_end(file);
	if (table->left_out > 0)
		message_finding(KIOKU_GAP, "%s: %" PRIu64 " rows are not in the report",
				text->entry.name, table->left_out);
	return fclose(file) == 0 && is_done;
}

static int make_section(struct section_text *text, const struct plan *plan, struct session *session,
			struct timeline *timeline)
{
	const struct kioku_view *view = kioku_view_find(plan->view);
	struct kioku_error problem = { .message = "this kioku has no such view" };
	CLEANUP(cleanup_making) struct making making = { .plan = plan, .timeline = timeline };

	int status = view ? run_view(&making, session, view, &problem) : STATUS_COMPLETE;
	if (status != STATUS_COMPLETE || !plan->title)
		return status;
	text->entry = (struct report_entry){ .name = plan->view, .title = plan->title };
	if (!write_section(text, &making.table, plan->intro, problem.message))
		return message_error("out of memory");
	return STATUS_COMPLETE;
}

/* --- all of them */

static int make_timeline(struct section_text *text, const struct plan *plan,
			 struct session *session, struct timeline *timeline)
{
	CLEANUP(cleanup_making) struct making making = { .plan = plan };

	timeline_add_fact(timeline, "kernel booted", report_fact(session, "boot_time"));
	timeline_add_fact(timeline, "image taken", report_fact(session, "wall_time"));
	text->entry = (struct report_entry){ .name = "timeline", .title = plan->title };
	if (!timeline_fill(timeline, &making.table) ||
	    !write_section(text, &making.table, plan->intro, ""))
		return message_error("out of memory");
	return STATUS_COMPLETE;
}

int sections_make(struct sections *sections, struct session *session)
{
	_Static_assert(COUNT(plans) <= SECTION_LIMIT, "there is room for all");
	CLEANUP(timeline_release)
	struct timeline timeline = { .basis = output_mark_name(session->kernel) };
	int status = STATUS_COMPLETE;

	sections->count = COUNT(plans);
	for (size_t i = 0; i < COUNT(plans) && status == STATUS_COMPLETE; i++)
		if (plans[i].view)
			status = make_section(&sections->texts[i], &plans[i], session, &timeline);
	for (size_t i = 0; i < COUNT(plans) && status == STATUS_COMPLETE; i++)
		if (!plans[i].view)
			status = make_timeline(&sections->texts[i], &plans[i], session, &timeline);
	return status;
}

const struct report_entry *sections_find(const struct sections *sections, const char *name)
{
	for (size_t i = 0; i < sections->count; i++) {
		const struct report_entry *entry = &sections->texts[i].entry;
		if (entry->name && strcmp(entry->name, name) == 0)
			return entry;
	}
	return NULL;
}

void sections_release(struct sections *sections)
{
	for (size_t i = 0; i < sections->count; i++)
		free(sections->texts[i].html);
}
