/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QEMU's machine protocol over a Unix socket: one JSON object a line, an answer for each command, and
 * events in between, which are passed over (QEMU docs/interop/qmp-spec.txt). The machine runs on.
 */
#ifndef SOURCE_QMP_CLIENT_H
#define SOURCE_QMP_CLIENT_H

#include "base/cleanup.h"
#include "base/error.h"

struct json_object;
struct qmp_client;

/*
 * timeout: seconds for the greeting, which whoever serves somebody else keeps one waiting for.
 * Errors: OS, ARGUMENT (the path is no socket), LIMIT (no greeting), CORRUPT (whoever answers speaks
 * no such protocol), NO_MEMORY.
 */
enum kioku_status qmp_client_open(const char *path, double timeout, struct qmp_client **out,
				  struct kioku_error *error);
void qmp_client_close(struct qmp_client *client); /* takes NULL */

DEFINE_CLEANUP(qmp_client, struct qmp_client, qmp_client_close)

/*
 * Runs a command. arguments: taken over, NULL for none. descriptor goes along with it, unless it is
 * -1. *result is the caller's, for json_object_put(); result may be NULL. Errors: UNSUPPORTED (QEMU
 * refused, the message says with which words), OS, LIMIT (no answer), CORRUPT, NO_MEMORY.
 */
enum kioku_status qmp_client_run(struct qmp_client *client, const char *command,
				 struct json_object *arguments, int descriptor,
				 struct json_object **result, struct kioku_error *error);

/* Asks the monitor for people; *answer is for the caller to free. */
enum kioku_status qmp_client_monitor(struct qmp_client *client, const char *command, char **answer,
				     struct kioku_error *error);

#endif
