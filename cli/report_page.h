/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The frame of a report: one HTML file that needs, and may fetch, nothing else. */
#ifndef CLI_REPORT_PAGE_H
#define CLI_REPORT_PAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Of cli/report, with the digests that let a browser use them; made by embed.py. */
extern const char report_style[], report_style_digest[];
extern const char report_script[], report_script_digest[];

/* One entry of the page's contents. */
struct report_entry {
	const char *name;  /* the section's id */
	const char *title; /* the tool's own words, HTML */
	bool has_count;
	uint64_t count; /* of its rows */
};

void report_page_begin(FILE *file, const char *host, const char *source);
void report_page_contents(FILE *file, const struct report_entry *entries, size_t count);
void report_page_end(FILE *file);

/* intro: the tool's own words, HTML; or NULL. */
void report_section_begin(FILE *file, const struct report_entry *entry, const char *intro);
void report_section_end(FILE *file);

#endif
