/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program that runs beside this one, with pipes to its standard input and from its output. */
#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

struct child {
	pid_t pid;         /* 0: none, or it has ended */
	int input, output; /* our ends; -1: closed */
	int status;        /* as waitpid() has it, once it has ended */
	bool is_apart;     /* see struct child_way */
};

#define CHILD_NONE ((struct child){ .input = -1, .output = -1 })

enum child_input { CHILD_READS_NOTHING, CHILD_READS_US };
enum child_errors { CHILD_ERRORS_ARE_OURS, CHILD_ERRORS_ARE_OUTPUT };

struct child_way {
	enum child_input input;
	enum child_errors errors;
	const char *const *environment; /* ends with NULL; NULL: ours */
	bool is_apart; /* a process group of its own, all of which child_end() ends */
};

/*
 * Runs a program of PATH; words end with NULL. It belongs to our terminal, so that it can ask for a
 * password there, but the terminal's Ctrl-C and its end do not stop it: that is for us to decide.
 * child_end() in any case. Errors: OS (NOENT: no such program).
 */
enum kioku_status child_start(struct child *child, const char *const *words,
			      const struct child_way *way, struct kioku_error *error);

/* Writes what there is room for. 0: none within the time; -1: it reads no more. */
ssize_t child_write(struct child *child, const void *data, size_t size, int milliseconds);

/* Reads what comes. 0: it says no more; -1: nothing came within the time. */
ssize_t child_read(struct child *child, void *buffer, size_t size, int milliseconds);

/* It will read the end of its input. */
void child_close_input(struct child *child);

/* Whether it has ended; its status is known then. */
bool child_wait(struct child *child, int milliseconds);

/* Closes its pipes, waits so long for its end, and ends it by a signal then. */
void child_end(struct child *child, int milliseconds);

#endif
