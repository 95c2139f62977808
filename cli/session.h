/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One run of the tool: what was asked for, and what was opened to answer it. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <stdbool.h>
#include <time.h>

#include <kioku/kernel.h>

#include "command.h"
#include "options.h"

struct session {
	const struct command *command;
	struct options options;
	struct kioku_source *source;
	const char *process; /* NAME-PID, if the source is a process's; or NULL */
	struct kioku_kernel *kernel;
	struct timespec started;
};

/*
 * These open what is not open yet, and say on stderr why they cannot. They return STATUS_COMPLETE
 * or the exit status. The source is the first positional argument.
 */
int session_open_source(struct session *session);
int session_open_kernel(struct session *session);

/* Opens the kernel of an open source if it has one, and says nothing if not. */
void session_try_kernel(struct session *session);

/* The address space that --pid or --cr3 asks for; without them *out stays NULL. */
int session_open_space(struct session *session, struct kioku_address_space **out);

/* Whether a file to be written is the image that is being read. */
bool session_is_source(const struct session *session, const char *path);

/* Closes everything, and prints the line that --stats asks for. */
void session_close(struct session *session);

#endif
