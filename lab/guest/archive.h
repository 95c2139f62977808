/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes a tar archive straight to a disk, past the page cache. What cannot be read is left out. */
#ifndef LAB_ARCHIVE_H
#define LAB_ARCHIVE_H

#include <stddef.h>

void archive_open(const char *disk);
void archive_bytes(const char *path, const void *bytes, size_t size);
void archive_file(const char *path);
void archive_link(const char *path); /* where the link leads to */
unsigned long archive_close(void);   /* returns the size in bytes */

#endif
