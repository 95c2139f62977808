/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The control group of a process, by one controller, as a folder; cgroups v1 and v2. */
#ifndef SNAPSHOT_CGROUP_H
#define SNAPSHOT_CGROUP_H

#include "snapshot/process.h"

struct cgroup {
	bool is_v2;
	char path[4096];     /* of its folder */
	size_t mount_length; /* how much of that is where the hierarchy is mounted */
};

enum cgroup_verdict {
	CGROUP_OK,
	CGROUP_NONE,   /* this kernel, or this machine, has no such controller */
	CGROUP_HIDDEN, /* its folder is not mounted here, or lies outside of what is */
	CGROUP_FAILED, /* in *error */
};

enum cgroup_verdict cgroup_find(const struct process *process, const char *controller,
				struct cgroup *out, struct kioku_error *error);

/* Goes to the group above; false at the top. */
bool cgroup_up(struct cgroup *cgroup);

/* A number in a file of it; "max" is UINT64_MAX. False: there is no such file, as in the root of v2. */
bool cgroup_number(const struct cgroup *cgroup, const char *file, uint64_t *out);

/* The same, for "KEY NUMBER" in a file of many; 0 where it is not. */
uint64_t cgroup_statistic(const struct cgroup *cgroup, const char *file, const char *key);

/* The path as the kernel names it, below its mount: "/system.slice". */
const char *cgroup_name(const struct cgroup *cgroup);

#endif
