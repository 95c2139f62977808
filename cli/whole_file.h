/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file that is there as a whole or not at all: it is written beside its name, then renamed. */
#ifndef CLI_WHOLE_FILE_H
#define CLI_WHOLE_FILE_H

#include <stdio.h>

struct whole_file {
	FILE *file;
	const char *path; /* the caller's */
	char *temporary;
};

/*
 * "-" is stdout, and a device or pipe is written to as it is. The file is for its owner only: memory is full of secrets. Both return an enum
 * exit_status, and say why it failed. whole_file_release() in any case, which removes what was not finished.
 */
int whole_file_create(struct whole_file *whole, const char *path);
int whole_file_finish(struct whole_file *whole);
void whole_file_release(struct whole_file *whole);

#endif
