/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Noticing that something is lost while one of several views is asked. */
#ifndef CHECK_GAPS_H
#define CHECK_GAPS_H

#include "kernel/kernel.h"

struct gap_listener {
	struct diagnostics before;
	bool has_gap;
};

/* Until gaps_end() everything that is diagnosed passes through, and what is a gap is noted. */
void gaps_begin(struct gap_listener *listener, struct kioku_kernel *kernel);
void gaps_end(struct gap_listener *listener, struct kioku_kernel *kernel);

#endif
