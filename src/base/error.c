/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

const char *kioku_status_name(enum kioku_status status)
{
	switch (status) {
	case KIOKU_OK: return "ok";
	case KIOKU_ERROR_NO_MEMORY: return "out of memory";
	case KIOKU_ERROR_OS: return "system error";
	case KIOKU_ERROR_ARGUMENT: return "invalid argument";
	case KIOKU_ERROR_UNSUPPORTED: return "unsupported";
	case KIOKU_ERROR_CORRUPT: return "corrupt";
	case KIOKU_ERROR_ABSENT: return "not in the image";
	case KIOKU_ERROR_UNMAPPED: return "not mapped";
	case KIOKU_ERROR_NOT_FOUND: return "not found";
	case KIOKU_ERROR_LIMIT: return "limit reached";
	case KIOKU_ERROR_STOPPED: return "stopped";
	case KIOKU_ERROR_REFUSED: return "refused";
	case KIOKU_ERROR_PAGED_OUT: return "paged out";
	}
	return "unknown status";
}

static void fill(struct kioku_error *error, enum kioku_status status, uint64_t address,
		 const char *format, va_list arguments)
{
	error->status = status;
	error->os_errno = 0;
	error->address = address;
	vsnprintf(error->message, sizeof(error->message), format, arguments);
}

enum kioku_status error_set(struct kioku_error *error, enum kioku_status status, const char *format,
			    ...)
{
	if (error) {
		va_list arguments;
		va_start(arguments, format);
		fill(error, status, 0, format, arguments);
		va_end(arguments);
	}
	return status;
}

enum kioku_status error_at(struct kioku_error *error, enum kioku_status status, uint64_t address,
			   const char *format, ...)
{
	if (error) {
		va_list arguments;
		va_start(arguments, format);
		fill(error, status, address, format, arguments);
		va_end(arguments);
	}
	return status;
}

enum kioku_status error_os(struct kioku_error *error, const char *format, ...)
{
	int saved = errno;

	if (error) {
		va_list arguments;
		va_start(arguments, format);
		fill(error, KIOKU_ERROR_OS, 0, format, arguments);
		va_end(arguments);
		error->os_errno = saved;
		size_t used = strlen(error->message);
		snprintf(error->message + used, sizeof(error->message) - used, ": %s",
			 strerror(saved));
	}
	return KIOKU_ERROR_OS;
}

enum kioku_status error_no_memory(struct kioku_error *error)
{
	return error_set(error, KIOKU_ERROR_NO_MEMORY, "out of memory");
}

void error_prefix(struct kioku_error *error, const char *format, ...)
{
	if (!error)
		return;

	char inner[sizeof(error->message)];
	memcpy(inner, error->message, sizeof(inner));
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error->message, sizeof(error->message), format, arguments);
	va_end(arguments);
	size_t used = strlen(error->message);
	snprintf(error->message + used, sizeof(error->message) - used, ": %s", inner);
}
