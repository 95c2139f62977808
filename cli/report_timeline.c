/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "output.h"
#include "report_timeline.h"

enum { EVENT_LIMIT = 200000, SIZE_LIMIT = 64 << 20, TEXT_LIMIT = 2048 };

enum { TIME, EVENT, PID, SUBJECT, DETAIL, BASIS, COLUMNS };

static const struct kioku_column columns[COLUMNS] = {
	[TIME] = { "time", KIOKU_KIND_TIME, "UTC", false },
	[EVENT] = { "event", KIOKU_KIND_TEXT, "what happened", false },
	[PID] = { "pid", KIOKU_KIND_INTEGER, "of the process that it is about", false },
	[SUBJECT] = { "subject", KIOKU_KIND_TEXT, "the name of the process, or the level", false },
	[DETAIL] = { "detail", KIOKU_KIND_TEXT, "the file, command or message", false },
	[BASIS] = { "basis", KIOKU_KIND_TEXT, "what the row rests on", false },
};

struct timeline_event {
	struct kioku_cell cells[COLUMNS];
	size_t order; /* in which they came: also between equal times */
};

static int find_column(const struct kioku_view *view, const char *name)
{
	return name ? output_find_column(view, name) : -1;
}

struct timeline_columns timeline_columns(const struct kioku_view *view, const char *time,
					 const char *pid, const char *subject, const char *detail)
{
	return (struct timeline_columns){ find_column(view, time), find_column(view, pid),
					  find_column(view, subject), find_column(view, detail),
					  -1 };
}

/* A copy of a cell that lasts; texts only as far as they are shown. */
static struct kioku_cell keep(struct timeline *timeline, int column, bool is_text,
			      const struct kioku_cell *cells)
{
	const struct kioku_cell none = { .presence = KIOKU_CELL_NOT_APPLICABLE };
	struct kioku_cell cell = column >= 0 ? cells[column] : none;

	if (cell.presence != KIOKU_CELL_PRESENT || !is_text)
		return cell;
	size_t size = cell.value.text.size;
	/* The rest is never looked at, only counted. */
	char *copy = malloc(size < TEXT_LIMIT ? size + 1 : TEXT_LIMIT);
	if (!copy) {
		timeline->is_out_of_memory = true;
		return none;
	}
	size_t kept = size < TEXT_LIMIT ? size : TEXT_LIMIT;
	memcpy(copy, cell.value.text.data, kept);
	cell.value.text.data = copy;
	timeline->size += kept;
	return cell;
}

static struct timeline_event *new_event(struct timeline *timeline)
{
	if (timeline->count == EVENT_LIMIT || timeline->size >= SIZE_LIMIT) {
		timeline->left_out++;
		return NULL;
	}
	if (timeline->count == timeline->room) {
		size_t room = timeline->room ? 2 * timeline->room : 1024;
		struct timeline_event *grown = reallocarray(timeline->events, room, sizeof(*grown));
		if (!grown) {
			timeline->is_out_of_memory = true;
			return NULL;
		}
		timeline->events = grown;
		timeline->room = room;
	}
	struct timeline_event *event = &timeline->events[timeline->count];
	*event = (struct timeline_event){ .order = timeline->count++ };
	for (size_t i = 0; i < COLUMNS; i++)
		event->cells[i].presence = KIOKU_CELL_NOT_APPLICABLE;
	return event;
}

static struct kioku_cell static_text(const char *text)
{
	return (struct kioku_cell){ .value.text = { text, strlen(text) } };
}

void timeline_add(struct timeline *timeline, const char *what, const struct timeline_columns *from,
		  const struct kioku_cell *cells)
{
	struct timeline_event *event = new_event(timeline);

	if (!event)
		return;
	event->cells[TIME] = keep(timeline, from->time, false, cells);
	event->cells[EVENT] = static_text(what);
	event->cells[PID] = keep(timeline, from->pid, false, cells);
	event->cells[SUBJECT] = keep(timeline, from->subject, true, cells);
	event->cells[DETAIL] = keep(timeline, from->detail, true, cells);
	if (from->basis >= 0 && cells[from->basis].presence == KIOKU_CELL_PRESENT)
		event->cells[BASIS] = static_text(timeline->basis);
}

void timeline_add_fact(struct timeline *timeline, const char *what, const char *time)
{
	struct tm parts = { 0 };
	const char *rest = time ? strptime(time, "%Y-%m-%dT%H:%M:%S", &parts) : NULL;
	struct timeline_event *event = rest ? new_event(timeline) : NULL;

	if (!event)
		return;
	int64_t nanoseconds = rest[0] == '.' ? (int64_t)(strtod(rest, NULL) * 1e9 + 0.5) : 0;
	event->cells[TIME] =
		(struct kioku_cell){ .value.integer =
					     (int64_t)timegm(&parts) * 1000000000 + nanoseconds };
	event->cells[EVENT] = static_text(what);
	if (timeline->basis)
		event->cells[BASIS] = static_text(timeline->basis);
}

static int compare(const void *left, const void *right)
{
	const struct timeline_event *a = left, *b = right;
	const struct kioku_cell *x = &a->cells[TIME], *y = &b->cells[TIME];
	bool x_known = x->presence == KIOKU_CELL_PRESENT,
	     y_known = y->presence == KIOKU_CELL_PRESENT;

	if (x_known != y_known)
		return x_known ? -1 : 1;
	if (x_known && x->value.integer != y->value.integer)
		return x->value.integer < y->value.integer ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

bool timeline_fill(struct timeline *timeline, struct report_table *table)
{
	static const size_t selected[COLUMNS] = { TIME, EVENT, PID, SUBJECT, DETAIL, BASIS };

	if (!report_table_begin(table, columns, selected, timeline->basis ? COLUMNS : BASIS) ||
	    timeline->is_out_of_memory)
		return false;
	if (timeline->count > 0)
		qsort(timeline->events, timeline->count, sizeof(*timeline->events), compare);
	for (size_t i = 0; i < timeline->count; i++)
		report_table_row(table, timeline->events[i].cells, 0);
	table->left_out += timeline->left_out;
	return true;
}

void timeline_release(struct timeline *timeline)
{
	for (size_t i = 0; i < timeline->count; i++)
		for (size_t column = SUBJECT; column <= DETAIL; column++)
			if (timeline->events[i].cells[column].presence == KIOKU_CELL_PRESENT)
				free((char *)timeline->events[i].cells[column].value.text.data);
	free(timeline->events);
}
