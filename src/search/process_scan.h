/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scanning the memory of processes by rules: one thread reads at a time, all CPUs scan. */
#ifndef SEARCH_PROCESS_SCAN_H
#define SEARCH_PROCESS_SCAN_H

#include "search/process_blocks.h"
#include "search/rules.h"

struct scanned_process {
	struct task task;
	struct process_blocks blocks; /* opened by the caller, who closes them */
};

struct process_scan {
	struct kioku_kernel *kernel;
	struct rules *rules;
	struct scanned_process *processes;
	size_t count;
	/* Called in the order of the processes, while nobody else uses the kernel. */
	enum kioku_status (*receive)(void *user, struct scanned_process *process,
				     const struct rule_match *match);
	/* Bytes that were read so far, now and then; NULL: nobody asks. */
	void (*progress)(void *user, uint64_t done);
	void *user;
};

/* What libyara cannot do for one process is a GAP. Errors: NO_MEMORY, OS, or receive's. */
enum kioku_status process_scan_run(struct process_scan *scan, struct kioku_error *error);

#endif
