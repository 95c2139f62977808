/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of a report that are made of views. */
#ifndef CLI_REPORT_SECTIONS_H
#define CLI_REPORT_SECTIONS_H

#include "report_page.h"
#include "report_timeline.h"
#include "session.h"

enum { SECTION_LIMIT = 16 };

/* What one view has become: its HTML, which is written once all are there. */
struct section_text {
	struct report_entry entry;
	char *html; /* owned; NULL: it has only given events to the timeline */
	size_t size;
};

struct sections {
	struct section_text texts[SECTION_LIMIT];
	size_t count;
};

/* Runs all views. sections_release() in any case. Returns an enum exit_status. */
int sections_make(struct sections *sections, struct session *session);

/* The section of a view; NULL: it has none. */
const struct report_entry *sections_find(const struct sections *sections, const char *name);

void sections_release(struct sections *sections);

#endif
