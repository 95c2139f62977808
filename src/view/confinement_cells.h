/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cells that say what a process may do and what it sees: behind all others of a row, if asked for. */
#ifndef VIEW_CONFINEMENT_CELLS_H
#define VIEW_CONFINEMENT_CELLS_H

#include "kernel/confinement.h"
#include "view/view.h"

enum confinement_cell {
	CONFINEMENT_EUID,
	CONFINEMENT_SUID,
	CONFINEMENT_FSUID,
	CONFINEMENT_EGID,
	CONFINEMENT_SGID,
	CONFINEMENT_FSGID,
	CONFINEMENT_GROUPS,
	CONFINEMENT_INHERITABLE,
	CONFINEMENT_PERMITTED,
	CONFINEMENT_EFFECTIVE,
	CONFINEMENT_BOUNDING,
	CONFINEMENT_AMBIENT,
	CONFINEMENT_NO_NEW_PRIVILEGES,
	CONFINEMENT_SECCOMP,
	CONFINEMENT_NAMESPACES,
	CONFINEMENT_CGROUP = CONFINEMENT_NAMESPACES + NAMESPACE_KINDS,
	CONFINEMENT_CELLS
};

/* clang-format off */
#define CONFINEMENT_COLUMNS \
	{ "euid", KIOKU_KIND_UNSIGNED, "effective user id", 1 }, \
	{ "suid", KIOKU_KIND_UNSIGNED, "saved user id", 1 }, \
	{ "fsuid", KIOKU_KIND_UNSIGNED, "user id for files", 1 }, \
	{ "egid", KIOKU_KIND_UNSIGNED, "effective group id", 1 }, \
	{ "sgid", KIOKU_KIND_UNSIGNED, "saved group id", 1 }, \
	{ "fsgid", KIOKU_KIND_UNSIGNED, "group id for files", 1 }, \
	{ "groups", KIOKU_KIND_TEXTS, "ids of supplementary groups", 1 }, \
	{ "cap_inh", KIOKU_KIND_TEXTS, "inheritable capabilities, or \"all\"", 1 }, \
	{ "cap_prm", KIOKU_KIND_TEXTS, "permitted capabilities, or \"all\"", 1 }, \
	{ "cap_eff", KIOKU_KIND_TEXTS, "effective capabilities, or \"all\"", 1 }, \
	{ "cap_bnd", KIOKU_KIND_TEXTS, "capabilities that it can ever have, or \"all\"", 1 }, \
	{ "cap_amb", KIOKU_KIND_TEXTS, "ambient capabilities, or \"all\"", 1 }, \
	{ "no_new_privs", KIOKU_KIND_BOOLEAN, "whether programs that it runs gain nothing", 1 }, \
	{ "seccomp", KIOKU_KIND_TEXT, "disabled, strict, filter or dead", 1 }, \
	{ "mnt_ns", KIOKU_KIND_UNSIGNED, "number of its mount namespace", 1 }, \
	{ "pid_ns", KIOKU_KIND_UNSIGNED, "number of its namespace of processes", 1 }, \
	{ "net_ns", KIOKU_KIND_UNSIGNED, "number of its network namespace", 1 }, \
	{ "uts_ns", KIOKU_KIND_UNSIGNED, "number of its namespace of host names", 1 }, \
	{ "ipc_ns", KIOKU_KIND_UNSIGNED, "number of its IPC namespace", 1 }, \
	{ "user_ns", KIOKU_KIND_UNSIGNED, "number of its namespace of users", 1 }, \
	{ "cgroup_ns", KIOKU_KIND_UNSIGNED, "number of its cgroup namespace", 1 }, \
	{ "time_ns", KIOKU_KIND_UNSIGNED, "number of its time namespace", 1 }, \
	{ "cgroup", KIOKU_KIND_TEXTS, "where it is in each hierarchy, as /proc/PID/cgroup", 1 }
/* clang-format on */

/* What the cells of a row lie in. All zero but the first two, until it is released. */
struct confinement_cells {
	struct view_run *run;
	size_t first; /* column */
	struct cgroups *cgroups;
	bool has_failed; /* cgroups cannot be had, which was said */
	uint64_t all_capabilities;
	char sets[5][2048];
	char *groups;
};

/* Fills in those of CONFINEMENT_CELLS cells that were asked for; all others are not applicable. */
void confinement_cells_make(struct confinement_cells *cells, const struct task *task,
			    struct kioku_cell *out);
void confinement_cells_release(struct confinement_cells *cells);

#endif
