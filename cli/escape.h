/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes from the target on their way to a terminal. What could drive it or mislead its reader is
 * written as \xNN (a control character or a byte that is not UTF-8), \uNNNN or \UNNNNNNNN (an
 * invisible or direction-changing character), and a backslash as \\, so that nothing is lost.
 */
#ifndef CLI_ESCAPE_H
#define CLI_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Decodes the character at data: its length in bytes, or 0 if it is not UTF-8. size > 0. */
size_t utf8_decode(const char *data, size_t size, uint32_t *character);

/* Whether a character has to be escaped; with ascii, every one beyond ASCII does. */
bool character_unsafe(uint32_t character, bool ascii);

/* The columns a safe character takes on a terminal. */
unsigned character_width(uint32_t character);

/* Writes text and returns the columns it takes. */
unsigned escape_write(FILE *file, const char *data, size_t size, bool ascii);

/* Whether the locale lets us write UTF-8 to a terminal. */
bool locale_is_utf8(void);

#endif
