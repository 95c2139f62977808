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
