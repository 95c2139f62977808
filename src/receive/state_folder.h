/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * FOLDER/.kioku-receive: what a receiver needs to be the same one after a restart. Files in it are
 * for their owner only, and are replaced as a whole, so that being killed never leaves half of one.
 */
#ifndef RECEIVE_STATE_FOLDER_H
#define RECEIVE_STATE_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define STATE_FOLDER ".kioku-receive"

struct state_folder {
	char *path; /* allocated: of the folder that transfers go to */
	int folder; /* its descriptor */
	int state;  /* the descriptor of STATE_FOLDER */
	int lock;
};

/*
 * Makes STATE_FOLDER if need be, and keeps other receivers out until it is closed. Errors: OS,
 * ARGUMENT (another receiver uses it; it is not ours alone), NO_MEMORY. Close it in any case.
 */
enum kioku_status state_folder_open(struct state_folder *state, const char *path,
				    struct kioku_error *error);
void state_folder_close(struct state_folder *state);

/*
 * Puts a file there, or another one in its place. durable: it is on the disk afterwards. descriptor,
 * where not NULL, is the new file's, open for writing. Errors: OS.
 */
enum kioku_status state_write(int folder, const char *name, const void *data, size_t size,
			      bool durable, int *descriptor, struct kioku_error *error);

/* All of a file of at most limit bytes, with a NUL behind it. Errors: NOT_FOUND, OS, CORRUPT, NO_MEMORY. */
enum kioku_status state_read(int folder, const char *name, size_t limit, char **out, size_t *size,
			     struct kioku_error *error);

/* Writes all of it. Errors: false and errno. */
bool write_all(int descriptor, const void *data, size_t size);

#endif
