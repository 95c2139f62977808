/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Filling in struct kioku_error: the innermost cause first, then each layer says what it was doing. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <kioku/error.h>

/* Returns early with any status that is not OK. */
#define TRY(expression)                                      \
	do {                                                 \
		enum kioku_status try_status = (expression); \
		if (try_status != KIOKU_OK)                  \
			return try_status;                   \
	} while (0)

/* Sets status and message and returns status, so that "return error_set(...)" reads well. */
enum kioku_status error_set(struct kioku_error *error, enum kioku_status status, const char *format,
			    ...) __attribute__((format(printf, 3, 4)));

/* As error_set(), for a fault at an address. */
enum kioku_status error_at(struct kioku_error *error, enum kioku_status status, uint64_t address,
			   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* KIOKU_ERROR_OS from errno, whose text is appended: "FORMAT: No such file or directory". */
enum kioku_status error_os(struct kioku_error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

enum kioku_status error_no_memory(struct kioku_error *error);

/* Puts "FORMAT: " in front of the message and returns error's status, which must be set. */
void error_prefix(struct kioku_error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
