/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check/gaps.h"

static void listen(void *user, enum kioku_severity severity, const char *message)
{
	struct gap_listener *listener = user;

	listener->has_gap |= severity == KIOKU_GAP;
	diagnose(&listener->before, severity, "%s", message);
}

void gaps_begin(struct gap_listener *listener, struct kioku_kernel *kernel)
{
	*listener = (struct gap_listener){ .before = kernel->diagnostics };
	kernel->diagnostics = (struct diagnostics){ listen, listener };
}

void gaps_end(struct gap_listener *listener, struct kioku_kernel *kernel)
{
	kernel->diagnostics = listener->before;
}
