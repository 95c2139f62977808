/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text of a report. Bytes from the target are first escaped as for a terminal (escape.h), so that what is
 * invisible or turns the direction of writing is seen; then for HTML, or for JSON inside of a script element.
 */
#ifndef CLI_REPORT_HTML_H
#define CLI_REPORT_HTML_H

#include <stdint.h>
#include <stdio.h>

#include <kioku/view.h>

/* Any bytes, as the content of an element or of an attribute in double quotes. */
void html_text(FILE *file, const char *data, size_t size);
void html_string(FILE *file, const char *text);

/* What was escaped before. Nothing in a JSON string can end the script element that it is in. */
void html_quote(FILE *file, const char *escaped, size_t size);
void html_json_string(FILE *file, const char *escaped, size_t size);

/*
 * The value of a cell that is present, escaped as for a terminal. Of a long text the rest is left out, and
 * "\[+N bytes]" stands for it: a lone backslash is never the target's.
 */
void html_cell_value(FILE *file, enum kioku_kind kind, const struct kioku_cell *cell);

#endif
