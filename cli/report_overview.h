/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first section of a report: what the machine and the image are, and how that is known. */
#ifndef CLI_REPORT_OVERVIEW_H
#define CLI_REPORT_OVERVIEW_H

#include <stdio.h>

#include "session.h"

/* By name; NULL if it is missing. */
const char *report_fact(const struct session *session, const char *name);

/* Beside the kernel's facts: how much was found (NULL: nothing looked), and what was lost. */
void report_overview_write(FILE *file, const struct session *session, const uint64_t *findings,
			   uint64_t gaps);

#endif
