/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a process can be duplicated and the duplicate held: while it is, each page that the process
 * writes to is copied. The copies are charged to the process, which is killed if its memory cgroup has
 * no room for them.
 */
#ifndef SNAPSHOT_PROCESS_ROOM_H
#define SNAPSHOT_PROCESS_ROOM_H

#include "snapshot/process.h"

#define PROCESS_ROOM_UNLIMITED UINT64_MAX

/* What a duplicate may take at most. */
struct process_need {
	uint64_t memory; /* bytes: a copy of every private page, and the page tables */
	uint64_t commit; /* bytes that count for overcommit */
	uint64_t tasks;  /* 1 for the duplicate of a process */
};

/*
 * Of mappings that were read with smaps; what a child does not get (MADV_DONTFORK, MADV_WIPEONFORK) and
 * pages of hugetlb, which have a pool of their own, do not count. What is in swap does: it may come back
 * twice. Without smaps every private writable mapping counts as if it were full.
 */
struct process_need process_need(const struct mapping_list *mappings);

/* Bytes and tasks that could be had more when it was looked at, or UNLIMITED. */
struct process_room {
	/*
	 * Of the memory cgroup that has least, the process's own or one above it, v1 or v2: memory.max and
	 * memory.high less what is in use. Clean page cache of the cgroup that lies on the inactive list is
	 * counted as free, since the kernel takes that before it kills; but taking it delays whoever needs
	 * the memory. Nothing else that could be reclaimed counts, and swap does not.
	 */
	uint64_t cgroup_memory;
	uint64_t cgroup_cache;            /* how much of cgroup_memory is such page cache */
	char cgroup[PROCESS_STRING_SIZE]; /* its path; "" if there is no limit */

	uint64_t
		machine_memory; /* MemAvailable, or MemFree where that is not known (before v3.14) */
	uint64_t
		commit; /* vm.overcommit_memory 2: CommitLimit less reserves and what is promised */

	/*
	 * The least of what RLIMIT_NPROC of the process, the pids cgroups, kernel.threads-max and
	 * kernel.pid_max leave.
	 */
	uint64_t tasks;
	char tasks_limit[PROCESS_STRING_SIZE]; /* whose limit that is */

	/* What could not be found out, as a sentence's end: "the limits of its cgroup ..."; or "". */
	char unknown[PROCESS_STRING_SIZE];
};

/*
 * Reads a few dozen files, and of every process if RLIMIT_NPROC applies: to be done before the stop.
 * Limits of cgroups that this process cannot see, outside of a container, are not known. Errors:
 * NOT_FOUND, NO_MEMORY.
 */
enum kioku_status process_room(const struct process *process, struct process_room *out,
			       struct kioku_error *error);

/* REFUSED, with numbers and whose limit it is, where the need is larger than what is known of. */
enum kioku_status process_room_check(const struct process_room *room,
				     const struct process_need *need, struct kioku_error *error);

#endif
