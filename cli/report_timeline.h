/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happened on a machine, from several views, in one order. */
#ifndef CLI_REPORT_TIMELINE_H
#define CLI_REPORT_TIMELINE_H

#include "report_table.h"

struct timeline {
	struct timeline_event *events; /* owned */
	size_t count, room;
	uint64_t size;     /* bytes of their texts */
	uint64_t left_out; /* events past what a page can hold */
	bool is_out_of_memory;
	const char *basis; /* static; what events that say what they rest on do; NULL: none is to */
};

/* Which columns of a view tell what happened; -1: none does. */
struct timeline_columns {
	int time, pid, subject, detail;
	int basis; /* the caller's: what the row rests on */
};

/* The columns of a view by name; NULL: -1. Without basis. */
struct timeline_columns timeline_columns(const struct kioku_view *view, const char *time,
					 const char *pid, const char *subject, const char *detail);

/* A row of a view. what: "process started", static. An event without a time stands at the end. */
void timeline_add(struct timeline *timeline, const char *what,
		  const struct timeline_columns *columns, const struct kioku_cell *cells);

/* time: as a fact of the kernel has it, "2026-11-20T13:46:01.123456789Z". */
void timeline_add_fact(struct timeline *timeline, const char *what, const char *time);

/* Sorts it into a table that was not begun; report_table_release() in any case. */
bool timeline_fill(struct timeline *timeline, struct report_table *table);

void timeline_release(struct timeline *timeline);

#endif
