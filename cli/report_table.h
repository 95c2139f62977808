/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A table of a report. Its first rows are HTML, which a browser shows without the page's script, too; the
 * rest is JSON, which the script makes rows of when they are looked at.
 */
#ifndef CLI_REPORT_TABLE_H
#define CLI_REPORT_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <kioku/view.h>

struct report_table {
	const struct kioku_column *columns;
	const size_t *
		selected; /* indexes of the columns that are shown, in order; of them and of cells */
	size_t selected_count;
	bool is_tree;
	FILE *scratch, *html, *json; /* in memory; below is what they write to */
	char *scratch_text, *html_text, *json_text;
	size_t scratch_size, html_size, json_size;
	uint64_t row_count;
	uint64_t left_out; /* rows past what a page can hold */
	uint64_t size;     /* bytes of what the rows say */
};

/* report_table_release() in any case. False: out of memory. */
bool report_table_begin(struct report_table *table, const struct kioku_column *columns,
			const size_t *selected, size_t selected_count);

/* Of a tree's row: how deep it is. */
void report_table_row(struct report_table *table, const struct kioku_cell *cells, uint64_t depth);

/* Writes it all, with its heading row. name: for its elements' ids. False: out of memory. */
bool report_table_write(struct report_table *table, FILE *file, const char *name,
			const char *title);

void report_table_release(struct report_table *table);

#endif
