/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control groups: where a thread is in each hierarchy, as /proc/PID/cgroup shows it to the first namespace. */
#ifndef KERNEL_CGROUP_PATH_H
#define KERNEL_CGROUP_PATH_H

#include "kernel/task.h"

#define CGROUP_TEXT (64 << 10) /* bytes that all lines of a thread may take */

/*
 * The path of a struct cgroup in its hierarchy, cut to what has room; "/" for its top. Errors: CORRUPT, LIMIT,
 * UNSUPPORTED, UNMAPPED, ABSENT.
 */
enum kioku_status cgroup_path(struct kioku_kernel *kernel, uint64_t cgroup, char *out, size_t room);

struct cgroup_hierarchy {
	uint64_t root, top; /* of the struct cgroup_root, and the cgroup that is in it */
	bool is_default;    /* version 2 */
	char title[256];    /* "4:cpu,cpuacct:" */
};

struct cgroups {
	struct cgroup_hierarchy *list; /* in the kernel's order */
	size_t count, capacity;
	uint64_t last; /* the css_set that text is of; 0: none yet */
	bool last_exiting;
	enum kioku_status status;
	char text[CGROUP_TEXT]; /* lines, with a NUL behind each */
	size_t size;
};

/* What cgroups_free() releases. Errors: UNSUPPORTED (types, symbols are missing), NO_MEMORY. */
enum kioku_status cgroups_open(struct kioku_kernel *kernel, struct cgroups **out);
void cgroups_free(struct cgroups *cgroups);
DEFINE_CLEANUP(cgroups, struct cgroups, cgroups_free)

/*
 * The lines of a thread, borrowed until the next call. Errors: CORRUPT, LIMIT (longer than CGROUP_TEXT),
 * UNMAPPED, ABSENT.
 */
enum kioku_status cgroups_of(struct kioku_kernel *kernel, struct cgroups *cgroups,
			     const struct task *task, const char **text, size_t *size);

#endif
