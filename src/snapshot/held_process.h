/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A process that a snapshot is taken of: what is prepared before the stop, and made of it after. */
#ifndef SNAPSHOT_HELD_PROCESS_H
#define SNAPSHOT_HELD_PROCESS_H

#include "snapshot/layout.h"
#include "snapshot/process.h"
#include "snapshot/process_memory.h"

struct kioku_process {
	struct snapshot_group *group; /* of those that were stopped together */
	bool is_let_go;
	struct process process;
	struct process_maps before; /* of the target, with flags, while it ran */
	struct file_text arguments, auxv;
	char *facts;                                  /* a JSON object; or NULL */
	const struct kioku_snapshot_options *options; /* borrowed until it is open */
	struct guardian_target *target;
	uint64_t look;             /* nanoseconds: through all its pagemap; 0: not measured */
	enum layout_kind kind;     /* how it is taken */
	size_t shared_size;        /* bytes of the target's records and report */
	struct spool spool;        /* what was copied, within the stop or before */
	struct mapped_files files; /* of COPY: what was not copied is there */

	struct process held;     /* the duplicate, or the target once more; not of COPY */
	struct process_maps now; /* at the instant of the stop */
	struct layout layout;
	struct process_memory memory;
	struct kioku_source *source;
	struct kioku_process_summary summary;
};

/*
 * Learns what it takes, while the target runs, and fills in the guardian's target, whichever way it
 * will be taken. held_process_release() in any case. Errors: as kioku_process_duplicate().
 */
enum kioku_status held_process_prepare(struct kioku_process *process, pid_t pid,
				       struct guardian_target *target,
				       const struct kioku_snapshot_options *options,
				       struct kioku_error *error);

/*
 * Makes room for what is to be copied, in one way; may be called again for another. copy_limit: bytes,
 * within the stop, of what cannot be had otherwise. Errors: OS, NO_MEMORY.
 */
enum kioku_status held_process_plan(struct kioku_process *process, enum layout_kind kind,
				    uint64_t copy_limit, struct kioku_error *error);

/*
 * After the stop: finds out what is where, and makes the source. Errors: NOT_FOUND (what was held has
 * been killed), OS, NO_MEMORY.
 */
enum kioku_status held_process_open(struct kioku_process *process, struct kioku_error *error);

void held_process_release(struct kioku_process *process);

/* The notes of its core, with that of a series, if it has one; for the caller to free; NULL: no memory. */
uint8_t *process_notes_make(const struct kioku_process *process, struct bytes series, size_t *size);

/* What the manifest says of it, a JSON object, for the caller to free; NULL: no memory. */
char *process_description_make(const struct kioku_process *process);

#endif
