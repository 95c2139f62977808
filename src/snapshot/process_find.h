/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes by name, and by descent. */
#ifndef SNAPSHOT_PROCESS_FIND_H
#define SNAPSHOT_PROCESS_FIND_H

#include "snapshot/process_files.h"

/*
 * All processes of a name: that of the task ("nginx"; the kernel keeps 15 bytes of it), or the last part
 * of the first argument's or the program's path, each compared as a whole. Not among them: this process,
 * threads of the kernel, what has ended. Errors: NOT_FOUND (none), OS, NO_MEMORY.
 */
enum kioku_status process_find_named(const char *name, struct number_list *out,
				     struct kioku_error *error);

/*
 * A process and all that descend from it, as two readings in a row had them. What was started by a
 * process that has ended (a daemon) descends from init, or from a subreaper. Errors: NOT_FOUND, OS,
 * NO_MEMORY, LIMIT (processes come and go faster than they can be listed).
 */
enum kioku_status process_tree(int32_t pid, struct number_list *out, struct kioku_error *error);

#endif
