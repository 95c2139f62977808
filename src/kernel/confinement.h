/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a thread may do, and which namespaces it sees: credentials, seccomp, struct nsproxy. */
#ifndef KERNEL_CONFINEMENT_H
#define KERNEL_CONFINEMENT_H

#include "kernel/task.h"

/* All of a struct cred but keys: what /proc/PID/status shows. */
struct credentials {
	uint32_t uid, euid, suid, fsuid, gid, egid, sgid, fsgid;
	uint64_t inheritable, permitted, effective, bounding,
		ambient;         /* bit: number of capability */
	uint64_t groups;         /* of the struct group_info */
	uint64_t user_namespace; /* of the struct user_namespace */
};

/* Errors: CORRUPT (see task_read_cred()), UNSUPPORTED, UNMAPPED, ABSENT. */
enum kioku_status credentials_read(struct kioku_kernel *kernel, const struct task *task,
				   struct credentials *out);

/*
 * Supplementary groups, in the kernel's order; *out is malloc'ed, and NULL if there are none.
 * Errors: CORRUPT (more than there can be), NO_MEMORY, UNSUPPORTED, UNMAPPED, ABSENT.
 */
enum kioku_status credentials_groups(struct kioku_kernel *kernel, const struct credentials *of,
				     uint32_t **out, size_t *count);

/* The name of a capability ("cap_chown"); NULL past those that are known (v7.0 has 41). */
const char *capability_name(unsigned number);

/* All capabilities that this kernel knows, as a set; 0 if that cannot be told. */
uint64_t capabilities_known(struct kioku_kernel *kernel);

struct confinement {
	uint64_t atomic_flags;
	uint32_t seccomp; /* mode: 0 disabled, 1 strict, 2 filter, 3 dead */
	uint64_t nsproxy; /* 0: it has exited */
};

/* Whether the kernel has what a part of it needs; parts that it has not are zero. */
enum kioku_status confinement_read(struct kioku_kernel *kernel, const struct task *task,
				   struct confinement *out, bool *has_seccomp);

bool confinement_no_new_privileges(const struct confinement *confinement);

enum namespace_kind {
	NAMESPACE_MNT,
	NAMESPACE_PID,
	NAMESPACE_NET,
	NAMESPACE_UTS,
	NAMESPACE_IPC,
	NAMESPACE_USER,
	NAMESPACE_CGROUP,
	NAMESPACE_TIME,
	NAMESPACE_KINDS
};

/*
 * The inode number of a namespace, as /proc/PID/ns shows it. Errors: NOT_FOUND (it has exited),
 * UNSUPPORTED (this kernel has none of the kind), CORRUPT, UNMAPPED, ABSENT.
 */
enum kioku_status namespace_number(struct kioku_kernel *kernel, const struct task *task,
				   const struct confinement *confinement,
				   const struct credentials *credentials, enum namespace_kind kind,
				   uint32_t *out);

#endif
