/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows on their way to stdout: one small driver a format. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <kioku/view.h>

#include "json.h"

/* For struct command.formats: all that output_open() knows. */
extern const char *const output_formats[];
extern const char *const config_formats[]; /* of views that are a configuration, too */

struct output;

struct output_format {
	const char *name;
	bool (*begin)(struct output *output); /* these return false when out of memory */
	bool (*row)(struct output *output, const struct kioku_cell *cells);
	bool (*end)(struct output *output);
};

extern const struct output_format table_output, json_output, json_lines_output, csv_output,
	config_output;

struct output {
	FILE *file;
	const struct output_format *format;
	const struct kioku_column *columns; /* all that there are */
	struct kioku_column *owned;         /* those of a view */
	size_t *selected;                   /* the indexes of those to print, in order */
	size_t selected_count;
	int depth;      /* the index of the column that makes the rows a tree, or -1 */
	bool chosen;    /* the user named the columns */
	bool is_marked; /* the last one of selected is shown although nobody named it */
	bool ascii;     /* write nothing but ASCII */
	bool begun;
	bool first; /* json: no row came yet */
	struct json json;
	struct table *table;
	struct {
		const char *source;
		size_t path_size;
		bool is_possible;
	} origin; /* config: of the row before */
};

/* The index of a column; -1: the view has none of this name. */
int output_find_column(const struct kioku_view *view, const char *name);

/* Chooses columns by a comma-separated list, "all", or NULL. Returns an enum exit_status. */
int output_select(struct output *output, const struct kioku_view *view, const char *list);

/* Copies of all columns of a view, to be freed; NULL: out of memory. */
struct kioku_column *output_columns(const struct kioku_view *view, size_t *count);

/* What is to be said of all that rests on a kernel's types, asked for or not: that they are inferred, or forced. Or NULL. */
const char *output_mark_name(const struct kioku_kernel *kernel);

/* The column that says it, if so; else -1. */
int output_mark_column(const struct kioku_view *view, const struct kioku_kernel *kernel);

/* After output_select(), before the first row: shows that column in each row, unless it is shown already. */
void output_mark(struct output *output, const struct kioku_view *view,
		 const struct kioku_kernel *kernel);

/* After output_select(); file and the name of a format are the caller's. */
void output_open(struct output *output, FILE *file, const char *format);

/* A kioku_row_fn; user is a struct output. Stops the view when the file takes no more. */
enum kioku_status output_row(void *user, const struct kioku_cell *cells, size_t count);

/* Ends what was begun; with complete, an empty list is printed as one. False: out of memory. */
bool output_finish(struct output *output, bool complete);

void output_release(struct output *output);
void table_release(struct table *table);

/* The buffer for time_format(): "2026-11-20T13:46:01.123456789Z". */
enum { TIME_SIZE = 48 };
void time_format(char out[TIME_SIZE], int64_t nanoseconds, bool whole_seconds);

#endif
