/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What threads of a capture found out, kept for the thread that the caller's callback may run on.
 */
#ifndef CAPTURE_FINDINGS_H
#define CAPTURE_FINDINGS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/diagnostic.h"

#define FINDINGS_LIMIT 4096 /* that wait at once; more are counted and said as a number */

struct finding;

struct findings {
	pthread_mutex_t lock;
	struct finding *first, **last;
	size_t count, dropped;
	bool dropped_gap;
};

void findings_init(struct findings *findings);
void findings_release(struct findings *findings);

/* What threads diagnose() to; its messages wait for findings_report(). */
struct diagnostics findings_diagnostics(struct findings *findings);

/* Says everything that waits, on this thread. */
void findings_report(struct findings *findings, const struct diagnostics *to);

#endif
