/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where findings go that do not end an operation. */
#ifndef BASE_DIAGNOSTIC_H
#define BASE_DIAGNOSTIC_H

#include <stdbool.h>

#include <kioku/error.h>

struct diagnostics {
	kioku_diagnostic_fn *function; /* NULL: nobody listens */
	void *user;
};

/* diagnostics may be NULL, too. */
void diagnose(const struct diagnostics *diagnostics, enum kioku_severity severity,
	      const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Lets everything pass that is diagnosed, and notes whether something is lost. */
struct gap_listener {
	struct diagnostics before;
	bool has_gap;
};

/* Between these two, what goes to diagnostics goes through the listener. */
void gap_listener_begin(struct gap_listener *listener, struct diagnostics *diagnostics);
void gap_listener_end(const struct gap_listener *listener, struct diagnostics *diagnostics);

#endif
