/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ways in which a snapshot can be taken: which of them a process bears, and what they cost it. */
#ifndef SNAPSHOT_SNAPSHOT_WAYS_H
#define SNAPSHOT_SNAPSHOT_WAYS_H

#include "snapshot/held_process.h"
#include "snapshot/prediction.h"
#include "snapshot/process_room.h"

/* A way to take a snapshot. A method may have several, of which a kernel's first is used. */
struct way {
	enum kioku_snapshot_method method;
	bool (*exists)(void); /* NULL: always */
	/* Errors: UNSUPPORTED, REFUSED (it would do harm), LIMIT; others. */
	enum kioku_status (*check)(struct kioku_process *process, struct kioku_error *error);
	uint64_t (*predict)(const struct prediction_pace *pace,
			    const struct prediction_input *input);
	uint64_t setup; /* nanoseconds for which one thread is stopped before */
	uint64_t reap;  /* the same, at the end */
	enum guardian_method guardian;
	enum layout_kind kind;
};

enum { WAYS = 4 };

/* That which harms least comes first. */
extern const struct way ways[WAYS];

/* Whether this kernel has it, and it is that of the method that was asked for; or one that AUTO may take. */
bool way_is_asked_for(const struct kioku_snapshot_options *options, const struct way *way);

/* The one by which this kernel has a method, which is not AUTO. */
const struct way *way_of(enum kioku_snapshot_method method);

/* What its cost depends on. */
struct prediction_input way_input(const struct kioku_process *process);

/* What is copied is charged to us, who may be in another cgroup than the target. */
struct process_need way_need_of_copy(const struct kioku_process *process);

/* REFUSED, if anything may be written that tracking does not see. */
enum kioku_status way_check_writes(const struct kioku_process *process, struct kioku_error *error);

#endif
