/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an investigator wants to know of a process besides its memory. */
#ifndef SNAPSHOT_PROCESS_FACTS_H
#define SNAPSHOT_PROCESS_FACTS_H

#include "snapshot/process.h"

/*
 * One JSON object: identity, program and its digest, command line, environment, credentials,
 * namespaces, cgroups, limits, threads, open files, sockets, mapped files that were deleted. Texts are
 * escaped as format/json_writer.h says. A member that could not be read is absent, and listed in
 * "unreadable" with the reason. The process runs meanwhile, so that its parts are of several moments.
 * Takes milliseconds, more with many threads or files; the digest takes as long as reading the program.
 * The caller frees *out, which has a NUL behind its size bytes. Errors: NOT_FOUND (it has ended),
 * NO_MEMORY.
 */
enum kioku_status process_facts(struct process *process, char **out, size_t *size,
				struct kioku_error *error);

#endif
