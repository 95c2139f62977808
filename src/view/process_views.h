/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Views of what is in the memory of processes, one process after the other. */
#ifndef VIEW_PROCESS_VIEWS_H
#define VIEW_PROCESS_VIEWS_H

#include "kernel/process_walk.h"
#include "view/view.h"

/* Not OK: the view stops with this status. */
typedef enum kioku_status process_fn(struct view_run *run, const struct process *process);

/*
 * Every process that was asked for; those whose memory cannot be read are reported as a gap, those that
 * have none are left out. Errors: those of the task walk, or receive's.
 */
enum kioku_status view_each_process(struct view_run *run, process_fn *receive,
				    struct kioku_error *error);

/* For views of what not every process has: those that --pid names are there, though without a row. */
enum kioku_status view_meet_processes(struct view_run *run, struct kioku_error *error);

/* Its name, which the process can change. */
struct kioku_cell process_comm(const struct process *process);

#endif
