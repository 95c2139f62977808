/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A process of this machine, as /proc tells of it (proc(5)), and whether it can be taken at all. */
#ifndef SNAPSHOT_PROCESS_H
#define SNAPSHOT_PROCESS_H

#include <sys/types.h>

#include "base/error.h"
#include "format/maps_format.h"

struct process {
	pid_t pid;
	int folder; /* /proc/PID: of this process also when another one gets its number */
	char name[16], state;
	pid_t ppid, pgrp, sid;
	uint32_t uid, gid; /* effective */
	uint32_t flags;    /* PF_ of the kernel */
	int8_t nice;
	uint64_t start_time; /* clock ticks since the machine's start */
	size_t threads;
	bool has_seccomp;     /* strict mode, or filters */
	bool other_namespace; /* it numbers processes differently from us */
	pid_t task; /* a thread that lives: the first one may have ended, and has no memory then */
};

/* Mappings, and the text that their names lie in. All zero is an empty list. */
struct mapping_list {
	struct mapping *mappings;
	size_t count;
	char *text;
};

/*
 * process_close() in any case. Errors: NOT_FOUND, UNSUPPORTED (32-bit, a kernel thread), REFUSED
 * (somebody traces it; it is ending; it is one of our own), ARGUMENT (a thread's number), OS.
 */
enum kioku_status process_open(pid_t pid, struct process *out, struct kioku_error *error);
void process_close(struct process *process);

/* A file of /proc/PID, whole and with a NUL behind it, for the caller to free. Errors: OS, NO_MEMORY. */
enum kioku_status process_read(int folder, const char *name, char **out, size_t *size,
			       struct kioku_error *error);

/* Opens a file that each task has, for reading: "mem", "pagemap". -1 with errno on failure. */
int process_open_file(int folder, pid_t task, const char *name);

/*
 * The mappings of a process whose /proc/PID is folder, by one of its tasks. file: "maps" or "smaps".
 * mapping_list_release() in any case. Errors: OS, CORRUPT, NO_MEMORY.
 */
enum kioku_status mapping_list_read(int folder, pid_t task, const char *file,
				    struct mapping_list *out, struct kioku_error *error);
void mapping_list_release(struct mapping_list *list);

#endif
