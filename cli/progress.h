/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How far a long run is, on stderr: on a terminal a line that is drawn again and again, else a line
 * a minute.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include <kioku/error.h>

struct progress {
	bool terminal;
	bool visible;      /* terminal: the line stands there now */
	double begun;      /* these are seconds of CLOCK_MONOTONIC */
	double said;       /* when it was last drawn or printed */
	double rated;      /* when rate was last brought up to date */
	uint64_t rated_at; /* bytes then */
	double rate;       /* bytes a second, lately */
	uint64_t done, total, lost;
};

void progress_start(struct progress *progress);

/* Bytes done and lost so far, of total; may be called as often as one likes. */
void progress_update(struct progress *progress, uint64_t done, uint64_t total, uint64_t lost);

/* A kioku_diagnostic_fn, user is a struct progress: message_diagnostic() on a line of its own. */
void progress_diagnostic(void *user, enum kioku_severity severity, const char *message);

/* Draws or says it a last time, if it was ever shown, and leaves the line. */
void progress_finish(struct progress *progress);

#endif
