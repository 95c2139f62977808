/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What acquire, convert and snapshot have in common, which is nearly all. */
#ifndef CLI_CAPTURE_COMMAND_H
#define CLI_CAPTURE_COMMAND_H

#include "session.h"

#define OPTIONS_CAPTURE                                                                    \
	(OPTION_AS | OPTION_COMPRESS | OPTION_DIGEST | OPTION_SIGN | OPTION_MANIFEST |     \
	 OPTION_RATE | OPTION_TIMEOUT | OPTION_THREADS | OPTION_LOW_PRIORITY | OPTION_TO | \
	 OPTION_TOKEN_FILE | OPTION_RETRY)

/*
 * Captures the source, which is the first argument, to --to, or else to path: a file, a folder to name
 * one in, or "-"; NULL if none was given. Returns an enum exit_status.
 */
int capture_run(struct session *session, const char *path);

/* Its steps. Checks the options and says where it goes. Returns an enum exit_status. */
int capture_begin(struct session *session, const char *path, const char **destination);

/* Whether a process can go there, as far as that is known before it is stopped. Returns an enum exit_status. */
int capture_check_process(struct session *session, const char *destination);

/* Where the open source goes: in a folder, it is named. For the caller to free; NULL: no memory. */
char *capture_place(const struct session *session, const char *destination);

/* Captures the open source. Returns an enum exit_status. */
int capture_to(struct session *session, const char *place);

#endif
