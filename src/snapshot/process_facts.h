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
 *
 *	pid, name, parent, process_group, session, state, tracer, word_size (bytes), start_time (ISO
 *	8601), start_ticks (since the machine started)
 *	command_line[], environment[] (as it was given to the program; its memory may have another one)
 *	executable {path, deleted, size, inode, sha256}, working_folder, root
 *	credentials {user_ids, group_ids {real, effective, saved, filesystem}, groups[], capabilities,
 *	no_new_privileges, seccomp, seccomp_filters, login_user_id, audit_session}, security_label
 *	namespaces {KIND: inode}, namespace_pids[] (from ours inwards), cgroups[] (lines of the file)
 *	limits {NAME: {soft, hard}} (null: unlimited), coredump_filter, oom_score, oom_score_adj,
 *	personality, io
 *	mapped_deleted_files [{start, end, inode, name}]
 *	threads [{tid, name, state, user_ticks, system_ticks, start_ticks, policy, priority, nice,
 *	realtime_priority, processor, processors_allowed, blocked_signals, wait_channel, system_call}]
 *	open_files [{fd, path, inode, size, deleted, kind, position, flags (octal), access}]
 *	sockets [{fd, protocol, inode, ...}] (protocol null: in no list, since it is not bound, or of
 *	another network namespace). /proc prints the names of unix sockets as they are: where one has a
 *	line feed in it, it can pass for another socket, which is then there twice.
 *	unreadable [{what, reason}]
 */
enum kioku_status process_facts(struct process *process, char **out, size_t *size,
				struct kioku_error *error);

#endif
