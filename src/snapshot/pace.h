/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work on a running process's page tables, piece by piece: its page faults wait for locks that this
 * takes, and for what the processors forget of its address space. A piece takes some 50 us, however fast
 * the machine is.
 */
#ifndef SNAPSHOT_PACE_H
#define SNAPSHOT_PACE_H

#include <stdint.h>

struct pace {
	uint64_t piece; /* bytes, to begin with; it adapts: terabytes may have hardly a page */
	uint64_t least; /* bytes */
	uint64_t began;
};

/* Begins a piece: how much of size bytes it is. */
uint64_t pace_begin(struct pace *pace, uint64_t size);
/* Ends it, when so many bytes of it have been done. */
void pace_end(struct pace *pace, uint64_t done);

#endif
