/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is said on stderr, and the exit status that follows from it. */
#ifndef CLI_MESSAGE_H
#define CLI_MESSAGE_H

#include <stdbool.h>

#include <kioku/error.h>

enum exit_status {
	STATUS_COMPLETE = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	STATUS_GAPS = 3, /* finished, but something was lost; stderr said what */
};

/* "kioku: error: ...", escaped. Both return what they are called, for "return message_error()". */
enum exit_status message_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
enum exit_status message_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A finding that ends nothing; a KIOKU_GAP turns exit status 0 into 3. */
void message_finding(enum kioku_severity severity, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The same as a kioku_diagnostic_fn; user is not used. */
void message_diagnostic(void *user, enum kioku_severity severity, const char *message);

/* Somebody who hears every finding from now on, those too that are not said because many are alike. */
void message_listen(kioku_diagnostic_fn *listener, void *user);

bool message_any_gap(void);

/* Says how many messages were held back because many like them had been said. */
void message_flush(void);

#endif
