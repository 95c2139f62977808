/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>

#include "base/diagnostic.h"

void diagnose(const struct diagnostics *diagnostics, enum kioku_severity severity,
	      const char *format, ...)
{
	if (!diagnostics || !diagnostics->function)
		return;

	char message[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	diagnostics->function(diagnostics->user, severity, message);
}

static void listen(void *user, enum kioku_severity severity, const char *message)
{
	struct gap_listener *listener = user;

	listener->has_gap |= severity == KIOKU_GAP;
	diagnose(&listener->before, severity, "%s", message);
}

void gap_listener_begin(struct gap_listener *listener, struct diagnostics *diagnostics)
{
	*listener = (struct gap_listener){ .before = *diagnostics };
	*diagnostics = (struct diagnostics){ listen, listener };
}

void gap_listener_end(const struct gap_listener *listener, struct diagnostics *diagnostics)
{
	*diagnostics = listener->before;
}
