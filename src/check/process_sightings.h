/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who knows of which task: the kernel's ways to its tasks, none of which needs the others. */
#ifndef CHECK_PROCESS_SIGHTINGS_H
#define CHECK_PROCESS_SIGHTINGS_H

#include "check/ways.h"
#include "kernel/kernel_code.h"
#include "kernel/task.h"

enum process_view {
	VIEW_LIST,     /* init_task's list; of leaders only */
	VIEW_THREADS,  /* the list of its process's threads */
	VIEW_PIDS,     /* a PID table, by its own number */
	VIEW_GROUPS,   /* a PID table, as a member of a process group or session */
	VIEW_CHILDREN, /* its parent's list; of leaders only */
	VIEW_QUEUES,   /* a CPU runs it, or is about to */
	VIEW_OWNERS,   /* it owns memory into which a file is mapped */
	VIEW_CARVED,   /* its structure was found in memory */
	PROCESS_VIEWS
};

struct sighting {
	uint64_t task;  /* address */
	unsigned views; /* a bit for each enum process_view */
};

struct sightings {
	struct kioku_kernel *kernel;
	const struct kernel_code *code; /* borrowed; NULL: not to be had */
	struct sighting *found;         /* by address, each once */
	size_t count, capacity;
	unsigned damaged; /* views of which something is lost, or that this kernel does not give */
};

/*
 * Asks all of them; what cannot be had is a gap, and its view is damaged. To be released in any case.
 * Errors: UNSUPPORTED (no tasks at all), NO_MEMORY.
 */
enum kioku_status sightings_read(struct kioku_kernel *kernel, const struct kernel_code *code,
				 struct sightings *out, struct kioku_error *error);
void sightings_release(struct sightings *sightings);
#define AUTO_SIGHTINGS CLEANUP(sightings_release)

/*
 * Whether all that leads to a task may be of an earlier boot, as it itself may be: structures that were found in
 * memory lead to each other as threads, and as parents to children.
 */
bool sightings_are_carved(unsigned views);

/*
 * Whether it may be left over from the machine's last boot: nothing of this one's leads to it, and it is in no
 * slab, or its stack is another's by now, and leads nowhere.
 */
bool sightings_is_left_over(const struct sightings *sightings, const struct task *task,
			    unsigned views);

/* By enum process_view. */
extern const struct ways process_ways;

/*
 * Whether a task is one that lives: it is no structure that was given up, is not being made, has not begun to
 * end, and its struct pid, credentials and kernel stack are its own.
 */
bool task_lives(struct kioku_kernel *kernel, const struct task *task);

#endif
