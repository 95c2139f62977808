/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What "kioku receive" shows on stderr: a line for each thing that happens, and on a terminal, below
 * these, a table of the transfers under way that is drawn again and again in its place.
 */
#ifndef CLI_TRANSFERS_H
#define CLI_TRANSFERS_H

#include <stdbool.h>
#include <stddef.h>

#include <kioku/receive.h>

struct transfer;

struct transfers {
	bool is_terminal, ascii;
	struct transfer *items;
	size_t count;
	unsigned lines;   /* of the table that stand there now */
	double drawn;     /* seconds of CLOCK_MONOTONIC */
	double minute;    /* when the counting of refused connections began */
	unsigned refused; /* since then */
};

void transfers_start(struct transfers *transfers);

/* Says what happened; with NULL only looks whether the table is due. */
void transfers_event(struct transfers *transfers, const struct kioku_receive_event *event);

/* Takes the table away, so that something else may be printed; it comes again. */
void transfers_hide(struct transfers *transfers);

void transfers_finish(struct transfers *transfers);

#endif
