/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole files that do not know their size, as those of /proc and /sys. */
#ifndef BASE_FILE_TEXT_H
#define BASE_FILE_TEXT_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"

/* All zero is an empty text; what it has allocated is used again. */
struct file_text {
	char *data; /* with a NUL behind it once something was read; NULL before */
	size_t size, capacity;
};

/*
 * Reads a file whose path starts from a folder (a descriptor, or AT_FDCWD) in place of what was
 * there; after an error the text is empty. Errors: OS ("cannot read PATH: ..."), NO_MEMORY, LIMIT
 * (it is longer than limit).
 */
enum kioku_status file_text_read(struct file_text *text, int folder, const char *path, size_t limit,
				 struct kioku_error *error);

/* Where a symbolic link leads. Errors: OS, NO_MEMORY. */
enum kioku_status file_text_read_link(struct file_text *text, int folder, const char *path,
				      struct kioku_error *error);

/* Makes room, so that reading this much allocates nothing. False: no memory. */
bool file_text_reserve(struct file_text *text, size_t size);
void file_text_release(struct file_text *text);

static inline struct bytes file_text_bytes(const struct file_text *text)
{
	return (struct bytes){ (const uint8_t *)text->data, text->size };
}

#define AUTO_FILE_TEXT CLEANUP(file_text_release)

#endif
